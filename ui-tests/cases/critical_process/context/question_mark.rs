use process_runtime::critical_process;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s", context(size = name.parse::<u64>()?))]
fn greet(name: &str) -> Result<usize, std::num::ParseIntError> {
    Ok(name.len())
}

fn main() {}
