//! Bodies with early returns, `?`, closures, recursion, items and other runs, and the values that they return.

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use futures::FutureExt as _;
use process_runtime::Outcome::{Cancelled, Failure, Panic, Success};
use process_runtime::{critical_process, stage};

use super::trial::{Trial, called, ran};

#[critical_process(id = "body_sync_early", version = "1.0.0", sla = "10s")]
fn early(of: &[i32]) -> Result<i32, String> {
    for value in of {
        if *value < 0 {
            return Err("negative".to_owned());
        }
        if *value == 7 {
            return Ok(7);
        }
    }
    let last = of.last().ok_or("empty")?;
    Ok(*last)
}

#[critical_process(id = "body_async_early", version = "1.0.0", sla = "10s")]
async fn early_async(of: &[i32]) -> Result<i32, String> {
    for value in of {
        if *value < 0 {
            return Err("negative".to_owned());
        }
        tokio::task::yield_now().await;
    }
    let last = of.last().ok_or("empty")?;
    Ok(*last)
}

#[derive(Debug, thiserror::Error)]
enum Wrapped {
    #[error(transparent)]
    Number(#[from] std::num::ParseIntError),
    #[error(transparent)]
    Text(#[from] std::str::Utf8Error),
}

#[critical_process(id = "body_question_from", version = "1.0.0", sla = "10s")]
async fn converts(bytes: &[u8]) -> Result<u8, Wrapped> {
    let text = std::str::from_utf8(bytes)?;
    Ok(async { text.parse::<u8>() }.await?)
}

#[critical_process(id = "body_question_option", version = "1.0.0", sla = "10s", fails(None))]
fn option(of: &[Option<u8>]) -> Option<u8> {
    let first = (*of.first()?)?;
    Some(first + 1)
}

#[critical_process(id = "body_return_unit", version = "1.0.0", sla = "10s")]
async fn returns_unit(of: &mut u8) {
    if *of == 0 {
        return;
    }
    *of = 0;
}

#[critical_process(id = "body_labels", version = "1.0.0", sla = "10s")]
fn labels(of: u8) -> Result<u8, u8> {
    let found = 'search: {
        for at in 0..of {
            if at == 3 {
                break 'search Some(at);
            }
        }
        None
    };
    found.ok_or(of)
}

#[tokio::test(start_paused = true)]
async fn early_returns_and_question_marks_leave_the_body_and_not_the_run() {
    assert_eq!(called("body_sync_early", Failure, || early(&[-1])), Err("negative".to_owned()));
    assert_eq!(called("body_sync_early", Failure, || early(&[])), Err("empty".to_owned()));
    assert_eq!(called("body_sync_early", Success, || early(&[7, -1])), Ok(7));
    assert_eq!(called("body_sync_early", Success, || early(&[1, 2])), Ok(2));
    assert_eq!(ran("body_async_early", Failure, early_async(&[1, -1])).await, Err("negative".to_owned()));
    assert_eq!(ran("body_async_early", Failure, early_async(&[])).await, Err("empty".to_owned()));
    assert_eq!(ran("body_async_early", Success, early_async(&[2])).await, Ok(2));
    assert!(matches!(ran("body_question_from", Failure, converts(b"x")).await, Err(Wrapped::Number(_))));
    assert!(matches!(ran("body_question_from", Failure, converts(b"\xff")).await, Err(Wrapped::Text(_))));
    assert_eq!(ran("body_question_from", Success, converts(b"1")).await.ok(), Some(1));
    assert_eq!(called("body_question_option", Failure, || option(&[])), None);
    assert_eq!(called("body_question_option", Failure, || option(&[None])), None);
    assert_eq!(called("body_question_option", Success, || option(&[Some(1)])), Some(2));
    let mut zero = 0;
    ran("body_return_unit", Success, returns_unit(&mut zero)).await;
    assert_eq!(called("body_labels", Success, || labels(5)), Ok(3));
    assert_eq!(called("body_labels", Failure, || labels(1)), Err(1));
}

#[critical_process(id = "body_closures", version = "1.0.0", sla = "10s")]
fn closures(mut words: Vec<String>, by: &str) -> (Vec<String>, usize) {
    let mut calls = 0;
    let mut push = |word: &str| {
        calls += 1;
        words.push(format!("{by}{word}"));
    };
    push("a");
    push("b");
    let count = || words.len();
    let counted = count();
    let take = move || words;
    (take(), counted + calls)
}

#[critical_process(id = "body_async_closures", version = "1.0.0", sla = "10s")]
async fn async_closures(words: Vec<String>) -> String {
    let mut all = String::new();
    let mut add = async |word: &str| {
        tokio::task::yield_now().await;
        all.push_str(word);
        all.len()
    };
    let mut length = 0;
    for word in &words {
        length = add(word).await;
    }
    let shared = &all;
    let check = async move || shared.len() == length;
    assert!(check().await);
    let early = async || -> Result<u8, std::num::ParseIntError> {
        let number = "x".parse()?;
        Ok(number)
    };
    assert!(early().await.is_err());
    all
}

#[critical_process(id = "body_captures", version = "1.0.0", sla = "10s")]
async fn captures(words: Vec<String>, limit: usize) -> Vec<usize> {
    use futures::StreamExt as _;
    let lengths = futures::stream::iter(words.iter().map(|word| async move { word.len() }));
    lengths.buffered(2).filter(|length| std::future::ready(*length < limit)).collect().await
}

#[tokio::test(start_paused = true)]
async fn closures_capture_by_move_by_reference_and_mutably() {
    let (words, count) = called("body_closures", Success, || closures(vec!["x".to_owned()], "-"));
    assert_eq!((words.concat().as_str(), count), ("x-a-b", 5));
    let words = || vec!["a".to_owned(), "bc".to_owned()];
    assert_eq!(ran("body_async_closures", Success, async_closures(words())).await, "abc");
    assert_eq!(ran("body_captures", Success, captures(words(), 2)).await, [1]);
}

#[critical_process(id = "body_recursive", version = "1.0.0", sla = "10s")]
async fn recursive(depth: u8) -> Result<u32, u8> {
    if depth == 9 {
        return Err(depth);
    }
    if depth == 0 {
        return Ok(0);
    }
    Ok(Box::pin(recursive(depth - 1)).await? + 1)
}

#[critical_process(id = "body_recursive_boxed", version = "1.0.0", sla = "10s")]
fn recursive_boxed(depth: u8) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    Box::pin(async move { if depth == 0 { 0 } else { recursive_boxed(depth - 1).await + 1 } })
}

