use process_runtime::health_check;

#[health_check(process = "greet", colour = "red")]
async fn greets() {}

fn main() {}
