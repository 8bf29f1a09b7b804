use process_runtime::{critical_process, health_check};

#[health_check(process = "greet")]
#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
async fn greets() {}

fn main() {}
