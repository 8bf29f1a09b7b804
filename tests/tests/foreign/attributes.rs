//! Code of an attribute that calls its own process: context expressions, rules, and what they ask of the return value.
//! The toolkit evaluates such code once on a thread, so the call ends. Every run is counted.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use process_runtime::testing::Domain;
use process_runtime::{Outcome, Verdict, critical_process, record};
use process_tests::capture::Capture;
use process_tests::events::Inbox;
use process_tests::isolated::isolated;
use process_tests::sink::Log;

use super::{Plain, innocent};

/// Calls its own process from an expression.
#[critical_process(id = "in_context", version = "1.0.0", sla = "10s", context(n = in_context()))]
fn in_context() -> u64 {
    1
}

struct Shown;

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", in_display())
    }
}

#[critical_process(id = "in_display", version = "1.0.0", sla = "10s", context(n = %Shown))]
fn in_display() -> u64 {
    1
}

#[critical_process(id = "in_record", version = "1.0.0", sla = "10s", context(later(n)))]
fn in_record() -> u64 {
    record!(n = in_record());
    1
}

#[critical_process(id = "in_outcome", version = "1.0.0", sla = "10s", outcome = judges)]
fn in_outcome() -> u64 {
    1
}

fn judges(_: &u64) -> Verdict {
    in_outcome();
    Verdict::Success
}

#[critical_process(id = "in_degraded", version = "1.0.0", sla = "10s", degraded = is_degraded)]
fn in_degraded() -> u64 {
    1
}

fn is_degraded(_: &u64) -> bool {
    in_degraded() > 1
}

#[critical_process(id = "in_fails", version = "1.0.0", sla = "10s", fails(n if *n < in_fails()))]
fn in_fails() -> u64 {
    1
}

#[critical_process(id = "in_rejects", version = "1.0.0", sla = "10s", rejects(_error if in_rejects().is_ok()))]
fn in_rejects() -> Result<u64, Plain> {
    Err(Plain)
}

#[critical_process(id = "in_error_type", version = "1.0.0", sla = "10s", error_type = kind)]
fn in_error_type() -> Result<u64, Plain> {
    Err(Plain)
}

fn kind(_: &Plain) -> &'static str {
    in_error_type().unwrap_err();
    "kind"
}

/// An error whose source is the result of a process.
#[derive(Debug)]
struct Searched;

impl fmt::Display for Searched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("searched")
    }
}

impl Error for Searched {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        in_source().unwrap_err();
        None
    }
}

#[critical_process(id = "in_source", version = "1.0.0", sla = "10s", rejects(as Plain: _))]
fn in_source() -> Result<u64, Searched> {
    Err(Searched)
}

/// A report that runs its process when it is asked for its error.
#[derive(Debug)]
struct Report(Plain);

impl AsRef<dyn Error + Send + Sync> for Report {
    fn as_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        in_as_ref().unwrap_err();
        &self.0
    }
}

#[critical_process(id = "in_as_ref", version = "1.0.0", sla = "10s")]
fn in_as_ref() -> Result<u64, Report> {
    Err(Report(Plain))
}

type Case = (&'static str, fn() -> Option<u64>);

const CASES: [Case; 10] = [
    ("in_context", || Some(in_context())),
    ("in_display", || Some(in_display())),
    ("in_record", || Some(in_record())),
    ("in_outcome", || Some(in_outcome())),
    ("in_degraded", || Some(in_degraded())),
    ("in_fails", || Some(in_fails())),
    ("in_rejects", || in_rejects().ok()),
    ("in_error_type", || in_error_type().ok()),
    ("in_source", || in_source().ok()),
    ("in_as_ref", || in_as_ref().ok()),
];

#[test]
fn code_of_an_attribute_may_call_its_own_process() {
    isolated(|| {
        for (id, call) in CASES {
            eprintln!("{id}");
            let (inbox, _hub) = Inbox::bound();
            let (capture, _subscriber) = Capture::installed();
            let log = Log::default();
            let domain = Domain::builder().sink(Arc::new(log.clone())).build();
            domain.call(call);
            // The other run is that of the code, and evaluates no code itself. A source is also called for reports.
            let stats = domain.stats(id).unwrap();
            let once = if id == "in_source" { 2..20 } else { 2..3 };
            assert!(once.contains(&stats.started), "{id}: {}", stats.started);
            assert_eq!(stats.ended.total(), stats.started, "{id}");
            assert!(log.ends().len() >= 2, "{id}");
            assert!(domain.in_flight().is_empty());
            assert!(capture.spans().iter().all(|span| span.closed), "{id}");
            inbox.take();
            // The next run evaluates its code again.
            domain.call(call);
            assert_eq!(domain.stats(id).unwrap().started, 2 * stats.started, "{id}");
        }
    });
}

#[test]
fn a_run_inside_of_an_expression_takes_no_context_and_applies_no_rules() {
    let log = Log::default();
    let domain = Domain::builder().sink(Arc::new(log.clone())).build();
    assert_eq!(domain.call(in_context), 1);
    let contexts: Vec<_> = log.entries().into_iter().map(|entry| entry.context).collect();
    // The inner run starts and ends before the outer one has its context.
    let taken = vec![("n", "1".to_owned())];
    assert_eq!(contexts, [vec![], vec![], taken.clone(), taken]);

    let log = Log::default();
    let domain = Domain::builder().sink(Arc::new(log.clone())).build();
    domain.call(in_error_type).unwrap_err();
    let kinds: Vec<_> = log.ends().into_iter().filter_map(|end| end.error_type).collect();
    assert_eq!(kinds, [std::any::type_name::<Plain>(), "kind"]);
}

/// An error whose text is the result of its process.
#[derive(Debug)]
struct Told;

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        telling().unwrap_err();
        f.write_str("shown")
    }
}

impl Error for Told {}

#[critical_process(id = "telling", version = "1.0.0", sla = "10s", error_text = everywhere)]
fn telling() -> Result<u64, Told> {
    Err(Told)
}

#[test]
fn a_text_for_the_span_may_call_its_own_process_and_the_span_is_closed() {
    isolated(|| {
        let (capture, _subscriber) = Capture::installed();
        telling().unwrap_err();
        let spans = capture.spans();
        assert!(spans.iter().all(|span| span.closed), "{spans:?}");
        assert_eq!(spans[0].fields.get("exception.message").map(String::as_str), Some("shown"));
        let (inbox, _hub) = Inbox::bound();
        telling().unwrap_err();
        assert_eq!(inbox.take().events.len(), 1);
    });
}

/// A value that counts how often it is shown, and panics.
struct Fragile(Arc<AtomicUsize>);

impl fmt::Display for Fragile {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("not to be shown")
    }
}

#[critical_process(id = "fragile_value", version = "1.0.0", sla = "10s", context(value = %*value))]
fn fragile_value(value: &Fragile) -> u64 {
    innocent(value.0.load(Ordering::Relaxed) as u64)
}

#[test]
fn code_that_panics_does_not_keep_later_code_from_being_evaluated() {
    let shown = Arc::new(AtomicUsize::new(0));
    let domain = Domain::new();
    for run in 1..=3 {
        assert_eq!(domain.call(|| fragile_value(&Fragile(Arc::clone(&shown)))), run);
    }
    assert_eq!(domain.stats("fragile_value").unwrap().ended.count(Outcome::Success), 3);
}
