//! The sizes of texts from outside. A longer text is cut at the border of a character and marked.

use process_runtime::context::Scope;
use process_runtime::{Install, Limits, critical_process, record};
use process_tests::capture::Capture;
use process_tests::events::Inbox;
use process_tests::isolated::isolated;

const MARK: &str = " bytes]";

#[critical_process(
    id = "wordy",
    version = "1.0.0",
    sla = "10s",
    context(text, shown = %text, debugged = ?text, optional = Some(text), inherit(scoped), later(recorded)),
    error_text = everywhere
)]
fn wordy(text: &str) -> Result<(), String> {
    record!(recorded = text);
    Err(text.to_owned())
}

/// Runs `wordy` with 1 MB of text, and returns the fields of its span.
fn fields() -> std::collections::BTreeMap<String, String> {
    let (capture, _subscriber) = Capture::installed();
    let text = "é".repeat(500_000);
    Scope::new().set("scoped", &text).run(|| wordy(&text)).unwrap_err();
    capture.only("wordy").fields
}

#[test]
fn a_context_value_has_at_most_1_kib_and_an_error_8() {
    let fields = fields();
    for key in ["text", "shown", "optional", "scoped", "recorded"] {
        assert_eq!(fields[key], format!("{}…[+{} bytes]", "é".repeat(512), 1_000_000 - 1024), "{key}");
    }
    assert!(fields["debugged"].len() < 1024 + 64 && fields["debugged"].ends_with(MARK));
    let message = &fields["exception.message"];
    assert_eq!(*message, format!("{}…[+{} bytes]", "é".repeat(4096), 1_000_000 - 8192));
}

#[test]
fn the_limits_can_be_changed() {
    isolated(|| {
        let mut limits = Limits::default();
        (limits.context_value, limits.error_text) = (10, 5);
        let installation = Install::new().limits(limits).start();
        let fields = fields();
        assert_eq!(fields["text"], format!("ééééé…[+{} bytes]", 1_000_000 - 10));
        assert_eq!(fields["exception.message"], format!("éé…[+{} bytes]", 1_000_000 - 4));
        installation.stop();
    });
}

#[test]
fn a_value_that_fits_is_whole() {
    let (capture, _subscriber) = Capture::installed();
    let text = "x".repeat(1024);
    wordy(&text).unwrap_err();
    assert_eq!(capture.only("wordy").field("text"), Some(&*text));
}

#[test]
fn the_text_of_an_event_is_bounded() {
    let (inbox, _guard) = Inbox::bound();
    wordy(&"x".repeat(3_000_000)).unwrap_err();
    assert!(inbox.take().wire.len() < 32 << 10);
}

/// A value whose text never ends.
struct Endless;

impl std::fmt::Display for Endless {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        loop {
            f.write_str("and on ")?;
        }
    }
}

#[critical_process(id = "patient", version = "1.0.0", sla = "10s", context(value = %Endless))]
fn patient() {}

#[test]
fn a_value_whose_text_never_ends_costs_its_limit() {
    let (capture, _subscriber) = Capture::installed();
    patient();
    let fields = capture.only("patient").fields;
    assert_eq!(fields["value"], format!("{}an…[+5 bytes]", "and on ".repeat(146)));
}

#[test]
fn a_text_that_ends_like_a_mark_is_cut_like_any_other() {
    let (capture, _subscriber) = Capture::installed();
    let forged = format!("{}…[+7 bytes]", "x".repeat(1024));
    wordy(&forged).unwrap_err();
    let fields = capture.only("wordy").fields;
    assert_eq!(fields["text"], format!("{}…[+13 bytes]", "x".repeat(1024)));
}

/// A value that the application cuts itself, with the text of the toolkit.
struct Delegating(String);

impl process_runtime::context::ContextValue for Delegating {
    fn to_value(&self) -> Option<process_runtime::context::Value> {
        self.0.to_value()
    }
}

#[critical_process(id = "delegated", version = "1.0.0", sla = "10s", context(value))]
fn delegated(value: &Delegating) {
    let _ = value.0.len();
}

#[test]
fn a_value_that_is_cut_before_keeps_its_mark() {
    let (capture, _subscriber) = Capture::installed();
    delegated(&Delegating("x".repeat(5000)));
    let fields = capture.only("delegated").fields;
    assert_eq!(fields["value"], format!("{}…[+{} bytes]", "x".repeat(1024), 5000 - 1024));
}
