use process_runtime::health_check;

#[health_check(process = "greet", timeout = "2.5s")]
async fn greets() {}

fn main() {}
