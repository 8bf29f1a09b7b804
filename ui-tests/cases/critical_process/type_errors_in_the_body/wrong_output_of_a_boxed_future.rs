use process_runtime::critical_process;

use std::pin::Pin;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
fn greet(name: &str) -> Pin<Box<dyn Future<Output = usize> + '_>> {
    Box::pin(async move { name })
}

fn main() {}
