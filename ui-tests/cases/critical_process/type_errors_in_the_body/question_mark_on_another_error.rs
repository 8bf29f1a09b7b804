use process_runtime::critical_process;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
fn greet(name: &str) -> Result<u32, std::fmt::Error> {
    Ok(name.parse::<u32>()?)
}

fn main() {}
