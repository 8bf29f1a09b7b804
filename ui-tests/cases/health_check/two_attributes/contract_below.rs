use process_runtime::{contract, health_check};

#[health_check(process = "greet")]
#[contract(process = "greet", case = happy)]
async fn greets() {}

fn main() {}
