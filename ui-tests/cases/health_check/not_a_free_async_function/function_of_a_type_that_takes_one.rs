use process_runtime::health_check;

struct Greeting;

impl Greeting {
    #[health_check(process = "greet")]
    async fn greets(this: Self) {
        drop(this);
    }
}

fn main() {}
