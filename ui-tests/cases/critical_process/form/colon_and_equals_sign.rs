use process_runtime::critical_process;

#[critical_process(id = "greet", version = "1.0.0", sla := "2s")]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
