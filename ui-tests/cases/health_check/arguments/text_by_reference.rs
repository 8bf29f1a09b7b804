use process_runtime::health_check;

#[health_check(process = "greet")]
async fn greets(name: &'static str) {
    assert!(!name.is_empty());
}

fn main() {}
