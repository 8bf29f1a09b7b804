use process_runtime::health_check;

#[health_check(process = "greet", timeout = "10")]
async fn greets() {}

fn main() {}
