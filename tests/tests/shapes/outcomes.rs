//! The outcome of a return value, by its type and by the rules of the attribute.

use std::fmt;
use std::io;

use process_runtime::Outcome::{Degraded, Failure, Rejected, Success};
use process_runtime::{Verdict, critical_process, stage};

use super::trial::{Trial, called, ran};

mod aliases {
    pub(super) type Result<T = (), E = super::Refused> = std::result::Result<T, E>;
    pub(super) type Swapped<E, T> = std::result::Result<T, E>;
    pub(super) type Fixed = std::result::Result<u8, String>;
    pub(super) type Deep<T> = Swapped<super::Refused, T>;
    pub(super) type Maybe<T> = Option<T>;
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
enum Refused {
    #[error("empty")]
    Empty,
    #[error("long by {0}")]
    Long(usize),
    #[error("broken in {part}")]
    Broken { part: &'static str, code: u16 },
}

impl Refused {
    fn kind(&self) -> &'static str {
        match self {
            Refused::Empty => "empty",
            Refused::Long(_) => "long",
            Refused::Broken { part, .. } => part,
        }
    }
}

#[critical_process(id = "type_io", version = "1.0.0", sla = "10s")]
async fn by_io() -> io::Result<u8> {
    Err(io::ErrorKind::Other.into())
}

#[critical_process(id = "type_fmt", version = "1.0.0", sla = "10s")]
fn by_fmt() -> fmt::Result {
    Err(fmt::Error)
}

#[critical_process(id = "type_own", version = "1.0.0", sla = "10s")]
async fn by_own_alias() -> aliases::Result {
    Err(Refused::Empty)
}

#[critical_process(id = "type_swapped", version = "1.0.0", sla = "10s", rejects(Refused::Long(1..)))]
fn by_swapped_alias(of: usize) -> aliases::Swapped<Refused, u8> {
    if of > 3 { Err(Refused::Long(of - 3)) } else { Ok(0) }
}

#[critical_process(id = "type_fixed", version = "1.0.0", sla = "10s")]
async fn by_fixed_alias() -> aliases::Fixed {
    Err(String::new())
}

#[critical_process(id = "type_deep", version = "1.0.0", sla = "10s", degraded = <[u8]>::is_empty)]
fn by_deep_alias(of: &[u8]) -> aliases::Deep<&[u8]> {
    Ok(of)
}

#[critical_process(id = "type_maybe", version = "1.0.0", sla = "10s")]
async fn by_maybe() -> aliases::Maybe<Result<u8, u8>> {
    Some(Err(1))
}

#[critical_process(id = "type_unit_error", version = "1.0.0", sla = "10s")]
fn by_unit_error() -> Result<(), ()> {
    Err(())
}

struct Nothing;

#[critical_process(id = "type_opaque_error", version = "1.0.0", sla = "10s", error_type = named)]
async fn by_opaque_error() -> Result<Nothing, Nothing> {
    Err(Nothing)
}

fn named(_: &Nothing) -> &'static str {
    "nothing"
}

#[critical_process(id = "type_poll", version = "1.0.0", sla = "10s")]
fn by_poll() -> std::task::Poll<Result<u8, u8>> {
    std::task::Poll::Ready(Err(1))
}

#[critical_process(
    id = "type_control_flow",
    version = "1.0.0",
    sla = "10s",
    fails(std::ops::ControlFlow::Break(0))
)]
fn by_control_flow(of: u8) -> std::ops::ControlFlow<u8> {
    std::ops::ControlFlow::Break(of)
}

#[tokio::test(start_paused = true)]
async fn a_result_is_one_by_its_type_and_under_any_name() {
    assert!(ran("type_io", Failure, by_io()).await.is_err());
    assert!(called("type_fmt", Failure, by_fmt).is_err());
    assert_eq!(ran("type_own", Failure, by_own_alias()).await, Err(Refused::Empty));
    assert_eq!(called("type_swapped", Success, || by_swapped_alias(3)), Ok(0));
    assert_eq!(called("type_swapped", Rejected, || by_swapped_alias(4)), Err(Refused::Long(1)));
    assert!(ran("type_fixed", Failure, by_fixed_alias()).await.is_err());
    assert_eq!(called("type_deep", Degraded, || by_deep_alias(&[])), Ok(&[][..]));
    assert_eq!(called("type_deep", Success, || by_deep_alias(&[1])), Ok(&[1][..]));
    assert_eq!(called("type_unit_error", Failure, by_unit_error), Err(()));
    let trial = Trial::new();
    assert!(trial.run(by_opaque_error()).await.is_err());
    trial.saw(&[("type_opaque_error", Failure)]);
    assert_eq!(trial.error_type(), Some("nothing"));
}

