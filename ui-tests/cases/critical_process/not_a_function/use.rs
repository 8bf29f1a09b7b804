use process_runtime::critical_process;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
pub use std::fmt;

fn main() {}
