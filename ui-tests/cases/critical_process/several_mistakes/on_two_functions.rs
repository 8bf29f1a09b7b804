use process_runtime::critical_process;

#[critical_process(id = "first", version = "1.0.0")]
fn first() {}

#[critical_process(id = "second", sla = "2s")]
fn second() {}

fn main() {
    first();
    second();
}