#[tokio::test(start_paused = true)]
async fn a_return_that_is_not_a_result_succeeds_unless_a_rule_decides() {
    assert_eq!(ran("type_maybe", Success, by_maybe()).await, Some(Err(1)));
    assert!(called("type_poll", Success, by_poll).is_ready());
    assert!(called("type_control_flow", Failure, || by_control_flow(0)).is_break());
    assert!(called("type_control_flow", Success, || by_control_flow(1)).is_break());
}

#[critical_process(
    id = "rule_rejects",
    version = "1.0.0",
    sla = "10s",
    rejects(
        Refused::Empty | Refused::Long(_),
        Refused::Broken { code: 400..=499, .. },
        Refused::Broken { part, code } if part.len() == 1 && *code != 0,
        error if error.kind() == "by_guard",
    ),
    error_type = Refused::kind,
)]
async fn rejects(with: Option<Refused>) -> Result<(), Refused> {
    tokio::task::yield_now().await;
    with.map_or(Ok(()), Err)
}

#[tokio::test(start_paused = true)]
async fn rejects_takes_patterns_and_guards() {
    let broken = |part, code| Some(Refused::Broken { part, code });
    for (with, outcome, error_type) in [
        (None, Success, None),
        (Some(Refused::Empty), Rejected, Some("empty")),
        (Some(Refused::Long(1)), Rejected, Some("long")),
        (broken("api", 404), Rejected, Some("api")),
        (broken("api", 500), Failure, Some("api")),
        (broken("x", 500), Rejected, Some("x")),
        (broken("x", 0), Failure, Some("x")),
        (broken("by_guard", 0), Rejected, Some("by_guard")),
    ] {
        let trial = Trial::new();
        assert_eq!(trial.run(rejects(with.clone())).await, with.map_or(Ok(()), Err));
        trial.saw(&[("rule_rejects", outcome)]);
        assert_eq!(trial.error_type(), error_type);
    }
}

#[critical_process(id = "rule_rejects_text", version = "1.0.0", sla = "10s", rejects(text if text.starts_with("no ")))]
fn rejects_text(with: &str) -> Result<(), String> {
    Err(with.to_owned())
}

#[critical_process(id = "rule_rejects_str", version = "1.0.0", sla = "10s", rejects(&"bad" | &"worse"))]
async fn rejects_str(with: &'static str) -> Result<(), &'static str> {
    Err(with)
}

#[critical_process(id = "rule_rejects_number", version = "1.0.0", sla = "10s", rejects(400..=499, 0))]
async fn rejects_number(with: u16) -> Result<(), u16> {
    Err(with)
}

#[critical_process(id = "rule_rejects_const", version = "1.0.0", sla = "10s", rejects(&limits::TOO_MANY, (1, _)))]
fn rejects_const(with: (u8, u8)) -> Result<(), (u8, u8)> {
    Err(with)
}

mod limits {
    pub(super) const TOO_MANY: (u8, u8) = (9, 9);
}

#[tokio::test(start_paused = true)]
async fn rejects_looks_at_errors_of_every_type() {
    assert!(called("rule_rejects_text", Rejected, || rejects_text("no milk")).is_err());
    assert!(called("rule_rejects_text", Failure, || rejects_text("fire")).is_err());
    assert!(ran("rule_rejects_str", Rejected, rejects_str("worse")).await.is_err());
    assert!(ran("rule_rejects_str", Failure, rejects_str("fine")).await.is_err());
    assert!(ran("rule_rejects_number", Rejected, rejects_number(404)).await.is_err());
    assert!(ran("rule_rejects_number", Rejected, rejects_number(0)).await.is_err());
    assert!(ran("rule_rejects_number", Failure, rejects_number(500)).await.is_err());
    assert!(called("rule_rejects_const", Rejected, || rejects_const((9, 9))).is_err());
    assert!(called("rule_rejects_const", Rejected, || rejects_const((1, 0))).is_err());
    assert!(called("rule_rejects_const", Failure, || rejects_const((9, 0))).is_err());
}

#[critical_process(id = "rule_fails", version = "1.0.0", sla = "10s", fails(None, Some([]), Some(many) if many.len() > 2))]
async fn fails(with: Option<&[u8]>) -> Option<&[u8]> {
    with
}

#[critical_process(
    id = "rule_fails_result",
    version = "1.0.0",
    sla = "10s",
    fails(Ok(None)),
    rejects(Refused::Empty)
)]
fn fails_in_a_result(with: Result<Option<u8>, Refused>) -> Result<Option<u8>, Refused> {
    with
}

