use process_runtime::stage;

#[stage(id = "Greet", process = meet, sla = "2 days", after("greet", "greet"), owner = "checkout")]
fn greet() {}

fn main() {
    greet();
}