#[critical_process(id = "body_recursive_sync", version = "1.0.0", sla = "10s")]
fn recursive_sync(depth: u8) -> u32 {
    if depth == 0 { 0 } else { recursive_sync(depth - 1) + 1 }
}

#[critical_process(id = "body_ping", version = "1.0.0", sla = "10s")]
fn ping(left: u8) -> u8 {
    left.checked_sub(1).map_or(0, pong)
}

#[critical_process(id = "body_pong", version = "1.0.0", sla = "10s")]
fn pong(left: u8) -> u8 {
    left.checked_sub(1).map_or(1, ping)
}

#[tokio::test(start_paused = true)]
async fn each_level_of_a_recursion_is_a_run() {
    let trial = Trial::new();
    assert_eq!(trial.run(recursive(2)).await, Ok(2));
    trial.saw(&[("body_recursive", Success); 3]);
    assert_eq!(trial.run(recursive(10)).await, Err(9));
    trial.saw(&[("body_recursive", Failure); 2]);
    assert_eq!(trial.run(recursive_boxed(2)).await, 2);
    trial.saw(&[("body_recursive_boxed", Success); 3]);
    assert_eq!(trial.call(|| recursive_sync(2)), 2);
    trial.saw(&[("body_recursive_sync", Success); 3]);
    assert_eq!(trial.call(|| ping(1)), 1);
    trial.saw(&[("body_pong", Success), ("body_ping", Success)]);
}

