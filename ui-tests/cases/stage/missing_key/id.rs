use process_runtime::stage;

#[stage(sla = "2s")]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
