use process_runtime::critical_process;

#[critical_process]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
