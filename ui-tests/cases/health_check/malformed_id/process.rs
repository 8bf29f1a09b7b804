use process_runtime::health_check;

#[health_check(process = "Greet")]
async fn greets() {}

fn main() {}
