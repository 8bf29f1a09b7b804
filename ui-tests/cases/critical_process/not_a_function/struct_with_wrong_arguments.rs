// What the arguments say is not looked at twice: first the attribute has to move.
use process_runtime::critical_process;

#[critical_process(id = "Greet", sla = 2)]
struct Greeter;

fn main() {}
