use process_runtime::critical_process;

unsafe extern "C" {
    #[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
    fn greet() -> u32;
}

fn main() {}
