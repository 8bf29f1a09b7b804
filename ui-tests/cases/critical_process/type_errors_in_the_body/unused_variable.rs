// A warning about the body is reported once, as without the attribute.
#![deny(warnings)]

use process_runtime::critical_process;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
async fn greet(name: &str, other: &str) -> usize {
    let length = other.len();
    7
}

fn main() {
    drop(greet("me", "you"));
}
