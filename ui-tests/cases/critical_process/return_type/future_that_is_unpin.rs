use std::future::{Future, ready};

use process_runtime::critical_process;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
fn greet(name: &str) -> impl Future<Output = usize> + Send + Unpin + use<> {
    ready(name.len())
}

fn main() {}
