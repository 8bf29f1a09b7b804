use process_runtime::stage;

#[stage(id = "greet", after("enter"), after("sit"))]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
