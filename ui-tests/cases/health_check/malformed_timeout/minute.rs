use process_runtime::health_check;

#[health_check(process = "greet", timeout = "1m")]
async fn greets() {}

fn main() {}
