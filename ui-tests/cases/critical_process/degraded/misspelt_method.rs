use process_runtime::critical_process;

struct Receipt {
    from_cache: bool,
}

impl Receipt {
    fn from_cache(&self) -> bool {
        self.from_cache
    }
}

#[critical_process(id = "pay", version = "1.0.0", sla = "2s", degraded = Receipt::from_cach)]
fn pay(cents: u32) -> Result<Receipt, String> {
    Ok(Receipt { from_cache: cents == 0 })
}

fn main() {}
