use process_runtime::critical_process;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s", fails(none))]
fn find(name: &str) -> Option<usize> {
    name.find("a")
}

fn main() {}
