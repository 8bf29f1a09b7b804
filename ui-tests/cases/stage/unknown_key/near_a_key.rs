use process_runtime::stage;

#[stage(id = "greet", proces = "meet")]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
