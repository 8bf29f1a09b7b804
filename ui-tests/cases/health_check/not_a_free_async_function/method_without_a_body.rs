use process_runtime::health_check;

trait Greeting {
    #[health_check(process = "greet")]
    async fn greets(&self);
}

fn main() {}
