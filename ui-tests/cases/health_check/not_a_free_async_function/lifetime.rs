use process_runtime::health_check;

#[health_check(process = "greet")]
async fn greets<'a>(name: &'a str) {
    assert!(!name.is_empty());
}

fn main() {}
