use process_runtime::critical_process;

use process_runtime::Verdict;

fn judge(paid: &Result<u32, String>) -> Verdict {
    if paid.is_ok() { Verdict::Success } else { Verdict::Failure("unpaid") }
}

fn is_free(cents: &u32) -> bool {
    *cents == 0
}

#[critical_process(id = "pay", version = "1.0.0", sla = "2s", fails(Err(_)), degraded = is_free, outcome = judge)]
fn pay(cents: u32) -> Result<u32, String> {
    Ok(cents)
}

fn main() {}
