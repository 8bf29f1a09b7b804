use process_runtime::critical_process;

use process_runtime::Verdict;

fn judge(cents: &u32) -> Verdict {
    if *cents > 0 { Verdict::Success } else { Verdict::Degraded }
}

#[critical_process(id = "pay", version = "1.0.0", sla = "2s", outcome = judge)]
fn pay(cents: u32) -> Result<u32, String> {
    Ok(cents)
}

fn main() {}
