use process_runtime::health_check;

#[health_check(process = "greet", every = "5m", cached_for = "5s")]
async fn greets() {}

fn main() {}
