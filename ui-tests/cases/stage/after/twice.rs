use process_runtime::stage;

#[stage(id = "greet", after("enter", "enter"))]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
