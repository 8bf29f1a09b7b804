use process_runtime::stage;

#[stage(id = "greet", after("greet"))]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
