use process_runtime::health_check;

#[health_check(process = "greet")]
async fn greets() -> Result<(), String> {
    3
}

fn main() {}
