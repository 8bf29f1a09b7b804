use process_runtime::critical_process;

fn judge(paid: &Result<u32, String>) -> bool {
    paid.is_ok()
}

#[critical_process(id = "pay", version = "1.0.0", sla = "2s", outcome = judge)]
fn pay(cents: u32) -> Result<u32, String> {
    Ok(cents)
}

fn main() {}
