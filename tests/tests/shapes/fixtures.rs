//! Other crates with the attribute: one that renames its dependency, and one in which every lint is an error.

use fixture_renamed::{self as renamed, Source as _};
use fixture_strict::{self as strict, Keeper as _, Refusal};
use process_runtime::Outcome::{Cancelled, Degraded, Failure, Rejected, Success};
use process_runtime::registry;

use super::trial::{Trial, called, ran};

#[tokio::test(start_paused = true)]
async fn a_renamed_dependency_works_in_an_older_edition() {
    let trial = Trial::new();
    assert_eq!(trial.run(renamed::asynchronous("abc")).await, Ok(3));
    assert_eq!(trial.context().len(), 5);
    assert_eq!(trial.run(renamed::asynchronous("a")).await, Ok(1));
    trial.saw(&[
        ("renamed_async.renamed_stage", Success),
        ("renamed_async", Success),
        ("renamed_async.renamed_stage", Success),
        ("renamed_async", Degraded),
    ]);
    assert!(ran("renamed_async", Failure, renamed::asynchronous("")).await.is_err());
    assert_eq!(called("renamed_absolute", Failure, || renamed::absolute(None)), Err(0));
    assert_eq!(ran("renamed_module", Success, renamed::module()).await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_opaque_type_of_an_older_edition_captures_no_more_than_it_did() {
    let (first, second) = {
        let text = "abc".to_owned();
        (renamed::captures_nothing(&text), renamed::tail_captures_nothing(&text))
    };
    assert_eq!(ran("renamed_capture", Success, first).await, 3);
    assert_eq!(ran("renamed_capture_tail", Success, second).await, 3);
    let (length, doubled) = {
        let text = "abc".to_owned();
        let view = renamed::View(&text);
        let futures = (view.length(), view.doubled());
        futures
    };
    assert_eq!(ran("renamed_early_bound", Success, length).await, 3);
    assert_eq!(ran("renamed_early_bound_tail", Success, doubled).await, 6);
    assert_eq!(ran("renamed_early_bound_kept", Success, renamed::View("a").kept()).await, "a");
    let mut bytes = [1, 2];
    assert_eq!(
        called("renamed_capture_named", Success, || renamed::captures(&mut bytes)).next(),
        Some(&mut 2)
    );
}

#[tokio::test(start_paused = true)]
async fn an_older_editions_unsafe_functions_and_traits_are_runs() {
    let byte = 7;
    // SAFETY: the pointer is to a local.
    assert_eq!(called("renamed_unsafe", Success, || unsafe { renamed::reads(&raw const byte) }), 7);
    // SAFETY: the pointer is to a local.
    let later = unsafe { renamed::reads_later(&raw const byte) };
    assert_eq!(ran("renamed_unsafe_async", Success, later).await, 7);
    let trial = Trial::new();
    assert_eq!(trial.run((1..3).total()).await, 3);
    let each = ("renamed_trait_impl", Success);
    trial.saw(&[each, each, each, ("renamed_trait", Success)]);
    assert_eq!(trial.run((1..1).total()).await, 0);
    trial.saw(&[each, ("renamed_trait", Failure)]);
}

#[tokio::test(start_paused = true)]
async fn a_crate_that_allows_nothing_allows_the_attribute() {
    assert_eq!(ran("strict_all_keys", Success, strict::all_keys("ab", 9)).await, Ok(7));
    assert_eq!(ran("strict_all_keys", Degraded, strict::all_keys("ab", 3)).await, Ok(1));
    assert_eq!(ran("strict_all_keys", Rejected, strict::all_keys("", 9)).await, Err(Refusal::Nothing));
    assert_eq!(ran("strict_all_keys", Rejected, strict::all_keys("ab", 1)).await, Err(Refusal::TooMuch));
    ran("strict_unit", Success, strict::unit()).await;
    called("strict_unit_sync", Success, || strict::unit_sync(&mut vec![]));
    let trial = Trial::new();
    assert!(futures::FutureExt::now_or_never(trial.run(strict::never())).is_none());
    trial.saw(&[("strict_never", Cancelled)]);
    assert_eq!(ran("strict_boxed", Success, strict::boxed(1)).await, 1);
    assert_eq!(ran("strict_alias", Failure, strict::alias(&[])).await, None);
    assert_eq!(ran("strict_opaque", Failure, strict::opaque(None::<u8>)).await, None);
    assert_eq!(ran("strict_tail", Success, strict::tail(Some(1))).await, Some(1));
    let sum = called("strict_patterns", Success, || strict::patterns((1, String::new()), [2, 0], "", vec![]));
    assert_eq!(sum.to_string(), "3");
    let shelf = strict::Shelf(["a", "b"]);
    assert_eq!(called("strict_method", Success, || shelf.first()), Some("a"));
    assert_eq!(ran("strict_method.strict_stage", Success, shelf.into_last()).await, Some("b"));
    let mut kept = String::new();
    assert_eq!(ran("strict_async_trait", Success, kept.keep("a".to_owned())).await, Ok("a"));
    assert_eq!(ran("strict_async_trait", Failure, kept.keep(String::new())).await, Err(Refusal::Nothing));
    ran("strict_async_trait_default", Success, kept.nothing()).await;
    let _: fn() -> ! = strict::never_sync;
}

#[test]
fn every_annotated_function_of_every_shape_is_registered_once() {
    let mut ids: Vec<_> = registry::all().map(|process| process.id()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
    assert!(all > 300, "{all}");
    assert_eq!(registry::validate(), []);
}
