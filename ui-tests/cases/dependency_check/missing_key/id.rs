use process_runtime::dependency_check;

#[dependency_check(timeout = "2s")]
async fn greets() {}

fn main() {}
