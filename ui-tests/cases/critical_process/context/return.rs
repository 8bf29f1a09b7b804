use process_runtime::critical_process;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s", context(size = if name.is_empty() { return 0 } else { 1 }))]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
