use process_runtime::stage;

#[stage(id = "greet", case = happy)]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
