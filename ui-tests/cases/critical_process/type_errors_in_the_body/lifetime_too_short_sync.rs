use process_runtime::critical_process;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
fn greet<'a>(name: &'a str, other: &str) -> &'a str {
    if name.is_empty() { other } else { name }
}

fn main() {}
