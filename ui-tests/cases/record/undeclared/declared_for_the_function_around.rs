use process_runtime::{critical_process, record};

#[critical_process(id = "outer", version = "1.0.0", sla = "2s", context(later(model_count)))]
fn outer() {
    #[critical_process(id = "inner", version = "1.0.0", sla = "1s")]
    fn inner() {
        record!(model_count = 7);
    }
    inner();
    record!(model_count = 8);
}

fn main() {
    outer();
}
