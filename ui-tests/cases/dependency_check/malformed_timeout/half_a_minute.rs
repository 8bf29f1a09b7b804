use process_runtime::dependency_check;

#[dependency_check(id = "memory", timeout = "30s")]
async fn greets() {}

fn main() {}
