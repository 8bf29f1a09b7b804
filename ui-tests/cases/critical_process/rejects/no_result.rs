use process_runtime::critical_process;

enum OrderError {
    Empty,
    TooLarge(u32),
}

#[critical_process(id = "order", version = "1.0.0", sla = "2s", rejects(OrderError::Empty))]
fn order(lines: &[u32]) -> u32 {
    lines.iter().sum()
}

fn main() {}
