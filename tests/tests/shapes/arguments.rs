//! Arguments of functions: patterns, unused and mutable arguments, raw names, attributes, and names that could clash
//! with names in the expansion.

use process_runtime::Outcome::{Failure, Success};
use process_runtime::critical_process;

use super::trial::{Trial, called, ran};

#[derive(Clone, Debug, PartialEq)]
struct Order {
    id: u64,
    lines: Vec<(String, u32)>,
    note: Option<String>,
}

fn order() -> Order {
    Order { id: 4, lines: vec![("tea".to_owned(), 2), ("milk".to_owned(), 1)], note: None }
}

struct Wrapped<T>(T);

#[critical_process(id = "arg_patterns", version = "1.0.0", sla = "10s", context(id, a, renamed))]
async fn patterns(
    Order { id, lines, note: renamed @ _, .. }: Order,
    Wrapped(Wrapped((a, mut b))): Wrapped<Wrapped<(u8, u8)>>,
    [first, .., last]: [u8; 4],
    &ten: &u8,
    &mut ref mut slot: &mut Option<u8>,
    ref by_ref: String,
    (ref pair @ (left, _),): ((u8, u8),),
) -> (u64, usize, Option<String>, [u8; 7], usize) {
    b += 1;
    *slot = Some(ten);
    (id, lines.len(), renamed, [a, b, first, last, ten, pair.1, left], by_ref.len())
}

#[critical_process(id = "arg_patterns_sync", version = "1.0.0", sla = "10s", context(id, ten))]
fn patterns_sync(
    Order { id, mut lines, .. }: Order,
    (a, b): (u8, &mut u8),
    &ten: &u8,
    ref mut text: String,
) -> Result<(u64, usize), String> {
    lines.pop();
    *b += a + ten;
    text.push('!');
    if id == 0 { Err(text.clone()) } else { Ok((id, lines.len())) }
}

#[tokio::test(start_paused = true)]
async fn arguments_are_taken_apart_by_patterns() {
    let trial = Trial::new();
    let mut slot = None;
    let run = patterns(
        order(),
        Wrapped(Wrapped((1, 2))),
        [3, 0, 0, 4],
        &10,
        &mut slot,
        "abc".to_owned(),
        ((5, 6),),
    );
    assert_eq!(trial.run(run).await, (4, 2, None, [1, 3, 3, 4, 10, 6, 5], 3));
    assert_eq!(slot, Some(10));
    trial.saw(&[("arg_patterns", Success)]);
    assert_eq!(trial.context(), [("id", "4".to_owned()), ("a", "1".to_owned())]);
    let mut b = 1;
    assert_eq!(trial.call(|| patterns_sync(order(), (1, &mut b), &10, String::new())), Ok((4, 1)));
    assert_eq!(b, 12);
    let none = Order { id: 0, ..order() };
    assert_eq!(trial.call(|| patterns_sync(none, (1, &mut b), &10, String::new())), Err("!".to_owned()));
    trial.saw(&[("arg_patterns_sync", Success), ("arg_patterns_sync", Failure)]);
}

#[critical_process(id = "arg_unused", version = "1.0.0", sla = "10s")]
async fn unused(_: String, _named: Vec<u8>, _: &mut u8, used: u8) -> u8 {
    tokio::task::yield_now().await;
    used
}

#[critical_process(id = "arg_unused_sync", version = "1.0.0", sla = "10s")]
fn unused_sync(_: &str, _: impl Sized, _named: u8) {}

#[critical_process(id = "arg_mut", version = "1.0.0", sla = "10s")]
async fn mutable(mut count: u8, mut of: Vec<u8>) -> Vec<u8> {
    while count > 0 {
        count -= 1;
        of.push(count);
    }
    of
}

#[critical_process(id = "arg_mut_sync", version = "1.0.0", sla = "10s")]
fn mutable_sync(mut count: u8, mut of: &[u8]) -> (u8, &[u8]) {
    count += 1;
    of = &of[1..];
    (count, of)
}

