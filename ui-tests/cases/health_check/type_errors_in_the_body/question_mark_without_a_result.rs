use process_runtime::health_check;

#[health_check(process = "greet")]
async fn greets() {
    "3".parse::<u32>()?;
}

fn main() {}
