use process_runtime::critical_process;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s", context(start = truncate(name, 10)))]
async fn greet(name: String) -> usize {
    name.len()
}

fn main() {}