#[critical_process(id = "body_outer", version = "1.0.0", sla = "10s", context(later(reached)))]
async fn outer(of: u8) -> u8 {
    #[critical_process(id = "body_inner", version = "1.0.0", sla = "10s", context(later(depth)))]
    fn inner(of: u8) -> Result<u8, u8> {
        #[stage(id = "body_innermost", process = "body_inner")]
        fn innermost(of: u8) -> u8 {
            of * 2
        }
        process_runtime::record!(depth = 2_u64);
        if of == 0 { Err(0) } else { Ok(innermost(of)) }
    }
    struct Helper;
    impl Helper {
        #[critical_process(id = "body_helper", version = "1.0.0", sla = "10s")]
        async fn help(&self, of: u8) -> u8 {
            of + 1
        }
    }
    process_runtime::record!(reached = true);
    match inner(of) {
        Ok(of) => Helper.help(of).await,
        Err(of) => of,
    }
}

#[tokio::test(start_paused = true)]
async fn annotated_functions_nest() {
    let trial = Trial::new();
    assert_eq!(trial.run(outer(2)).await, 5);
    trial.saw(&[
        ("body_inner.body_innermost", Success),
        ("body_inner", Success),
        ("body_helper", Success),
        ("body_outer", Success),
    ]);
    assert_eq!(trial.context(), [("reached", "true".to_owned())]);
    assert_eq!(trial.run(outer(0)).await, 0);
    trial.saw(&[("body_inner", Failure), ("body_outer", Success)]);
}

#[critical_process(id = "body_items", version = "1.0.0", sla = "10s")]
fn items(of: u8) -> Option<Local> {
    #![allow(clippy::items_after_statements, reason = "a fixture")]
    use std::collections::BTreeMap as Map;
    const LIMIT: u8 = 3;
    static NAMES: [&str; 2] = ["a", "b"];
    macro_rules! limited {
        ($value:expr) => {
            if $value > LIMIT {
                return None;
            }
        };
    }
    limited!(of);
    let names: Map<u8, &str> = (0..).zip(NAMES).collect();
    return names.get(&of).map(|name| Local { name });
}

#[derive(Debug, PartialEq)]
struct Local {
    name: &'static str,
}

#[critical_process(id = "body_empty", version = "1.0.0", sla = "10s")]
async fn empty() {}

#[critical_process(id = "body_semicolon", version = "1.0.0", sla = "10s")]
async fn ends_in_a_return() -> u8 {
    return 1;
}

#[critical_process(id = "body_block_like", version = "1.0.0", sla = "10s")]
fn ends_in_a_statement_like_expression(of: u8) -> u8 {
    match of {
        0 => 1,
        _ => of,
    }
}

#[critical_process(id = "body_struct_literal", version = "1.0.0", sla = "10s")]
async fn struct_literal() -> Local {
    Local { name: "literal" }
}

#[critical_process(id = "body_unit_expression", version = "1.0.0", sla = "10s")]
fn unit_expression(of: &mut Vec<u8>) {
    of.push(1)
}

