use process_runtime::critical_process;

enum OrderError {
    Empty,
    TooLarge(u32),
}

struct Unnamed(String);

fn kind(error: &Unnamed) -> &str {
    &error.0
}

#[critical_process(id = "order", version = "1.0.0", sla = "2s", error_type = kind)]
async fn order(lines: &[u32]) -> Result<u32, Unnamed> {
    lines.first().copied().ok_or_else(|| Unnamed(String::new()))
}

fn main() {}
