use process_runtime::health_check;

#[health_check(process = "greet")]
async fn greets(store: Store) {
    drop(store);
}

fn main() {}
