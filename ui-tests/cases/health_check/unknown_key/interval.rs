use process_runtime::health_check;

#[health_check(process = "greet", interval = "5m")]
async fn greets() {}

fn main() {}