#[critical_process(id = "body_select", version = "1.0.0", sla = "10s")]
async fn select(of: u64) -> Result<u8, u8> {
    tokio::select! {
        biased;
        () = std::future::pending::<()>() => Ok(1),
        () = tokio::time::sleep(std::time::Duration::from_millis(of)) => Err(2),
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_hold_items_macros_and_every_kind_of_tail() {
    assert_eq!(called("body_items", Success, || items(1)), Some(Local { name: "b" }));
    assert_eq!(called("body_items", Success, || items(4)), None);
    ran("body_empty", Success, empty()).await;
    assert_eq!(ran("body_semicolon", Success, ends_in_a_return()).await, 1);
    assert_eq!(called("body_block_like", Success, || { ends_in_a_statement_like_expression(0) }), 1);
    assert_eq!(ran("body_struct_literal", Success, struct_literal()).await.name, "literal");
    called("body_unit_expression", Success, || unit_expression(&mut Vec::new()));
    assert_eq!(ran("body_select", Failure, select(5)).await, Err(2));
}

#[critical_process(id = "never_async", version = "1.0.0", sla = "10s")]
async fn never_async(panics: bool) -> ! {
    if panics {
        panic!("never");
    }
    loop {
        tokio::task::yield_now().await;
    }
}

#[critical_process(id = "never_sync", version = "1.0.0", sla = "10s")]
fn never_sync(code: u8) -> ! {
    std::panic::panic_any(code)
}

#[critical_process(id = "never_called", version = "1.0.0", sla = "10s")]
fn never_called() -> ! {
    never_sync(2);
}

#[critical_process(id = "never_infallible", version = "1.0.0", sla = "10s")]
async fn infallible() -> Result<u8, Infallible> {
    Ok(1)
}

#[critical_process(id = "never_diverges", version = "1.0.0", sla = "10s")]
async fn diverges() -> Result<u8, String> {
    panic!("on purpose")
}

#[critical_process(id = "never_todo_impl", version = "1.0.0", sla = "10s")]
#[allow(unreachable_code, reason = "a fixture")]
fn diverges_opaquely() -> impl Iterator<Item = u8> {
    panic!("before there is a value");
    std::iter::empty()
}

#[tokio::test(start_paused = true)]
async fn functions_that_never_return_end_as_what_stopped_them() {
    let trial = Trial::new();
    let panicked = trial.run(AssertUnwindSafe(never_async(true)).catch_unwind()).await;
    assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"never"));
    trial.saw(&[("never_async", Panic)]);
    let stopped = tokio::time::timeout(std::time::Duration::ZERO, trial.run(never_async(false))).await;
    assert!(stopped.is_err());
    trial.saw(&[("never_async", Cancelled)]);
    let panicked = trial.call(|| catch_unwind(|| never_called()));
    assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&2_u8));
    trial.saw(&[("never_sync", Panic), ("never_called", Panic)]);
    assert_eq!(trial.run(infallible()).await, Ok(1));
    assert!(trial.run(AssertUnwindSafe(diverges()).catch_unwind()).await.is_err());
    assert!(trial.call(|| catch_unwind(|| diverges_opaquely().count())).is_err());
    trial.saw(&[("never_infallible", Success), ("never_diverges", Panic), ("never_todo_impl", Panic)]);
}

#[critical_process(id = "out_tuple", version = "1.0.0", sla = "10s")]
async fn tuple() -> (u8, (), [&'static str; 2]) {
    (1, (), ["a", "b"])
}

#[critical_process(id = "out_unit", version = "1.0.0", sla = "10s")]
fn unit() -> () {}

#[critical_process(id = "out_function", version = "1.0.0", sla = "10s")]
fn function() -> fn(&str) -> usize {
    str::len
}

#[critical_process(id = "out_pointer", version = "1.0.0", sla = "10s")]
fn pointer(of: &u8) -> *const u8 {
    of
}

#[critical_process(id = "out_slice", version = "1.0.0", sla = "10s")]
fn slice(of: &[u8; 3]) -> &[u8] {
    of
}

#[critical_process(id = "out_dyn", version = "1.0.0", sla = "10s")]
fn trait_object(of: &u8) -> &dyn std::fmt::Display {
    of
}

#[critical_process(id = "out_dyn_async", version = "1.0.0", sla = "10s")]
async fn trait_object_async(of: &u8) -> Box<dyn std::fmt::Display + '_> {
    Box::new(of)
}

#[critical_process(id = "out_nested_result", version = "1.0.0", sla = "10s")]
fn nested_result() -> Result<Result<u8, u8>, u8> {
    Ok(Err(1))
}

#[critical_process(id = "out_reference_to_result", version = "1.0.0", sla = "10s")]
fn reference_to_result(of: &Result<u8, u8>) -> &Result<u8, u8> {
    of
}

#[critical_process(id = "out_parenthesized", version = "1.0.0", sla = "10s")]
#[allow(unused_parens, reason = "a fixture")]
fn parenthesized() -> (Result<u8, u8>) {
    Err(1)
}

#[critical_process(id = "out_array_of_const", version = "1.0.0", sla = "10s")]
async fn array_of_const() -> [u8; Hidden::TWO] {
    [1; 2]
}

#[critical_process(id = "out_qualified", version = "1.0.0", sla = "10s", outcome = every)]
fn qualified() -> <Vec<u8> as IntoIterator>::IntoIter {
    vec![1].into_iter()
}

