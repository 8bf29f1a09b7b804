use process_runtime::health_check;

#[health_check(process = "greet", timeout = "2s", timeout = "3s")]
async fn greets() {}

fn main() {}
