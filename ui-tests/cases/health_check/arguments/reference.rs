use process_runtime::health_check;

#[health_check(process = "greet")]
async fn greets(store: &Store) {
    store.get();
}

struct Store;

impl Store {
    fn get(&self) {}
}

fn main() {}