#[critical_process(id = "rule_fails_bool", version = "1.0.0", sla = "10s", fails(false))]
fn fails_on_false(with: bool) -> bool {
    with
}

#[critical_process(id = "rule_fails_boxed", version = "1.0.0", sla = "10s", fails(None))]
fn fails_boxed(with: Option<u8>) -> futures::future::BoxFuture<'static, Option<u8>> {
    Box::pin(std::future::ready(with))
}

#[tokio::test(start_paused = true)]
async fn fails_takes_patterns_of_the_whole_return() {
    assert_eq!(ran("rule_fails", Failure, fails(None)).await, None);
    assert_eq!(ran("rule_fails", Failure, fails(Some(&[]))).await, Some(&[][..]));
    assert!(ran("rule_fails", Failure, fails(Some(&[1, 2, 3]))).await.is_some());
    assert!(ran("rule_fails", Success, fails(Some(&[1]))).await.is_some());
    assert_eq!(called("rule_fails_result", Failure, || fails_in_a_result(Ok(None))), Ok(None));
    assert_eq!(called("rule_fails_result", Success, || fails_in_a_result(Ok(Some(1)))), Ok(Some(1)));
    assert!(called("rule_fails_result", Rejected, || fails_in_a_result(Err(Refused::Empty))).is_err());
    assert!(called("rule_fails_result", Failure, || fails_in_a_result(Err(Refused::Long(1)))).is_err());
    assert!(!called("rule_fails_bool", Failure, || fails_on_false(false)));
    assert!(called("rule_fails_bool", Success, || fails_on_false(true)));
    assert_eq!(ran("rule_fails_boxed", Failure, fails_boxed(None)).await, None);
}

#[derive(Debug, PartialEq)]
struct Answer {
    from_cache: bool,
    rows: usize,
}

impl Answer {
    fn is_stale(&self) -> bool {
        self.from_cache
    }

    fn verdict(&self) -> Verdict {
        match self.rows {
            0 => Verdict::Failure("no_rows"),
            1 => Verdict::Rejected("one_row"),
            _ if self.from_cache => Verdict::Degraded,
            _ => Verdict::Success,
        }
    }
}

#[critical_process(id = "rule_degraded", version = "1.0.0", sla = "10s", degraded = Answer::is_stale)]
async fn degraded(from_cache: bool) -> io::Result<Answer> {
    Ok(Answer { from_cache, rows: 1 })
}

#[critical_process(id = "rule_degraded_plain", version = "1.0.0", sla = "10s", degraded = str::is_empty)]
fn degraded_plain(with: &str) -> &str {
    with
}

#[critical_process(id = "rule_degraded_option", version = "1.0.0", sla = "10s", degraded = Option::is_none)]
async fn degraded_option(with: Option<u8>) -> Option<u8> {
    with
}

#[critical_process(id = "rule_outcome", version = "1.0.0", sla = "10s", outcome = Answer::verdict)]
async fn outcome(rows: usize, from_cache: bool) -> Answer {
    Answer { from_cache, rows }
}

#[critical_process(id = "rule_outcome_result", version = "1.0.0", sla = "10s", outcome = judge_result, error_type = Refused::kind)]
fn outcome_of_a_result(with: Result<u8, Refused>) -> Result<u8, Refused> {
    with
}

fn judge_result(returned: &Result<u8, Refused>) -> Verdict {
    match returned {
        Ok(0) => Verdict::Failure("zero"),
        Ok(_) => Verdict::Success,
        Err(_) => Verdict::Rejected("replaced"),
    }
}

#[critical_process(id = "rule_outcome_const", version = "1.0.0", sla = "10s", outcome = JUDGE)]
fn outcome_by_a_constant() -> u8 {
    1
}

const JUDGE: fn(&u8) -> Verdict = |_| Verdict::Degraded;

