use process_runtime::{critical_process, record};

#[critical_process(id = "greet", version = "1.0.0", sla = "2s", context(later(model_count, seen)))]
fn greet(models: &[u8]) {
    record!(seen = true model_count = models.len());
}

fn main() {}
