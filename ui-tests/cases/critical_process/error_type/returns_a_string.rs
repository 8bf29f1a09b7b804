use process_runtime::critical_process;

enum OrderError {
    Empty,
    TooLarge(u32),
}

fn kind(error: &OrderError) -> String {
    if matches!(error, OrderError::Empty) { "empty".into() } else { "too_large".into() }
}

#[critical_process(id = "order", version = "1.0.0", sla = "2s", error_type = kind)]
fn order(lines: &[u32]) -> Result<u32, OrderError> {
    lines.first().copied().ok_or(OrderError::Empty)
}

fn main() {}
