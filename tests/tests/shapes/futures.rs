//! Functions that return a future. The future is opaque, boxed or behind an alias, and comes from a block, a call or
//! a branch.

use std::future::{Future, IntoFuture, ready};
use std::pin::Pin;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Either, LocalBoxFuture};
use process_runtime::Outcome::{Failure, Panic, Success};
use process_runtime::critical_process;

use super::trial::{Trial, ran};

#[critical_process(id = "fut_block", version = "1.0.0", sla = "10s")]
fn block(of: u8) -> impl Future<Output = Result<u8, u8>> {
    async move {
        tokio::task::yield_now().await;
        if of == 0 {
            return Err(of);
        }
        Ok(of)
    }
}

#[critical_process(id = "fut_block_before", version = "1.0.0", sla = "10s")]
fn block_after_statements<'a>(of: &'a str) -> impl Future<Output = Option<&'a str>> + Send + 'a {
    let mut parts = of.split(',');
    if parts.clone().count() > 3 {
        parts.next();
    }
    async move { parts.next() }
}

#[critical_process(id = "fut_block_borrows", version = "1.0.0", sla = "10s")]
fn block_that_borrows(of: &mut Vec<u8>) -> impl Future<Output = usize> {
    async {
        of.push(1);
        of.len()
    }
}

#[critical_process(id = "fut_block_unit", version = "1.0.0", sla = "10s")]
fn block_of_unit() -> impl Future<Output = ()> + 'static {
    async {}
}

#[critical_process(id = "fut_block_in_unsafe", version = "1.0.0", sla = "10s")]
fn block_in_unsafe() -> impl Future<Output = u8> {
    // SAFETY: the number is not zero.
    let _one = unsafe { std::num::NonZeroU8::new_unchecked(1) };
    {
        std::hint::black_box(());
    }
    async { 1 }
}

#[critical_process(id = "fut_call", version = "1.0.0", sla = "10s")]
fn from_a_call(of: u8) -> impl Future<Output = Result<u8, u8>> {
    block(of)
}

#[critical_process(id = "fut_ready", version = "1.0.0", sla = "10s")]
fn from_ready(of: &[u8]) -> impl Future<Output = Option<u8>> + use<> {
    ready(of.first().copied())
}

#[critical_process(id = "fut_borrowing_call", version = "1.0.0", sla = "10s")]
fn from_a_borrowing_call<'a>(of: &'a mut [u8]) -> impl Future<Output = &'a mut u8> + use<'a> {
    ready(&mut of[0])
}

#[critical_process(id = "fut_either", version = "1.0.0", sla = "10s", fails(None))]
fn from_a_branch(left: bool) -> impl Future<Output = Option<u8>> {
    if left {
        return Either::Left(async { Some(1) });
    }
    Either::Right(ready(None))
}

#[critical_process(id = "fut_mapped", version = "1.0.0", sla = "10s")]
fn from_a_combinator<F>(inner: F) -> impl Future<Output = Result<F::Output, std::fmt::Error>>
where
    F: Future,
    F::Output: PartialEq<u8>,
{
    inner.map(|value| if value == 0 { Err(std::fmt::Error) } else { Ok(value) })
}

#[critical_process(id = "fut_opaque_output", version = "1.0.0", sla = "10s")]
fn of_an_opaque_output() -> impl Future<Output = Result<impl std::fmt::Display + Send, String>> + Send {
    async { Ok::<_, String>(5) }
}

