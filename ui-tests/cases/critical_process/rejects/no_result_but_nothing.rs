use process_runtime::critical_process;

enum OrderError {
    Empty,
    TooLarge(u32),
}

#[critical_process(id = "order", version = "1.0.0", sla = "2s", rejects(OrderError::Empty))]
async fn order(lines: &mut Vec<u32>) {
    lines.clear();
}

fn main() {}
