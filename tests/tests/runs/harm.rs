//! Foreign code that panics: rules, sinks, recorded values and context expressions. A panic in one of them changes
//! nothing else.

use std::sync::Arc;

use process_runtime::observe::{End, RunView, Sink};
use process_runtime::testing::Domain;
use process_runtime::{Outcome, critical_process, record};

use super::{How, Log, Trouble, any_outcome, kind, logged};

fn is_bad(_: &u8) -> bool {
    panic!("the rule itself is broken")
}

#[critical_process(id = "misjudged", version = "1.0.0", sla = "10s", degraded = is_bad, error_type = kind)]
async fn misjudged(how: How) -> Result<u8, Trouble> {
    match how {
        How::Fail => Err(Trouble::Ours),
        _ => Ok(1),
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_panics_leaves_the_result_and_the_outcome_of_its_type() {
    let (domain, log) = logged();
    assert_eq!(domain.run(misjudged(How::Succeed)).await.unwrap(), 1);
    assert!(domain.run(misjudged(How::Fail)).await.is_err());
    let outcomes: Vec<_> = log.ends().iter().map(|end| (end.outcome, end.error_type)).collect();
    let trouble = std::any::type_name::<Trouble>();
    assert_eq!(outcomes, [(Outcome::Success, None), (Outcome::Failure, Some(trouble))]);
}

struct Unprintable;

impl std::fmt::Display for Unprintable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("cannot be printed")
    }
}

#[critical_process(id = "recording", version = "1.0.0", sla = "10s", context(later(what)))]
fn recording() -> u8 {
    record!(what = Unprintable);
    1
}

#[tokio::test(start_paused = true)]
async fn a_recorded_value_that_panics_is_left_out() {
    let (domain, log) = logged();
    assert_eq!(domain.call(recording), 1);
    assert_eq!(log.ends()[0].outcome, Outcome::Success);
}

/// A sink that always panics.
#[derive(Debug)]
struct Broken;

impl Sink for Broken {
    fn started(&self, _: &RunView<'_>) {
        panic!("a sink's own");
    }

    fn ended(&self, _: &RunView<'_>, _: &End) {
        panic!("a sink's own");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panics_harms_neither_the_result_nor_other_sinks() {
    let log = Log::default();
    let domain = Domain::builder().sink(Arc::new(Broken)).sink(Arc::new(log.clone())).build();
    for _ in 0..3 {
        assert_eq!(domain.run(any_outcome(How::Succeed)).await.unwrap(), How::Succeed);
    }
    assert_eq!(log.ends().len(), 3);
}

#[critical_process(id = "bad_context", version = "1.0.0", sla = "10s", context(part = &text[..100], size = text.len()))]
fn bad_context(text: &str) -> usize {
    text.len()
}

#[tokio::test(start_paused = true)]
async fn a_context_expression_that_panics_harms_only_itself() {
    let (domain, log) = logged();
    assert_eq!(domain.call(|| bad_context("short")), 5);
    assert_eq!(log.ends().len(), 1);
}