#[tokio::test(start_paused = true)]
async fn opaque_futures_are_runs_whatever_the_body_ends_in() {
    assert_eq!(ran("fut_block", Success, block(1)).await, Ok(1));
    assert_eq!(ran("fut_block", Failure, block(0)).await, Err(0));
    assert_eq!(ran("fut_block_before", Success, block_after_statements("a,b,c,d")).await, Some("b"));
    assert_eq!(ran("fut_block_borrows", Success, block_that_borrows(&mut vec![0])).await, 2);
    ran("fut_block_unit", Success, block_of_unit()).await;
    assert_eq!(ran("fut_block_in_unsafe", Success, block_in_unsafe()).await, 1);
    assert_eq!(ran("fut_ready", Success, from_ready(&[])).await, None);
    *ran("fut_borrowing_call", Success, from_a_borrowing_call(&mut [1])).await += 1;
    assert_eq!(ran("fut_either", Success, from_a_branch(true)).await, Some(1));
    assert_eq!(ran("fut_either", Failure, from_a_branch(false)).await, None);
    assert_eq!(ran("fut_mapped", Success, from_a_combinator(ready(1))).await, Ok(1));
    assert_eq!(ran("fut_mapped", Failure, from_a_combinator(ready(0))).await, Err(std::fmt::Error));
    let shown = ran("fut_opaque_output", Success, of_an_opaque_output()).await;
    assert_eq!(shown.map(|shown| shown.to_string()), Ok("5".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_future_around_a_future_is_two_runs() {
    let trial = Trial::new();
    assert_eq!(trial.run(from_a_call(0)).await, Err(0));
    trial.saw(&[("fut_block", Failure), ("fut_call", Failure)]);
}

#[critical_process(id = "fut_box_tail", version = "1.0.0", sla = "10s")]
fn boxed_tail(of: u8) -> Pin<Box<dyn Future<Output = Result<u8, String>> + Send>> {
    Box::pin(async move {
        let half = of.checked_div(2).filter(|half| half * 2 == of);
        Ok(half.ok_or_else(|| "odd".to_owned())?)
    })
}

#[critical_process(id = "fut_box_local", version = "1.0.0", sla = "10s")]
fn boxed_local<'a>(of: std::rc::Rc<u8>, by: &'a u8) -> Pin<Box<dyn Future<Output = u8> + 'a>> {
    std::boxed::Box::pin(async move { *of + *by })
}

#[critical_process(id = "fut_box_sync", version = "1.0.0", sla = "10s")]
fn boxed_sync(of: &u8) -> Pin<Box<dyn Future<Output = u8> + Send + Sync + '_>> {
    Box::pin(async move { *of })
}

#[critical_process(id = "fut_box_sync_call", version = "1.0.0", sla = "10s")]
fn boxed_sync_call(of: u8) -> Pin<Box<dyn Future<Output = u8> + Send + Sync>> {
    Box::pin(ready(of))
}

#[critical_process(id = "fut_box_early", version = "1.0.0", sla = "10s")]
fn boxed_with_early_return(of: u8) -> Pin<Box<dyn Future<Output = Result<u8, u8>> + Send>> {
    if of == 0 {
        return Box::pin(ready(Err(0)));
    }
    Box::pin(async move { Ok(of) })
}

#[critical_process(id = "fut_box_match", version = "1.0.0", sla = "10s")]
fn boxed_by_match(of: Option<u8>) -> Pin<Box<dyn Future<Output = Option<u8>>>> {
    match of {
        None => Box::pin(async { None }),
        Some(of) => Box::pin(ready(of.checked_add(1))),
    }
}

#[critical_process(id = "fut_box_cast", version = "1.0.0", sla = "10s")]
fn boxed_and_cast(of: u8) -> Pin<Box<dyn Future<Output = u8> + Send>> {
    Box::pin(async move { of }) as _
}

#[critical_process(id = "fut_box_pin_from", version = "1.0.0", sla = "10s")]
fn boxed_by_pin_from(of: u8) -> Pin<Box<dyn Future<Output = u8> + Send>> {
    Pin::from(Box::new(async move { of }))
}

#[critical_process(id = "fut_box_into_pin", version = "1.0.0", sla = "10s")]
fn boxed_by_into_pin(of: u8) -> Pin<Box<dyn Future<Output = u8> + Send>> {
    let boxed: Box<dyn Future<Output = u8> + Send> = Box::new(async move { of });
    Box::into_pin(boxed)
}

#[critical_process(id = "fut_box_impl_tail", version = "1.0.0", sla = "10s")]
fn opaque_and_boxed(of: u8) -> impl Future<Output = u8> + Unpin {
    Box::pin(async move { of })
}