#[critical_process(id = "arg_mut_borrowed", version = "1.0.0", sla = "10s")]
fn mutable_borrowed(of: &mut &mut [u8]) -> Option<u8> {
    let (first, rest) = std::mem::take(of).split_first_mut()?;
    *of = rest;
    Some(*first)
}

#[tokio::test(start_paused = true)]
async fn unused_and_mutable_arguments_stay_what_they_are() {
    assert_eq!(ran("arg_unused", Success, unused(String::new(), vec![], &mut 0, 7)).await, 7);
    called("arg_unused_sync", Success, || unused_sync("", vec![1_u8].drain(..), 1));
    assert_eq!(ran("arg_mut", Success, mutable(2, vec![9])).await, [9, 1, 0]);
    assert_eq!(called("arg_mut_sync", Success, || mutable_sync(1, &[1, 2])), (2, &[2][..]));
    let mut bytes = [1, 2];
    let mut rest = &mut bytes[..];
    assert_eq!(called("arg_mut_borrowed", Success, || mutable_borrowed(&mut rest)), Some(1));
    assert_eq!(rest, [2]);
}

#[critical_process(id = "arg_raw", version = "1.0.0", sla = "10s", context(r#type, kind = r#match.len()))]
async fn r#async(r#type: u8, r#match: &str) -> Result<r#struct::r#fn, r#struct::r#fn> {
    let r#loop = r#struct::r#fn { r#type, r#match: r#match.to_owned() };
    if r#loop.r#type == 0 { Err(r#loop) } else { Ok(r#loop) }
}

mod r#struct {
    #[derive(Debug, PartialEq)]
    #[allow(non_camel_case_types, reason = "a fixture")]
    pub(super) struct r#fn {
        pub(super) r#type: u8,
        pub(super) r#match: String,
    }

    impl r#fn {
        #[process_runtime::critical_process(id = "arg_raw_method", version = "1.0.0", sla = "10s")]
        pub(super) fn r#impl<'r#dyn>(&'r#dyn self) -> &'r#dyn str {
            &self.r#match
        }
    }
}

