use process_runtime::dependency_check;

#[dependency_check(id = 7)]
async fn greets() {}

fn main() {}
