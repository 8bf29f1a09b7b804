use process_runtime::{critical_process, health_check};

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
#[health_check(process = "greet")]
async fn greets() {}

fn main() {}
