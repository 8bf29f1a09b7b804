use process_runtime::health_check;

#[health_check(process = "greet")]
fn greets() -> impl Future<Output = ()> {
    std::future::ready(())
}

fn main() {}
