use process_runtime::stage;

#[stage(id = "greet", after("Enter"))]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
