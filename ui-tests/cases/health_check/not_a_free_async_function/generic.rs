use process_runtime::health_check;

#[health_check(process = "greet")]
async fn greets<T: Clone>(name: T) {
    drop(name);
}

fn main() {}