#[tokio::test(start_paused = true)]
async fn boxed_futures_are_runs_whatever_the_body_ends_in() {
    assert_eq!(ran("fut_box_tail", Success, boxed_tail(4)).await, Ok(2));
    assert_eq!(ran("fut_box_tail", Failure, boxed_tail(3)).await, Err("odd".to_owned()));
    assert_eq!(ran("fut_box_local", Success, boxed_local(std::rc::Rc::new(1), &2)).await, 3);
    assert_eq!(ran("fut_box_sync", Success, boxed_sync(&1)).await, 1);
    assert_eq!(ran("fut_box_sync_call", Success, boxed_sync_call(1)).await, 1);
    assert_eq!(ran("fut_box_early", Failure, boxed_with_early_return(0)).await, Err(0));
    assert_eq!(ran("fut_box_early", Success, boxed_with_early_return(1)).await, Ok(1));
    assert_eq!(ran("fut_box_match", Success, boxed_by_match(None)).await, None);
    assert_eq!(ran("fut_box_match", Success, boxed_by_match(Some(1))).await, Some(2));
    assert_eq!(ran("fut_box_cast", Success, boxed_and_cast(1)).await, 1);
    assert_eq!(ran("fut_box_pin_from", Success, boxed_by_pin_from(1)).await, 1);
    assert_eq!(ran("fut_box_into_pin", Success, boxed_by_into_pin(1)).await, 1);
    assert_eq!(ran("fut_box_impl_tail", Success, opaque_and_boxed(1)).await, 1);
}

#[critical_process(id = "fut_alias", version = "1.0.0", sla = "10s")]
fn by_alias<'a>(of: &'a str) -> BoxFuture<'a, Result<&'a str, usize>> {
    async move { of.get(1..).ok_or(of.len()) }.boxed()
}

#[critical_process(id = "fut_alias_elided", version = "1.0.0", sla = "10s")]
fn by_alias_with_an_elided_lifetime(of: &str) -> BoxFuture<'_, usize> {
    Box::pin(async move { of.len() })
}

#[critical_process(id = "fut_alias_local", version = "1.0.0", sla = "10s")]
fn by_local_alias(of: std::rc::Rc<u8>) -> LocalBoxFuture<'static, u8> {
    async move { *of }.boxed_local()
}

type Later<T = ()> = Pin<Box<dyn Future<Output = Result<T, std::num::ParseIntError>> + Send + Sync>>;

#[critical_process(id = "fut_own_alias", version = "1.0.0", sla = "10s")]
fn by_an_alias_of_ones_own(of: &'static str) -> Later<u8> {
    let parsed = of.parse();
    Box::pin(async move { parsed })
}

#[critical_process(id = "fut_own_alias_default", version = "1.0.0", sla = "10s")]
fn by_an_alias_with_a_default() -> Later {
    Box::pin(async { Ok(()) })
}

struct Handler;

impl Handler {
    #[critical_process(id = "fut_alias_method", version = "1.0.0", sla = "10s")]
    fn handle<'a, 'b: 'a>(&'a mut self, with: &'b str) -> BoxFuture<'a, (&'a mut Self, &'b str)> {
        async move { (self, with) }.boxed()
    }
}

impl IntoFuture for Handler {
    type Output = u8;
    type IntoFuture = BoxFuture<'static, u8>;

    #[critical_process(id = "fut_into_future", version = "1.0.0", sla = "10s", outcome = always)]
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { 1 })
    }
}

fn always<T: ?Sized>(_: &T) -> process_runtime::Verdict {
    process_runtime::Verdict::Success
}

