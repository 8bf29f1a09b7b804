use std::pin::Pin;

use process_runtime::contract;

#[contract(process = "greet", case = happy)]
fn is_greeted() -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async {})
}

fn main() {}
