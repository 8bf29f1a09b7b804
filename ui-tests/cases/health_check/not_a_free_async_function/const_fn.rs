use process_runtime::health_check;

#[health_check(process = "greet")]
const fn greets() {}

fn main() {}