fn every<T>(_: &T) -> process_runtime::Verdict {
    process_runtime::Verdict::Success
}

#[tokio::test(start_paused = true)]
async fn returns_of_every_kind_of_type_come_out() {
    assert_eq!(ran("out_tuple", Success, tuple()).await, (1, (), ["a", "b"]));
    called("out_unit", Success, unit);
    assert_eq!(called("out_function", Success, function)("ab"), 2);
    let byte = 1;
    assert_eq!(called("out_pointer", Success, || pointer(&byte)), &raw const byte);
    assert_eq!(called("out_slice", Success, || slice(&[1, 2, 3])), [1, 2, 3]);
    assert_eq!(called("out_dyn", Success, || trait_object(&1)).to_string(), "1");
    assert_eq!(ran("out_dyn_async", Success, trait_object_async(&1)).await.to_string(), "1");
    assert_eq!(called("out_nested_result", Success, nested_result), Ok(Err(1)));
    assert_eq!(called("out_reference_to_result", Success, || reference_to_result(&Err(1))), &Err(1));
    assert_eq!(called("out_parenthesized", Failure, parenthesized), Err(1));
    assert_eq!(ran("out_array_of_const", Success, array_of_const()).await, [1, 1]);
    assert_eq!(called("out_qualified", Success, qualified).count(), 1);
}

#[critical_process(id = "unsafe_sync", version = "1.0.0", sla = "10s")]
unsafe fn unsafe_sync(of: *const u8) -> u8 {
    // SAFETY: the caller's pointer is valid.
    unsafe { *of }
}

/// # Safety
/// The function has no requirements; it is a fixture.
#[critical_process(id = "unsafe_async", version = "1.0.0", sla = "10s")]
async unsafe fn unsafe_async(of: &[u8]) -> Option<&u8> {
    // SAFETY: the index is in bounds.
    (!of.is_empty()).then(|| unsafe { of.get_unchecked(0) })
}

#[critical_process(id = "extern_c", version = "1.0.0", sla = "10s")]
extern "C" fn extern_c(of: u8) -> u8 {
    of + 1
}

#[critical_process(id = "unsafe_extern_c", version = "1.0.0", sla = "10s")]
pub(crate) unsafe extern "C" fn unsafe_extern_c(of: *mut u8) {
    // SAFETY: the caller's pointer is valid.
    unsafe { *of += 1 }
}

#[tokio::test(start_paused = true)]
async fn unsafe_and_foreign_functions_are_runs() {
    let mut byte = 1;
    // SAFETY: the pointer is to a local.
    assert_eq!(called("unsafe_sync", Success, || unsafe { unsafe_sync(&raw const byte) }), 1);
    // SAFETY: the function has no requirements.
    assert_eq!(ran("unsafe_async", Success, unsafe { unsafe_async(&[5]) }).await, Some(&5));
    let pointer: extern "C" fn(u8) -> u8 = extern_c;
    assert_eq!(called("extern_c", Success, || pointer(1)), 2);
    // SAFETY: the pointer is to a local.
    called("unsafe_extern_c", Success, || unsafe { unsafe_extern_c(&raw mut byte) });
    assert_eq!(byte, 2);
}

const _: () = {
    #[critical_process(id = "in_const_block", version = "1.0.0", sla = "10s")]
    async fn hidden(of: Hidden) -> Result<u8, Hidden> {
        if of.0 == 0 { Err(of) } else { Ok(of.0) }
    }

    impl Hidden {
        #[critical_process(id = "in_const_block_method", version = "1.0.0", sla = "10s")]
        fn reveal(self) -> impl Future<Output = Result<u8, Hidden>> {
            hidden(self)
        }
    }
};

#[derive(Debug, PartialEq)]
struct Hidden(u8);

impl Hidden {
    const TWO: usize = 2;
}

#[tokio::test(start_paused = true)]
async fn functions_in_an_anonymous_constant_are_runs() {
    let trial = Trial::new();
    assert_eq!(trial.run(Hidden(0).reveal()).await, Err(Hidden(0)));
    trial.saw(&[("in_const_block", Failure), ("in_const_block_method", Failure)]);
}
