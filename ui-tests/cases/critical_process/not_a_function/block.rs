use process_runtime::critical_process;

fn greet() -> u32 {
    #[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
    {
        1
    }
}

fn main() {}
