use process_runtime::stage;

#[stage(id = "greet", version = "1.0.0")]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
