use process_runtime::health_check;

#[health_check(id = "greet")]
async fn greets() {}

fn main() {}
