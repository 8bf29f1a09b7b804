use process_runtime::critical_process;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
/// # Safety
/// Always.
pub const unsafe fn greet() -> u32 {
    1
}

fn main() {}
