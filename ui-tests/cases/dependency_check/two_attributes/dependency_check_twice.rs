use process_runtime::dependency_check;

#[dependency_check(id = "memory")]
#[process_runtime::dependency_check(id = "disk")]
async fn answers() {}

fn main() {}
