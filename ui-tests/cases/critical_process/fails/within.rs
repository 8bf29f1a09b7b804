use process_runtime::critical_process;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s", fails(as std::io::Error: _))]
fn find(name: &str) -> Option<usize> {
    name.find("a")
}

fn main() {}
