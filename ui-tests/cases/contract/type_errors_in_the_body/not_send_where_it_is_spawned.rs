use std::rc::Rc;

use process_runtime::contract;

#[contract(process = "greet", case = happy)]
async fn is_greeted() {
    let name = Rc::new(String::from("you"));
    std::future::ready(()).await;
    assert_eq!(name.len(), 3);
}

fn spawn(_: impl Future + Send) {}

fn main() {
    spawn(is_greeted());
}
