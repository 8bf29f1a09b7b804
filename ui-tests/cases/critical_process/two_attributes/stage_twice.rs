use process_runtime::stage;

#[stage(id = "greet")]
#[stage(id = "meet")]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {
    greet("you");
}
