// The compiler checks the body even if the attribute is wrong.
use process_runtime::critical_process;

#[critical_process(id = "count", version = "1.0.0", sla = "2")]
fn count(words: &str) -> usize {
    words
}

fn main() {}
