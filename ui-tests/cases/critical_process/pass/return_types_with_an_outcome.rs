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

fn main() {
    assert_eq!(make::<u8>(), 0);
    assert_eq!(first([1, 2].into_iter()), 1);
}
