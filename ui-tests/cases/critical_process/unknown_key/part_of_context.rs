use process_runtime::critical_process;

#[critical_process(id = "take_order", version = "1.0.0", sla = "2s", later(total))]
fn take_order() {}

fn main() {}
