use process_runtime::stage;

#[stage]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
