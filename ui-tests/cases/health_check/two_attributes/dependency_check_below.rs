use process_runtime::{dependency_check, health_check};

#[health_check(process = "greet")]
#[dependency_check(id = "memory")]
async fn greets() {}

fn main() {}
