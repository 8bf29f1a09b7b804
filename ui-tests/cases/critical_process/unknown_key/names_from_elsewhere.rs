use process_runtime::critical_process;

#[critical_process(
    id = "greet",
    version = "1.0.0",
    timeout = "2s",
    severity = high,
    ctx(name),
    description = "Greets.",
    error-type = kind,
    slo = 99.9,
    team = "checkout",
)]
fn greet(name: &str) -> usize {
    name.len()
}

fn main() {}