#[tokio::test(start_paused = true)]
async fn a_boxed_future_behind_an_alias_is_found_by_its_type() {
    assert_eq!(ran("fut_alias", Success, by_alias("ab")).await, Ok("b"));
    assert_eq!(ran("fut_alias", Failure, by_alias("")).await, Err(0));
    assert_eq!(ran("fut_alias_elided", Success, by_alias_with_an_elided_lifetime("ab")).await, 2);
    assert_eq!(ran("fut_alias_local", Success, by_local_alias(std::rc::Rc::new(1))).await, 1);
    assert_eq!(ran("fut_own_alias", Success, by_an_alias_of_ones_own("1")).await, Ok(1));
    assert!(ran("fut_own_alias", Failure, by_an_alias_of_ones_own("")).await.is_err());
    assert_eq!(ran("fut_own_alias_default", Success, by_an_alias_with_a_default()).await, Ok(()));
    assert_eq!(ran("fut_alias_method", Success, Handler.handle("a")).await.1, "a");
    assert_eq!(ran("fut_into_future", Success, Handler.into_future()).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_returned_future_that_was_never_polled_is_not_a_run() {
    let trial = Trial::new();
    trial.call(|| {
        drop(block(1));
        drop(from_a_call(1));
        drop(from_ready(&[1]));
        drop(boxed_tail(1));
        drop(boxed_with_early_return(1));
        drop(by_alias("ab"));
        drop(by_an_alias_of_ones_own("1"));
    });
    trial.saw(&[]);
}

#[critical_process(id = "fut_never", version = "1.0.0", sla = "10s")]
fn never() -> impl Future<Output = std::convert::Infallible> {
    async { panic!("never") }
}

#[critical_process(id = "fut_box_never", version = "1.0.0", sla = "10s")]
fn boxed_never() -> Pin<Box<dyn Future<Output = std::convert::Infallible> + Send>> {
    Box::pin(async { panic!("never") })
}

#[tokio::test(start_paused = true)]
async fn a_panic_inside_of_a_returned_future_is_the_runs() {
    let trial = Trial::new();
    let panicked = trial.run(std::panic::AssertUnwindSafe(never()).catch_unwind()).await;
    assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"never"));
    let panicked = trial.run(std::panic::AssertUnwindSafe(boxed_never()).catch_unwind()).await;
    assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"never"));
    trial.saw(&[("fut_never", Panic), ("fut_box_never", Panic)]);
}

mod hidden_returns {
    use super::*;

    macro_rules! give_up_on {
        ($what:expr) => {
            if $what {
                return Box::pin(async { Err(0) });
            }
        };
    }

    #[critical_process(id = "fut_box_hidden_return", version = "1.0.0", sla = "10s")]
    fn boxed_with_a_return_in_a_macro(of: u8) -> Pin<Box<dyn Future<Output = Result<u8, u8>> + Send>> {
        give_up_on!(of == 0);
        Box::pin(async move { Ok(of) })
    }

    #[tokio::test(start_paused = true)]
    async fn a_return_that_a_macro_hides_is_still_a_run() {
        assert_eq!(ran("fut_box_hidden_return", Success, boxed_with_a_return_in_a_macro(1)).await, Ok(1));
        assert_eq!(ran("fut_box_hidden_return", Failure, boxed_with_a_return_in_a_macro(0)).await, Err(0));
    }
}

mod other_futures {
    use std::future::Ready;

    use process_runtime::Verdict;
    use tokio::task::JoinHandle;

    use super::*;

    type Shared = Pin<Box<dyn Future<Output = u8> + Sync>>;

    fn always<F>(_: &F) -> Verdict {
        Verdict::Success
    }

    fn not_finished<T>(task: &JoinHandle<T>) -> Verdict {
        if task.is_finished() { Verdict::Failure("finished") } else { Verdict::Success }
    }

    #[critical_process(id = "fut_other_start", version = "1.0.0", sla = "10s", outcome = not_finished)]
    fn start(of: u8) -> JoinHandle<u8> {
        tokio::spawn(async move { of })
    }

    #[critical_process(id = "fut_other_ready", version = "1.0.0", sla = "10s", outcome = always)]
    fn at_once(of: u8) -> Ready<u8> {
        ready(of)
    }

    #[critical_process(id = "fut_other_shared", version = "1.0.0", sla = "10s", outcome = always)]
    fn shared(of: u8) -> Shared {
        Box::pin(ready(of))
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_of_another_type_is_a_value_to_outcome_and_the_call_is_the_run() {
        let trial = Trial::new();
        let task = trial.call(|| start(1));
        trial.saw(&[("fut_other_start", Success)]);
        assert_eq!(task.await.unwrap(), 1);
        drop(trial.call(|| (at_once(1), shared(1))));
        trial.saw(&[("fut_other_ready", Success), ("fut_other_shared", Success)]);
    }
}
