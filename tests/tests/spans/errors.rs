//! The error type and the error text on a span.

use std::error::Error;
use std::panic::catch_unwind;

use process_runtime::critical_process;
use process_runtime::testing::Domain;
use process_tests::capture::Capture;

use super::{How, Trouble, settle};

#[tokio::test(start_paused = true)]
async fn a_failed_stage_is_an_error_on_its_own_span() {
    let (capture, _guard) = Capture::installed();
    Domain::new().run(settle("b-8", How::Fail)).await.unwrap_err();
    for name in ["settle.debit", "settle"] {
        let span = capture.only(name);
        assert_eq!(span.field("otel.status_code"), Some("ERROR"), "{name}");
        assert_eq!(span.field("error.type"), Some(std::any::type_name::<Trouble>()), "{name}");
    }
}

#[derive(Debug, thiserror::Error)]
#[error("SECRET-{0}")]
struct Secret(u32);

#[critical_process(id = "text_everywhere", version = "1.0.0", sla = "10s", error_text = everywhere)]
fn text_everywhere(panics: bool) -> Result<(), Secret> {
    if panics { panic!("SECRET-panic") } else { Err(Secret(1)) }
}

#[critical_process(id = "text_sentry", version = "1.0.0", sla = "10s", error_text = sentry)]
fn text_sentry(panics: bool) -> Result<(), Secret> {
    if panics { panic!("SECRET-panic") } else { Err(Secret(1)) }
}

#[critical_process(id = "text_never", version = "1.0.0", sla = "10s", error_text = never)]
fn text_never(panics: bool) -> Result<(), Secret> {
    if panics { panic!("SECRET-panic") } else { Err(Secret(1)) }
}

#[critical_process(id = "text_default", version = "1.0.0", sla = "10s")]
fn text_default(panics: bool) -> Result<(), Secret> {
    if panics { panic!("SECRET-panic") } else { Err(Secret(1)) }
}

#[test]
fn error_text_is_on_the_span_only_where_it_may_go_everywhere() {
    let (capture, _guard) = Capture::installed();
    for process in [text_everywhere, text_sentry, text_never, text_default] {
        process(false).unwrap_err();
        catch_unwind(|| process(true)).unwrap_err();
    }
    let texts: Vec<_> = capture
        .named("text_everywhere")
        .iter()
        .map(|span| span.fields["exception.message"].clone())
        .collect();
    assert_eq!(texts, ["SECRET-1", "SECRET-panic"]);
    for name in ["text_sentry", "text_never", "text_default"] {
        let spans = capture.named(name);
        assert_eq!(spans.len(), 2);
        assert!(!format!("{spans:?}").contains("SECRET"), "{spans:#?}");
    }
}

#[critical_process(id = "boxed_error", version = "1.0.0", sla = "10s")]
fn boxed_error() -> Result<(), Box<dyn Error + Send + Sync>> {
    Err("text".into())
}

#[critical_process(id = "any_error", version = "1.0.0", sla = "10s")]
fn any_error() -> anyhow::Result<()> {
    Err(anyhow::Error::new(Trouble::Ours).context("while it mattered"))
}

#[critical_process(id = "text_error", version = "1.0.0", sla = "10s")]
fn text_error() -> Result<(), String> {
    Err("text".to_owned())
}

#[critical_process(id = "no_result", version = "1.0.0", sla = "10s", fails(None))]
fn no_result() -> Option<u8> {
    None
}

#[test]
fn an_error_type_is_the_name_of_the_type_by_default() {
    let (capture, _guard) = Capture::installed();
    let _ = boxed_error();
    let _ = any_error();
    let _ = text_error();
    let _ = no_result();
    for (name, error_type) in [
        ("boxed_error", std::any::type_name::<Box<dyn Error + Send + Sync>>()),
        ("any_error", std::any::type_name::<anyhow::Error>()),
        ("text_error", std::any::type_name::<String>()),
        ("no_result", "_OTHER"),
    ] {
        assert_eq!(capture.only(name).field("error.type"), Some(error_type));
    }
}

const KINDS: [&str; 40] = [
    "e00", "e01", "e02", "e03", "e04", "e05", "e06", "e07", "e08", "e09", "e10", "e11", "e12", "e13", "e14",
    "e15", "e16", "e17", "e18", "e19", "e20", "e21", "e22", "e23", "e24", "e25", "e26", "e27", "e28", "e29",
    "e30", "e31", "e32", "e33", "e34", "e35", "e36", "e37", "e38", "e39",
];

#[critical_process(id = "many_kinds", version = "1.0.0", sla = "10s", error_type = kind_of)]
fn many_kinds(kind: usize) -> Result<(), usize> {
    Err(kind)
}

fn kind_of(kind: &usize) -> &'static str {
    KINDS[*kind]
}

#[tokio::test(start_paused = true)]
async fn past_32_error_types_a_process_reports_other() {
    let (capture, _guard) = Capture::installed();
    Domain::new().call(|| {
        for kind in 0..KINDS.len() {
            let _ = many_kinds(kind);
        }
        // The first 32 error types are still reported by their own names.
        let _ = many_kinds(3);
    });
    let spans = capture.named("many_kinds");
    let types: Vec<_> = spans.iter().map(|span| span.field("error.type").unwrap()).collect();
    assert_eq!(types[..32], KINDS[..32]);
    assert_eq!(types[32..40], ["_OTHER"; 8]);
    assert_eq!(types[40], "e03");
}

#[critical_process(id = "odd_panic", version = "1.0.0", sla = "10s", error_text = everywhere)]
fn odd_panic() {
    std::panic::panic_any(42_u8);
}

#[test]
fn a_panic_with_no_text_is_a_panic_all_the_same_and_arrives_unchanged() {
    let (capture, _guard) = Capture::installed();
    let payload = catch_unwind(odd_panic).unwrap_err();
    assert_eq!(payload.downcast_ref::<u8>(), Some(&42));
    let span = capture.only("odd_panic");
    assert_eq!(span.field("error.type"), Some("panic"));
    assert_eq!(span.field("exception.message"), None);
}
