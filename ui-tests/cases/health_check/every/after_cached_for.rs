use process_runtime::health_check;

#[health_check(process = "greet", cached_for = "5s", every = "5m")]
async fn greets() {}

fn main() {}
