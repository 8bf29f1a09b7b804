use process_runtime::record;

fn greet(models: &[u8]) {
    record!(model_count = models.len());
}

fn main() {
    greet(&[]);
}
