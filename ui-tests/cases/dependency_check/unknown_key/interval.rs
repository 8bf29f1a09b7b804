use process_runtime::dependency_check;

#[dependency_check(id = "memory", interval = "5m")]
async fn greets() {}

fn main() {}
