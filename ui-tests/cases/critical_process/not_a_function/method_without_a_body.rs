use process_runtime::critical_process;

trait Greet {
    #[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
    fn greet(&self) -> String;
}

fn main() {}
