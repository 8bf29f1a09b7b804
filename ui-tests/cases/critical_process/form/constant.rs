use process_runtime::critical_process;

const GREET: &str = "greet";

#[critical_process(id = GREET, version = "1.0.0", sla = "2s")]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
