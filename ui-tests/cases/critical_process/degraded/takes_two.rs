use process_runtime::critical_process;

struct Receipt {
    from_cache: bool,
}

fn from_cache(receipt: &Receipt, cents: u32) -> bool {
    receipt.from_cache && cents > 0
}

#[critical_process(id = "pay", version = "1.0.0", sla = "2s", degraded = from_cache)]
fn pay(cents: u32) -> Result<Receipt, String> {
    Ok(Receipt { from_cache: cents == 0 })
}

fn main() {}
