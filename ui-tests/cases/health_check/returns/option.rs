use process_runtime::health_check;

#[health_check(process = "greet")]
async fn greets() -> Option<String> {
    None
}

fn main() {}
