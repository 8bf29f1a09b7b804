use process_runtime::stage;

#[stage(id = "greet", sla = "45")]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
