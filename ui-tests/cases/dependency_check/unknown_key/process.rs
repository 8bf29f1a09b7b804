use process_runtime::dependency_check;

#[dependency_check(process = "greet")]
async fn greets() {}

fn main() {}
