use process_runtime::critical_process;

use std::time::Duration;

#[critical_process(id = "greet", version = "1.0.0", sla = Duration::from_secs(2))]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
