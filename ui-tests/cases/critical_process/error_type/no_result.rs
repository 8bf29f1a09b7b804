use process_runtime::critical_process;

enum OrderError {
    Empty,
    TooLarge(u32),
}

fn kind(error: &OrderError) -> &'static str {
    if matches!(error, OrderError::Empty) { "empty" } else { "too_large" }
}

#[critical_process(id = "order", version = "1.0.0", sla = "2s", error_type = kind)]
fn order(lines: &[u32]) -> u32 {
    lines.iter().sum()
}

fn main() {}
