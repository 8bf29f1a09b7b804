use process_runtime::stage;

#[stage(id = "greet", process = "Meet")]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
