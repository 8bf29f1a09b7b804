use process_runtime::health_check;

#[health_check(process = "greet")]
mod greeting {}

fn main() {}
