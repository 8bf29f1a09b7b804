use process_runtime::{critical_process, record};

struct Model;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s", context(later(model_count, seen)))]
fn greet() {
    record!(seen = true, model_count = (Model, 2));
}

fn main() {}
