use process_runtime::stage;

#[stage(id = "greet", context(nmae))]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
