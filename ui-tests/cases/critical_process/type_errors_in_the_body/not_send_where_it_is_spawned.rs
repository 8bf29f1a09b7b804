use std::rc::Rc;

use process_runtime::critical_process;

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
async fn greet() -> usize {
    let name = Rc::new(String::from("you"));
    std::future::ready(()).await;
    name.len()
}

fn spawn(_: impl Future + Send) {}

fn main() {
    spawn(greet());
}
