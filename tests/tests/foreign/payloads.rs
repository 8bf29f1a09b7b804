//! Panics whose payload panics again when it is dropped. Afterwards the thread still reports its runs.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;

use process_runtime::observe::{End, RunView, Sink};
use process_runtime::testing::Domain;
use process_runtime::{critical_process, record};
use process_tests::capture::Capture;
use process_tests::events::Inbox;
use process_tests::sink::Log;
use sentry::ClientOptions;
use tracing::Dispatch;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Subscriber;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::{failing, innocent};

/// A payload that panics with a payload of the same kind when it is dropped.
struct Bomb(u8);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Bomb(self.0 - 1));
        }
    }
}

fn explode() -> ! {
    panic_any(Bomb(3))
}

/// Checks that this thread still reports a run to a span, to Sentry and to a sink.
fn assert_reports() {
    let log = Log::default();
    let (capture, _subscriber) = Capture::installed();
    let (inbox, _hub) = Inbox::bound();
    Domain::builder().sink(Arc::new(log.clone())).build().call(failing).unwrap_err();
    assert!(capture.only("failing").closed);
    assert_eq!(log.ends().len(), 1);
    inbox.only_event();
}

#[derive(Debug)]
struct Exploding;

impl fmt::Display for Exploding {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        explode()
    }
}

impl std::error::Error for Exploding {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        explode()
    }
}

impl Sink for Exploding {
    fn started(&self, _: &RunView<'_>) {
        explode()
    }

    fn ended(&self, _: &RunView<'_>, _: &End) {
        explode()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Exploding {
    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        explode()
    }

    fn on_record(&self, _: &Id, _: &Record<'_>, _: Context<'_, S>) {
        explode()
    }

    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        explode()
    }

    fn on_exit(&self, _: &Id, _: Context<'_, S>) {
        explode()
    }

    fn on_close(&self, _: Id, _: Context<'_, S>) {
        explode()
    }
}

#[critical_process(
    id = "exploding",
    version = "1.0.0",
    sla = "10s",
    context(at_entry = %Exploding, later(size)),
    rejects(as super::Plain: _),
    error_type = kind
)]
fn exploding() -> Result<(), Exploding> {
    record!(size = Exploding);
    Err(Exploding)
}

fn kind(_: &Exploding) -> &'static str {
    explode()
}

#[test]
fn values_errors_and_rules() {
    let (_inbox, _hub) = Inbox::bound();
    exploding().unwrap_err();
    assert_reports();
}

#[test]
fn sinks() {
    let domain = Domain::builder().sink(Arc::new(Exploding)).build();
    assert_eq!(domain.call(|| innocent(1)), 1);
    assert_reports();
}

#[test]
fn layers() {
    let dispatch = Dispatch::new(Registry::default().with(Exploding));
    tracing::dispatcher::with_default(&dispatch, || assert_eq!(innocent(1), 1));
    assert_reports();
}

#[test]
fn sentry_clients() {
    let inbox = Inbox::of(ClientOptions::new().before_send(|_| explode()));
    let guard = inbox.bind();
    failing().unwrap_err();
    drop(guard);
    assert_reports();
}

/// A sink that panics when it is called, and again when it is dropped.
#[derive(Debug)]
struct Parting(Exploding);

impl Sink for Parting {
    fn ended(&self, _: &RunView<'_>, _: &End) {
        explode()
    }
}

impl Drop for Parting {
    fn drop(&mut self) {
        explode()
    }
}

#[test]
fn a_sink_that_is_removed_may_panic_when_it_is_dropped() {
    let domain = Domain::builder().sink(Arc::new(Parting(Exploding))).build();
    assert_eq!(domain.call(|| innocent(1)), 1);
    assert_reports();
}

#[critical_process(id = "bombs", version = "1.0.0", sla = "10s")]
fn bombs() {
    explode()
}

#[test]
fn the_payload_of_a_body_reaches_its_caller() {
    let payload = catch_unwind(AssertUnwindSafe(bombs)).unwrap_err();
    assert_eq!(payload.downcast::<Bomb>().map(|mut bomb| std::mem::take(&mut bomb.0)).ok(), Some(3));
    assert_reports();
}