#[tokio::test(start_paused = true)]
async fn raw_names_are_names() {
    let trial = Trial::new();
    let made = trial.run(r#async(1, "ab")).await.unwrap();
    trial.saw(&[("arg_raw", Success)]);
    assert_eq!(trial.context(), [("type", "1".to_owned()), ("kind", "2".to_owned())]);
    assert_eq!(called("arg_raw_method", Success, || made.r#impl()), "ab");
    assert!(ran("arg_raw", Failure, r#async(0, "")).await.is_err());
}

#[critical_process(id = "arg_cfg", version = "1.0.0", sla = "10s", context(kept))]
async fn conditional(
    #[cfg(any())] gone: Missing,
    #[cfg(not(any()))] kept: u8,
    #[allow(unused_variables, reason = "a fixture")] ignored: u8,
    #[cfg(not(any()))] mut also: Vec<u8>,
) -> usize {
    #[cfg(any())]
    drop(gone);
    also.push(kept);
    also.len()
}

#[critical_process(id = "arg_cfg_sync", version = "1.0.0", sla = "10s")]
fn conditional_sync(#[cfg(any())] gone: Missing, #[cfg(not(any()))] kept: String, other: String) -> String {
    #[cfg(any())]
    return gone;
    kept + &other
}

#[tokio::test(start_paused = true)]
async fn arguments_that_a_cfg_takes_away_are_gone() {
    assert_eq!(ran("arg_cfg", Success, conditional(1, 2, vec![])).await, 1);
    assert_eq!(called("arg_cfg_sync", Success, || conditional_sync("a".into(), "b".into())), "ab");
}

#[critical_process(
    id = "arg_our_names",
    version = "1.0.0",
    sla = "10s",
    context(run = __run, out = __out),
    rejects(Clash(__e) if *__e == 9),
    degraded = is_five
)]
async fn our_names(
    __run: u8,
    __out: u8,
    __v: u8,
    __e: u8,
    __cx: u8,
    __kind: u8,
    __ending: u8,
    __self: u8,
    __ret: u8,
    run: u8,
    body: u8,
    judge: u8,
) -> Result<u8, Clash> {
    let sum = __run + __out + __v + __e + __cx + __kind + __ending + __self + __ret + run + body + judge;
    if __e == 0 { Ok(sum) } else { Err(Clash(__e)) }
}

#[critical_process(id = "arg_our_names_sync", version = "1.0.0", sla = "10s")]
fn our_names_sync<__F, __T: Copy>(__run: __F, __out: __T, __v: u8) -> (__T, u8)
where
    __F: Fn(u8) -> u8,
{
    let __run = __run(__v);
    let __kind = __out;
    (__kind, __run)
}

#[critical_process(id = "arg_our_names_future", version = "1.0.0", sla = "10s")]
fn our_names_future<__F, __T>(body: __F, __run: __T) -> impl Future<Output = (__F, __T)> {
    std::future::ready((body, __run))
}

#[critical_process(id = "arg_our_names_tail", version = "1.0.0", sla = "10s")]
fn our_names_tail(__run: u8) -> impl Future<Output = u8> {
    let __out = __run + 1;
    async move {
        let __run = __out + __run;
        __run
    }
}

#[derive(Debug, PartialEq)]
struct Clash(u8);

fn is_five(sum: &u8) -> bool {
    *sum == 5
}

#[tokio::test(start_paused = true)]
async fn arguments_may_have_the_names_that_the_expansion_uses() {
    use process_runtime::Outcome::{Degraded, Rejected};
    let run = |e, last| our_names(1, 1, 1, e, 0, 0, 0, 0, 0, 0, 0, last);
    assert_eq!(ran("arg_our_names", Success, run(0, 0)).await, Ok(3));
    assert_eq!(ran("arg_our_names", Degraded, run(0, 2)).await, Ok(5));
    assert_eq!(ran("arg_our_names", Rejected, run(9, 0)).await, Err(Clash(9)));
    assert_eq!(ran("arg_our_names", Failure, run(8, 0)).await, Err(Clash(8)));
    assert_eq!(called("arg_our_names_sync", Success, || our_names_sync(|v| v + 1, "t", 1)), ("t", 2));
    assert_eq!(ran("arg_our_names_future", Success, our_names_future(1, 2)).await, (1, 2));
    assert_eq!(ran("arg_our_names_tail", Success, our_names_tail(1)).await, 3);
}

#[critical_process(id = "arg_borrowed_context", version = "1.0.0", sla = "10s", context(name, n = words.len(), last = words[0]))]
async fn moves_what_its_context_reads(name: String, words: Vec<&str>) -> (String, usize) {
    (name, words.into_iter().count())
}

#[critical_process(id = "arg_mut_context", version = "1.0.0", sla = "10s", context(n = of.len(), first = of[0]))]
fn borrows_mutably_what_its_context_reads(of: &mut [u8]) -> &mut u8 {
    &mut of[0]
}

#[tokio::test(start_paused = true)]
async fn context_reads_arguments_without_taking_them() {
    let trial = Trial::new();
    let run = moves_what_its_context_reads("x".to_owned(), vec!["a", "b"]);
    assert_eq!(trial.run(run).await, ("x".to_owned(), 2));
    trial.saw(&[("arg_borrowed_context", Success)]);
    assert_eq!(trial.context().len(), 3);
    let mut bytes = [1, 2];
    *trial.call(|| borrows_mutably_what_its_context_reads(&mut bytes)) += 1;
    trial.saw(&[("arg_mut_context", Success)]);
    assert_eq!(trial.context(), [("n", "2".to_owned()), ("first", "1".to_owned())]);
}
