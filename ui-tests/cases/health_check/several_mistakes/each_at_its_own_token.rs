use process_runtime::health_check;

#[health_check(process = "Greet", timeout = "1m", every = "1ms", sla = "2s", owner = "us")]
fn greets(name: &str, by: impl Fn()) {
    by();
    drop(name);
}

fn main() {}
