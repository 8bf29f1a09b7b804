use process_runtime::dependency_check;

#[dependency_check(id = "Memory")]
async fn greets() {}

fn main() {}
