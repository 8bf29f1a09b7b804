use std::future::{Future, ready};
use std::panic::UnwindSafe;
use std::pin::Pin;

use process_runtime::critical_process;

#[critical_process(id = "look_up", version = "1.0.0", sla = "2s")]
fn look_up(name: &str) -> std::future::Ready<Result<usize, String>> {
    ready(Ok(name.len()))
}

#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
fn greet(name: &str) -> Pin<Box<dyn Future<Output = usize> + Send + UnwindSafe>> {
    let length = name.len();
    let future = async move { length };
    Box::pin(future)
}

type Shared<'a> = Pin<Box<dyn Future<Output = usize> + Sync + 'a>>;

#[critical_process(id = "share", version = "1.0.0", sla = "2s")]
fn share(name: &str) -> Shared<'_> {
    Box::pin(ready(name.len()))
}

fn main() {}
