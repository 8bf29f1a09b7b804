use process_runtime::health_check;

#[health_check(process = "greet")]
async fn greets() -> ! {
    loop {
        std::future::pending::<()>().await;
    }
}

fn main() {}
