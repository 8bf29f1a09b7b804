use process_runtime::health_check;

#[health_check(process = "greet")]
struct Greeting;

fn main() {}
