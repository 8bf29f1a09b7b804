use process_runtime::critical_process;

#[critical_process("greet", version = "1.0.0", sla = "2s", id = "greet")]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
