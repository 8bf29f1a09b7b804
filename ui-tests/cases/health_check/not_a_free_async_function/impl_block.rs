use process_runtime::health_check;

struct Greeting;

#[health_check(process = "greet")]
impl Greeting {}

fn main() {}
