use process_runtime::health_check;

#[health_check(process = "greet", cached_for = "0s")]
async fn greets() {}

fn main() {}
