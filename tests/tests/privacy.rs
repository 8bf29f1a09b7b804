//! Nothing is recorded unless the attribute names it. All other values contain unique words, and no telemetry
//! contains any of these words. Each test runs in a process of its own, because a process has one meter provider and
//! one standard error.

use std::fmt;
use std::panic::catch_unwind;
use std::pin::pin;
use std::task::{Context, Waker};

use process_runtime::sentry::Integration;
use process_runtime::{Install, critical_process, record, registry, stage};
use process_tests::capture::Capture;
use process_tests::events::Inbox;
use process_tests::isolated::{eventually, isolated};
use process_tests::readings::Readings;
use process_tests::sink::Log;
use process_tests::traces::Traces;
use sentry::ClientOptions;
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::Registry;

/// Words in values that the attribute names. The test must find these words in the telemetry, because otherwise its
/// search for other words proves nothing.
const NAMED: &str = "canary-named";
const LATER: &str = "canary-later";

/// Words in values that the attribute does not name.
const ARGUMENT: &str = "canary-argument";
const FIELD: &str = "canary-field";
const RECEIVER: &str = "canary-receiver";
const STAGE: &str = "canary-stage";
const RETURNED: &str = "canary-returned";

/// Words in the texts of errors and panics.
const DISPLAY: &str = "canary-display";
const DEBUG: &str = "canary-debug";
const SOURCE: &str = "canary-source";
const PANIC: &str = "canary-panic";

const UNNAMED: [&str; 5] = [ARGUMENT, FIELD, RECEIVER, STAGE, RETURNED];
const TEXTS: [&str; 4] = [DISPLAY, DEBUG, SOURCE, PANIC];

#[derive(Clone, Debug)]
#[allow(dead_code, reason = "only `Debug` reads it, which must not be called")]
struct Secret {
    field: &'static str,
}

/// An error with secrets in `Display`, in `Debug` and in its source.
struct Leaky;

impl fmt::Display for Leaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(DISPLAY)
    }
}

impl fmt::Debug for Leaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DEBUG} of Leaky")
    }
}

impl std::error::Error for Leaky {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        static INNER: Inner = Inner;
        Some(&INNER)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("canary-source")]
struct Inner;

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Return,
    Fail,
    Panic,
    Hang,
    BeLate,
}

struct Service {
    secret: Secret,
}

macro_rules! processes {
    ($($module:ident: $id:literal, $stage:literal, $text:ident;)+) => {$(
        mod $module {
            use super::*;

            impl Service {
                #[critical_process(
                    id = $id,
                    version = "1.0.0",
                    sla = "1ms",
                    context(named, later(found)),
                    error_text = $text,
                )]
                pub(super) async fn $module(
                    &self,
                    named: &str,
                    password: String,
                    Secret { field }: Secret,
                    how: How,
                ) -> Result<Secret, Leaky> {
                    let _ = (named, &password, field, &self.secret);
                    record!(found = LATER);
                    step(STAGE, how).await?;
                    match how {
                        How::Panic => panic!("canary-panic"),
                        How::Hang => std::future::pending().await,
                        How::BeLate => {
                            eventually("the run is late", || registry::stats($id).unwrap().overdue == 1);
                        }
                        How::Return | How::Fail => {}
                    }
                    Ok(Secret { field: RETURNED })
                }
            }

            #[stage(id = $stage, process = $id, error_text = $text)]
            async fn step(token: &'static str, how: How) -> Result<Secret, Leaky> {
                if how == How::Fail { Err(Leaky) } else { Ok(Secret { field: token }) }
            }
        }
    )+};
}

processes! {
    quiet: "quiet", "step", sentry;
    silent: "silent", "step", never;
    loud: "loud", "step", everywhere;
}

/// All telemetry of a process, sorted by destination.
#[derive(Default)]
struct Received {
    spans: String,
    exported: String,
    metrics: String,
    sinks: String,
    in_flight: String,
    record: String,
    report: String,
    sentry: String,
}

