use process_runtime::critical_process;

use std::io;

enum OrderError {
    Empty,
    TooLarge(u32),
}

#[critical_process(id = "order", version = "1.0.0", sla = "2s", rejects(as io::Error: error if error.kind() == io::ErrorKind::NotFound))]
fn order(lines: &[u32]) -> Result<u32, OrderError> {
    lines.first().copied().ok_or(OrderError::Empty)
}

fn main() {}
