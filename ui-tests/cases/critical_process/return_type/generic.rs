use process_runtime::critical_process;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
fn greet<T: From<u8>>() -> T {
    T::from(1)
}

fn main() {}
