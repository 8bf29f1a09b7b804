use process_runtime::health_check;

#[health_check(process = "greet", timeout = "30s")]
async fn greets() -> usize {
    3
}

fn main() {
    let _: std::pin::Pin<Box<dyn Future<Output = usize>>> = Box::pin(greets());
}