#[stage(id = "rule_stage", process = "rule_outcome_const", fails(None), error_type = kind_of_none)]
fn staged(with: Option<Result<u8, u8>>) -> Option<Result<u8, u8>> {
    with
}

fn kind_of_none<T>(_: &T) -> &'static str {
    "none"
}

#[tokio::test(start_paused = true)]
async fn degraded_and_outcome_are_functions_of_the_value() {
    assert!(ran("rule_degraded", Degraded, degraded(true)).await.is_ok());
    assert!(ran("rule_degraded", Success, degraded(false)).await.is_ok());
    assert_eq!(called("rule_degraded_plain", Degraded, || degraded_plain("")), "");
    assert_eq!(called("rule_degraded_plain", Success, || degraded_plain("a")), "a");
    assert_eq!(ran("rule_degraded_option", Degraded, degraded_option(None)).await, None);
    for (rows, from_cache, expected) in
        [(0, false, Failure), (1, false, Rejected), (2, true, Degraded), (2, false, Success)]
    {
        assert_eq!(ran("rule_outcome", expected, outcome(rows, from_cache)).await.rows, rows);
    }
    assert_eq!(called("rule_outcome_const", Degraded, outcome_by_a_constant), 1);
    let trial = Trial::new();
    assert!(trial.call(|| outcome_of_a_result(Ok(0))).is_ok());
    assert_eq!(trial.error_type(), Some("zero"));
    assert!(trial.call(|| outcome_of_a_result(Err(Refused::Empty))).is_err());
    assert_eq!(trial.error_type(), Some("empty"));
    trial.saw(&[("rule_outcome_result", Failure), ("rule_outcome_result", Rejected)]);
    assert_eq!(trial.call(|| staged(None)), None);
    trial.saw(&[("rule_outcome_const.rule_stage", Failure)]);
}

#[critical_process(id = "rule_generic", version = "1.0.0", sla = "10s", rejects(None), degraded = Vec::is_empty, error_type = kind_of_none)]
async fn rules_of_a_generic_function<T: Clone, E: Clone>(
    with: &Result<Vec<T>, Option<E>>,
) -> Result<Vec<T>, Option<E>> {
    with.clone()
}

struct Typed<E>(std::marker::PhantomData<E>);

impl<E: std::error::Error + PartialEq + 'static> Typed<E> {
    #[critical_process(id = "rule_method", version = "1.0.0", sla = "10s", rejects(error if Self::is_mine(error)), error_type = Self::kind)]
    fn attempt(&self, with: E) -> Result<(), E> {
        Err(with)
    }

    fn is_mine(error: &E) -> bool {
        error.source().is_none()
    }

    fn kind(_: &E) -> &'static str {
        std::any::type_name::<Self>()
    }
}

#[tokio::test(start_paused = true)]
async fn rules_may_name_generics_and_self() {
    let with: Result<Vec<u8>, Option<u8>> = Ok(vec![]);
    assert!(ran("rule_generic", Degraded, rules_of_a_generic_function(&with)).await.is_ok());
    let with: Result<Vec<u8>, Option<u8>> = Err(None);
    assert!(ran("rule_generic", Rejected, rules_of_a_generic_function(&with)).await.is_err());
    let with: Result<Vec<u8>, Option<u8>> = Err(Some(1));
    assert!(ran("rule_generic", Failure, rules_of_a_generic_function(&with)).await.is_err());
    let typed = Typed(std::marker::PhantomData);
    assert!(called("rule_method", Rejected, || typed.attempt(fmt::Error)).is_err());
}

mod constants {
    use super::*;

    #[critical_process(
        id = "rule_rejects_path",
        version = "1.0.0",
        sla = "10s",
        rejects(http::StatusCode::CONFLICT)
    )]
    fn rejects_a_constant(with: http::StatusCode) -> Result<(), http::StatusCode> {
        Err(with)
    }

    #[critical_process(id = "rule_rejects_literal", version = "1.0.0", sla = "10s", rejects("bad"))]
    fn rejects_a_literal(with: &'static str) -> Result<(), &'static str> {
        Err(with)
    }

    #[tokio::test(start_paused = true)]
    async fn a_constant_or_a_literal_is_a_pattern_as_in_any_match() {
        assert!(
            called("rule_rejects_path", Rejected, || rejects_a_constant(http::StatusCode::CONFLICT)).is_err()
        );
        assert!(called("rule_rejects_literal", Rejected, || rejects_a_literal("bad")).is_err());
    }
}
