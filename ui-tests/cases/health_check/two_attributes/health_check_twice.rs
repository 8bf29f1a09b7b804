use process_runtime::health_check;

#[health_check(process = "greet")]
#[health_check(process = "part")]
async fn greets() {}

fn main() {}
