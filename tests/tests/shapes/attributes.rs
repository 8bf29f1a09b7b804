//! Other attributes on the same function keep their effect.

use process_runtime::Outcome::{Failure, Success};
use process_runtime::{critical_process, stage};

use super::trial::{Trial, called, ran};

#[inline(never)]
#[cold]
#[must_use = "a fixture"]
#[critical_process(id = "attr_plain", version = "1.0.0", sla = "10s")]
#[doc(hidden)]
pub(crate) fn plain() -> Result<u8, u8> {
    Err(1)
}

#[deprecated(note = "a fixture")]
#[critical_process(id = "attr_deprecated", version = "1.0.0", sla = "10s")]
async fn deprecated() -> u8 {
    1
}

#[cfg(target_arch = "x86_64")]
#[critical_process(id = "attr_target_feature", version = "1.0.0", sla = "10s")]
#[target_feature(enable = "sse2")]
fn target_feature(of: u8) -> u8 {
    needs_sse2(of)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
fn needs_sse2(of: u8) -> u8 {
    of + 1
}

#[expect(unused_variables, reason = "the lint must still be about the function")]
#[critical_process(id = "attr_expect", version = "1.0.0", sla = "10s")]
async fn expects_a_lint(unused: u8) {
    let also_unused = 1;
}

#[critical_process(id = "attr_expect_below", version = "1.0.0", sla = "10s")]
#[expect(unused_mut, reason = "the lint must still be about the body")]
fn expects_a_lint_below(mut of: u8) -> u8 {
    return of;
}

#[cfg_attr(all(), critical_process(id = "attr_cfg_attr", version = "1.0.0", sla = "10s"))]
#[cfg_attr(any(), critical_process)]
fn behind_cfg_attr() -> u8 {
    1
}

#[cfg(any())]
#[critical_process(id = "attr_cfg_out", version = "1.0.0", sla = "10s")]
fn gone() -> Missing {}

#[critical_process(id = "attr_inner", version = "1.0.0", sla = "10s")]
fn inner_attributes() -> u8 {
    #![allow(unused_variables, reason = "a fixture")]
    //! Documented from inside.
    let unused = 1;
    2
}

#[tracing::instrument(skip_all)]
#[critical_process(id = "attr_under_instrument", version = "1.0.0", sla = "10s")]
async fn under_instrument(of: &str) -> Result<u8, std::num::ParseIntError> {
    of.parse()
}

#[critical_process(id = "attr_over_instrument", version = "1.0.0", sla = "10s")]
#[tracing::instrument(skip_all, err)]
async fn over_instrument(of: &str) -> Result<u8, std::num::ParseIntError> {
    let number = of.parse()?;
    Ok(number)
}

#[critical_process(id = "attr_over_instrument_sync", version = "1.0.0", sla = "10s")]
#[tracing::instrument(ret, err)]
fn over_instrument_sync(of: &str) -> Result<u8, std::num::ParseIntError> {
    let number = of.parse()?;
    Ok(number)
}

#[tokio::test(start_paused = true)]
async fn what_other_attributes_say_still_holds() {
    assert_eq!(called("attr_plain", Failure, plain), Err(1));
    #[allow(deprecated, reason = "what the fixture is about")]
    let deprecated = deprecated();
    assert_eq!(ran("attr_deprecated", Success, deprecated).await, 1);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has SSE2.
    assert_eq!(called("attr_target_feature", Success, || unsafe { target_feature(1) }), 2);
    ran("attr_expect", Success, expects_a_lint(1)).await;
    assert_eq!(called("attr_expect_below", Success, || expects_a_lint_below(1)), 1);
    assert_eq!(called("attr_cfg_attr", Success, behind_cfg_attr), 1);
    assert_eq!(called("attr_inner", Success, inner_attributes), 2);
}

#[tokio::test(start_paused = true)]
async fn it_works_above_and_below_tracings_attribute() {
    assert_eq!(ran("attr_under_instrument", Success, under_instrument("1")).await, Ok(1));
    assert!(ran("attr_under_instrument", Failure, under_instrument("")).await.is_err());
    assert_eq!(ran("attr_over_instrument", Success, over_instrument("1")).await, Ok(1));
    assert!(ran("attr_over_instrument", Failure, over_instrument("")).await.is_err());
    assert_eq!(called("attr_over_instrument_sync", Success, || over_instrument_sync("1")), Ok(1));
    assert!(called("attr_over_instrument_sync", Failure, || over_instrument_sync("")).is_err());
}

#[critical_process(id = "attr_main_above", version = "1.0.0", sla = "10s")]
#[tokio::main(flavor = "current_thread", crate = "tokio")]
async fn main_above() -> Result<u8, String> {
    tokio::task::yield_now().await;
    Err("above".to_owned())
}

#[tokio::main(flavor = "current_thread")]
#[critical_process(id = "attr_main_below", version = "1.0.0", sla = "10s")]
async fn main_below() -> Result<u8, String> {
    tokio::task::yield_now().await;
    Err("below".to_owned())
}

#[test]
fn it_works_above_and_below_tokios_main() {
    assert_eq!(main_above(), Err("above".to_owned()));
    assert_eq!(main_below(), Err("below".to_owned()));
    for id in ["attr_main_above", "attr_main_below"] {
        let stats = process_runtime::registry::stats(id).unwrap();
        assert_eq!((stats.started, stats.ended.count(Failure)), (1, 1), "{id}");
    }
}

#[tokio::test(start_paused = true)]
#[critical_process(id = "attr_test_above", version = "1.0.0", sla = "10s")]
async fn a_test_may_be_a_process() -> Result<(), String> {
    tokio::task::yield_now().await;
    Ok(())
}

#[critical_process(id = "attr_test_below", version = "1.0.0", sla = "10s")]
#[test]
fn a_plain_test_may_be_a_process() {}

/// Shared between processes.
#[stage(id = "attr_stage")]
#[must_use]
#[inline]
fn staged(of: u8) -> Result<u8, u8> {
    of.checked_sub(1).ok_or(of)
}

#[critical_process(id = "attr_staged", version = "1.0.0", sla = "10s")]
fn with_stages(of: u8) -> Result<u8, u8> {
    let once = staged(of)?;
    staged(once).or(Ok(once))
}

#[tokio::test(start_paused = true)]
async fn a_stage_counts_for_the_process_around_it() {
    let trial = Trial::new();
    assert_eq!(trial.call(|| with_stages(1)), Ok(0));
    trial.saw(&[
        ("attr_staged.attr_stage", Success),
        ("attr_staged.attr_stage", Failure),
        ("attr_staged", Success),
    ]);
}
