//! Destinations that run a process while they are called. The inner run is counted and not reported, so that it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use process_runtime::observe::{End, RunView, Sink};
use process_runtime::testing::Domain;
use process_runtime::{Carrier, critical_process, record, registry};
use process_tests::events::Inbox;
use process_tests::isolated::isolated;
use sentry::ClientOptions;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber};
use tracing::{Dispatch, Event, Metadata, dispatcher};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::{failing, innocent};

/// A layer that runs a process in one of its callbacks, and counts its calls.
#[derive(Clone, Debug)]
struct Calling {
    when: &'static str,
    calls: Arc<AtomicUsize>,
    does: fn(),
}

const CALLBACKS: [&str; 8] =
    ["register_callsite", "enabled", "new_span", "enter", "exit", "record", "event", "close"];

impl Calling {
    fn new(when: &'static str, does: fn()) -> Calling {
        Calling { when, calls: Arc::default(), does }
    }

    fn at(&self, callback: &str) {
        if self.when == callback {
            assert!(self.calls.fetch_add(1, Ordering::Relaxed) < 1000, "{callback} calls itself without end");
            (self.does)();
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Calling {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        self.at("register_callsite");
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.at("enabled");
        true
    }

    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.at("new_span");
    }

    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        self.at("enter");
    }

    fn on_exit(&self, _: &Id, _: Context<'_, S>) {
        self.at("exit");
    }

    fn on_record(&self, _: &Id, _: &Record<'_>, _: Context<'_, S>) {
        self.at("record");
    }

    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        self.at("event");
    }

    fn on_close(&self, _: Id, _: Context<'_, S>) {
        self.at("close");
    }
}

#[critical_process(id = "outer", version = "1.0.0", sla = "10s", context(n, later(size)))]
fn outer(n: u64) -> u64 {
    record!(size = n);
    tracing::warn!("an event of the body");
    // A carrier enters and leaves the span as a visitor.
    Carrier::current().run(|| n)
}

/// Makes no event of its own, because the subscriber's panic in it would be a panic of the body.
#[critical_process(id = "silent", version = "1.0.0", sla = "10s", context(n, later(size)))]
fn silent(n: u64) -> u64 {
    record!(size = n);
    Carrier::current().run(|| n)
}

fn calls_innocent() {
    assert_eq!(innocent(7), 7);
    failing().unwrap_err();
}

fn calls_outer() {
    outer(1);
}

fn panics() {
    panic!("the layer's own")
}

/// Runs a process under a layer that does something in one callback, with a Sentry client.
fn under(when: &'static str, does: fn(), outer: fn(u64) -> u64) -> usize {
    let (_inbox, _hub) = Inbox::bound();
    let layer = Calling::new(when, does);
    let dispatch = Dispatch::new(Registry::default().with(layer.clone()));
    dispatcher::with_default(&dispatch, || {
        assert_eq!(outer(3), 3, "{when}");
        let carrier = Carrier::current();
        std::thread::spawn(move || carrier.run(|| outer(4))).join().unwrap();
    });
    layer.calls.load(Ordering::Relaxed)
}

#[test]
fn a_layer_may_run_a_process_in_any_callback() {
    isolated(|| {
        for does in [calls_innocent, calls_outer] {
            for when in CALLBACKS {
                assert!(under(when, does, outer) > 0, "{when} was not called");
            }
        }
        assert!(registry::stats("innocent").unwrap().ended.total() > 0);
        assert!(registry::in_flight().is_empty());
    });
}

#[test]
fn a_layer_may_panic_in_any_callback() {
    isolated(|| {
        for when in CALLBACKS {
            let calls = under(when, panics, silent);
            assert!(calls > 0 || when == "event", "{when} was not called");
        }
        assert!(registry::in_flight().is_empty());
    });
}

/// A sink that runs a process in each call.
#[derive(Debug)]
struct Running(AtomicUsize);

impl Running {
    fn run(&self) {
        assert!(self.0.fetch_add(1, Ordering::Relaxed) < 1000);
        calls_innocent();
        calls_outer();
    }
}

impl Sink for Running {
    fn started(&self, _: &RunView<'_>) {
        self.run();
    }

    fn overdue(&self, _: &RunView<'_>, _: Duration) {
        self.run();
    }

    fn ended(&self, _: &RunView<'_>, _: &End) {
        self.run();
    }
}

#[test]
fn a_sink_may_run_a_process_in_any_call() {
    let sink = Arc::new(Running(AtomicUsize::new(0)));
    let domain = Domain::builder().sink(sink.clone()).build();
    assert_eq!(domain.call(|| outer(2)), 2);
    assert_eq!(sink.0.load(Ordering::Relaxed), 2);
}

#[test]
fn a_sentry_client_may_run_a_process_before_it_sends() {
    let before_send = |event| {
        calls_innocent();
        Some(event)
    };
    let inbox = Inbox::of(ClientOptions::new().before_send(before_send));
    let _guard = inbox.bind();
    failing().unwrap_err();
    assert_eq!(inbox.take().events.len(), 1);
}

/// An error whose text is the result of a process.
struct Running2;

impl std::fmt::Display for Running2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        failing().unwrap_err();
        write!(f, "{}", innocent(5))
    }
}

#[critical_process(id = "displays", version = "1.0.0", sla = "10s", context(text = %Running2), degraded = is_odd)]
fn displays() -> Result<u64, Displayed> {
    Err(Displayed)
}

#[derive(Debug)]
struct Displayed;

impl std::fmt::Display for Displayed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Running2.fmt(f)
    }
}

impl std::error::Error for Displayed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        innocent(6);
        None
    }
}

fn is_odd(n: &u64) -> bool {
    innocent(*n) % 2 == 1
}

#[test]
fn a_value_an_error_and_a_rule_may_run_a_process() {
    let (inbox, _guard) = Inbox::bound();
    displays().unwrap_err();
    let texts: Vec<_> = inbox
        .take()
        .events
        .iter()
        .map(process_tests::events::exception_texts)
        .map(|texts| texts.join("; "))
        .collect();
    assert!(texts.contains(&"5".to_owned()), "{texts:?}");
}
