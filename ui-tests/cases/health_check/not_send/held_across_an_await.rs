use std::rc::Rc;

use process_runtime::health_check;

#[health_check(process = "greet")]
async fn greets() {
    let name = Rc::new("you");
    std::future::ready(()).await;
    assert!(!name.is_empty());
}

fn main() {}
