use process_runtime::health_check;

#[health_check(process = "greet", timeout = "")]
async fn greets() {}

fn main() {}
