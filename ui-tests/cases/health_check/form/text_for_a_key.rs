use process_runtime::health_check;

#[health_check("greet")]
async fn greets() {}

fn main() {}
