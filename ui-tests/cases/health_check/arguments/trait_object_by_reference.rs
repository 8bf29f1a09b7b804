use process_runtime::health_check;

#[health_check(process = "greet")]
async fn greets(store: &(dyn Store + Sync)) {
    store.get();
}

trait Store {
    fn get(&self) {}
}

fn main() {}
