use process_runtime::critical_process;

struct Empty {
    at: u32,
}

#[critical_process(id = "order", version = "1.0.0", sla = "2s", rejects(as Empty: Empty { .. }))]
fn order(lines: &[u32]) -> Result<u32, Box<dyn std::error::Error>> {
    Ok(lines.iter().sum())
}

fn main() {}