impl Received {
    fn places(&self) -> [(&'static str, &str); 8] {
        [
            ("spans", &self.spans),
            ("exported spans", &self.exported),
            ("metrics", &self.metrics),
            ("sinks", &self.sinks),
            ("runs in flight", &self.in_flight),
            ("the record", &self.record),
            ("the report", &self.report),
            ("Sentry", &self.sentry),
        ]
    }

    #[track_caller]
    fn find(&self, words: &[&str], allowed: &[&str]) {
        for (place, text) in self.places() {
            for word in words {
                let found = text.contains(word);
                assert!(!found || allowed.contains(&place), "{word} is in {place}:\n{text}");
            }
        }
    }
}

/// Ends runs of a process in every way while every destination is installed, and returns what the destinations
/// received.
fn listen(id: &str, options: ClientOptions, mut run: impl FnMut(&Service, How)) -> Received {
    let (traces, capture, readings, log) = (Traces::new(), Capture::new(), Readings::new(), Log::default());
    let subscriber = Registry::default().with(traces.layer()).with(capture.clone());
    let _subscriber = dispatcher::set_default(&Dispatch::new(subscriber));
    let inbox = Inbox::with_defaults(options.traces_sample_rate(1.0));
    let _hub = inbox.bind();
    let installation = Install::new().meter_provider(readings.provider()).sink(log.clone()).start();
    // Only Sentry's hook is installed. Rust's own hook prints the message of a panic, which this test does not judge.
    std::panic::set_hook(Box::new(sentry::integrations::panic::panic_handler));
    let service = Service { secret: Secret { field: RECEIVER } };
    for how in [How::Return, How::Fail, How::Panic, How::Hang, How::BeLate] {
        run(&service, how);
    }
    let process = registry::get(id).unwrap();
    let stages = process.stages().iter().map(|stage| stage.record().to_text());
    let received = Received {
        spans: format!("{:?} {:?}", capture.spans(), capture.loose_events()),
        exported: format!("{:?}", traces.spans()),
        metrics: readings.collect().text,
        sinks: format!("{:?}", log.entries()),
        in_flight: IN_FLIGHT.take(),
        record: process.record().to_text() + &stages.collect::<String>(),
        report: installation.report().join("\n"),
        sentry: inbox.take().wire,
    };
    installation.stop();
    // If the search does not find the named words, it proves nothing about other words.
    for (place, text) in received.places() {
        if !["metrics", "the record", "the report"].contains(&place) {
            assert!(text.contains(NAMED) && text.contains(LATER), "{place} lacks what is named:\n{text}");
        }
    }
    assert_eq!(log.ends().len(), 5 + 5);
    assert!(received.metrics.contains(id) && received.record.contains(id));
    received.find(&[NAMED, LATER], &["spans", "exported spans", "sinks", "runs in flight", "Sentry"]);
    received
}

thread_local! {
    static IN_FLIGHT: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
}

/// Polls a future once, reads the runs in flight, and drops the future.
fn poll_once<F: Future>(future: F) {
    let mut future = pin!(future);
    let polled = catch_unwind(std::panic::AssertUnwindSafe(|| {
        future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }));
    if polled.is_ok_and(|is_ready| !is_ready) {
        IN_FLIGHT.with_borrow_mut(|text| text.push_str(&format!("{:?}", registry::in_flight())));
    }
}

fn secret() -> Secret {
    Secret { field: FIELD }
}

fn integrated() -> ClientOptions {
    ClientOptions::new().add_integration(Integration)
}

#[test]
fn what_is_not_named_goes_nowhere_and_error_text_to_sentry_alone() {
    isolated(|| {
        let run =
            |service: &Service, how| poll_once(service.quiet(NAMED, ARGUMENT.to_owned(), secret(), how));
        let received = listen("quiet", integrated(), run);
        received.find(&UNNAMED, &[]);
        received.find(&TEXTS, &["Sentry"]);
        for word in [DISPLAY, SOURCE, PANIC] {
            assert!(received.sentry.contains(word), "Sentry lacks {word}, which it exists for");
        }
    });
}

#[test]
fn error_text_with_never_goes_nowhere_at_all() {
    let stderr = isolated(|| {
        let run =
            |service: &Service, how| poll_once(service.silent(NAMED, ARGUMENT.to_owned(), secret(), how));
        let received = listen("silent", integrated(), run);
        received.find(&UNNAMED, &[]);
        received.find(&TEXTS, &[]);
    });
    for word in UNNAMED.iter().chain(&TEXTS) {
        assert!(stderr.as_ref().is_none_or(|stderr| !stderr.contains(word)), "{word} is on standard error");
    }
}

#[test]
fn error_text_that_may_go_everywhere_is_on_the_span_too_and_in_no_metric() {
    isolated(|| {
        let run = |service: &Service, how| poll_once(service.loud(NAMED, ARGUMENT.to_owned(), secret(), how));
        let received = listen("loud", integrated(), run);
        received.find(&UNNAMED, &[]);
        received.find(&[DISPLAY, PANIC], &["Sentry", "spans", "exported spans"]);
        assert!(received.spans.contains(DISPLAY) && received.spans.contains(PANIC));
        // Only Sentry uses `Debug`, to name the type of an exception.
        received.find(&[DEBUG, SOURCE], &["Sentry"]);
    });
}

/// Runs a process that is late, fails and panics, with no Sentry client.
fn on_the_console(run: fn(&Service, How)) {
    std::panic::set_hook(Box::new(|_| {}));
    let installation = Install::new().start();
    // Lines are written to standard error only while the watchdog runs. The first of these runs waits for the
    // watchdog.
    for how in [How::BeLate, How::Fail, How::Panic] {
        run(&Service { secret: Secret { field: RECEIVER } }, how);
    }
    installation.stop();
}

#[test]
fn without_a_sentry_client_error_text_goes_to_the_local_console() {
    let run = |service: &Service, how| poll_once(service.quiet(NAMED, ARGUMENT.to_owned(), secret(), how));
    let stderr = isolated(|| on_the_console(run));
    if let Some(stderr) = stderr {
        for word in [DISPLAY, PANIC] {
            assert!(stderr.contains(word), "{word} is not in:\n{stderr}");
        }
        for word in UNNAMED {
            assert!(!stderr.contains(word), "{word} is in:\n{stderr}");
        }
    }
}

#[test]
fn error_text_with_never_is_not_on_the_console() {
    let run = |service: &Service, how| poll_once(service.silent(NAMED, ARGUMENT.to_owned(), secret(), how));
    let stderr = isolated(|| on_the_console(run));
    if let Some(stderr) = stderr {
        assert!(
            stderr.contains("process=silent outcome=failure")
                && stderr.contains("process=silent outcome=panic"),
            "{stderr}"
        );
        for word in UNNAMED.iter().chain(&TEXTS) {
            assert!(!stderr.contains(word), "{word} is in:\n{stderr}");
        }
    }
}
