use process_runtime::health_check;

#[health_check(process = "greet")]
async fn greets(name: impl AsRef<str> + Send) {
    assert!(!name.as_ref().is_empty());
}

fn main() {}
