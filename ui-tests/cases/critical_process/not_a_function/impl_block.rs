use process_runtime::critical_process;

struct Greeter;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
impl Greeter {
    fn greet() {}
}

fn main() {}
