// The keys of `later` stay declared, and no other key is.
use process_runtime::{critical_process, record};

#[critical_process(id = "greet", version = "1.0.0", sla = "2", context(later(model_count)))]
fn greet(models: &[u8]) {
    record!(modle_count = models.len());
}

fn main() {}
