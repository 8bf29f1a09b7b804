use std::future::{Future, Ready, ready};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;

use process_runtime::{Verdict, critical_process};

fn any<T>(_: &T) -> Verdict {
    Verdict::Success
}

#[critical_process(id = "make", version = "1.0.0", sla = "2s", outcome = any)]
fn make<T: Default>() -> T {
    T::default()
}

#[critical_process(id = "first", version = "1.0.0", sla = "2s", outcome = any::<I::Item>)]
fn first<I: Iterator>(mut items: I) -> I::Item {
    items.next().expect("an item")
}

#[critical_process(id = "start", version = "1.0.0", sla = "2s", outcome = any)]
fn start(job: u8) -> Ready<u8> {
    ready(job)
}

#[critical_process(id = "start_shared", version = "1.0.0", sla = "2s", outcome = any)]
fn start_shared(job: u8) -> Pin<Box<dyn Future<Output = u8> + Sync>> {
    Box::pin(ready(job))
}

#[critical_process(id = "sum", version = "1.0.0", sla = "2s")]
fn sum<'a>(of: &'a [u8]) -> impl Future<Output = u8> + Send + Sync + UnwindSafe + RefUnwindSafe + use<'a> {
    ready(of.iter().sum())
}

#[critical_process(id = "each", version = "1.0.0", sla = "2s")]
fn each(of: &[u8]) -> impl Iterator<Item = impl Future<Output = u8>> {
    of.iter().copied().map(ready)
}

fn main() {
    drop(sum(&[1]));
    assert_eq!(each(&[1, 2]).count(), 2);
    assert_eq!(make::<u8>(), 0);
    assert_eq!(start(1).into_inner(), 1);
    drop(start_shared(1));
    assert_eq!(first([1, 2].into_iter()), 1);
}
