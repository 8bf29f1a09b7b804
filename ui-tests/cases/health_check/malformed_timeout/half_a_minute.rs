use process_runtime::health_check;

#[health_check(process = "greet", timeout = "30s")]
async fn greets() {}

fn main() {}
