use process_runtime::{critical_process, stage};

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
#[stage(id = "greet")]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {
    greet("you");
}
