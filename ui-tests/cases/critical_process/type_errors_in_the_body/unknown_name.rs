use process_runtime::critical_process;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
async fn greet(name: &str) -> usize {
    nmae.len()
}

fn main() {}
