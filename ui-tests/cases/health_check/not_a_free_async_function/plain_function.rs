use process_runtime::health_check;

#[health_check(process = "greet")]
fn greets() {}

fn main() {}
