use process_runtime::health_check;

#[health_check(process = "greet", cached_for = "5 fortnights")]
async fn greets() {}

fn main() {}
