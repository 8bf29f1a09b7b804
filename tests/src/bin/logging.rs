//! A program for `tests/telemetry/logs.rs` that makes events. Its second argument selects which events.

use std::error::Error;
use std::fmt;
use std::thread;
use std::time::Duration;

use process_runtime::telemetry::TelemetryBuilder;
use process_runtime::{critical_process, telemetry};
use test_machine::memory;
use tracing::{Span, debug, error, info, info_span, trace, warn};

/// An error whose source has a text of its own.
#[derive(Debug)]
struct Refused(fmt::Error);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("canary-error")
    }
}

impl Error for Refused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// Makes events of every level.
#[critical_process(id = "levels", version = "1.0.0", sla = "5s", context(user_id))]
fn levels(user_id: &str) -> Result<(), Refused> {
    trace!("a trace");
    debug!("a debug message");
    info!("an info");
    info!(target: "critical_process", "an info of the toolkit");
    warn!(attempt = 2_u64, share = 0.5, is_last = false, user = user_id, "a warning");
    error!(target: "driver", "an error");
    Err(Refused(fmt::Error))
}

/// Logs the error that it returns, under the default `error_text`.
#[critical_process(id = "withheld", version = "1.0.0", sla = "5s")]
fn withheld() -> Result<(), Refused> {
    let error = Refused(fmt::Error);
    warn!(error = &error as &dyn Error, "withheld");
    Err(error)
}

/// Logs the error that it returns, under `error_text = everywhere`.
#[critical_process(id = "everywhere", version = "1.0.0", sla = "5s", error_text = everywhere)]
fn everywhere() -> Result<(), Refused> {
    let error = Refused(fmt::Error);
    warn!(error = &error as &dyn Error, "everywhere");
    Err(error)
}

/// Runs until after its SLA.
#[critical_process(id = "slow", version = "1.0.0", sla = "50ms")]
fn slow() {
    thread::sleep(Duration::from_millis(400));
}

/// Does nothing.
#[critical_process(id = "quick", version = "1.0.0", sla = "5s")]
fn quick() {}

/// Logs an error on a thread of its own, once in the span of the run and once in a span around it.
#[critical_process(id = "spawning", version = "1.0.0", sla = "5s")]
fn spawning() {
    log_elsewhere("withheld");
}

/// Does the same under `error_text = everywhere`.
#[critical_process(id = "spawning_everywhere", version = "1.0.0", sla = "5s", error_text = everywhere)]
fn spawning_everywhere() {
    log_elsewhere("everywhere");
}

fn log_elsewhere(policy: &str) {
    let error = Refused(fmt::Error);
    let (run, detached) = (Span::current(), info_span!(parent: None, "detached"));
    let inner = info_span!("inner", failure = &error as &dyn Error, text = %"short");
    let late = info_span!("late", failure = tracing::field::Empty);
    late.record("failure", &error as &dyn Error);
    let log = |span: &Span, place| {
        span.in_scope(|| warn!(error = &Refused(fmt::Error) as &dyn Error, "{policy} {place}"));
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            log(&run, "in the run");
            log(&inner, "in a span of the run");
            log(&detached, "in a span without a parent");
        });
    });
}

/// An error that is its own source.
#[derive(Debug)]
struct Endless;

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("again")
    }
}

impl Error for Endless {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

/// A value whose text has no end.
struct Flood;

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        loop {
            f.write_str("and on ")?;
        }
    }
}

/// A value whose `Debug` makes an event.
struct Logs;

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        warn!("made by a field");
        f.write_str("a field")
    }
}

/// A value whose `Debug` panics.
struct Panics;

impl fmt::Debug for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half")?;
        panic!("in Debug")
    }
}

/// Makes an event when its thread ends.
struct Last;

impl Drop for Last {
    fn drop(&mut self) {
        warn!("from the end of a thread");
    }
}

thread_local! {
    static LAST: Last = const { Last };
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().expect("a directory, and what to log");
    let (directory, what) = (next(), next());
    let telemetry = TelemetryBuilder::new().service("logging", "1.0.0").directory(&directory).init();
    match what.as_str() {
        "levels" => {
            let _ = levels("u-7");
            info_span!("plain").in_scope(|| error!("an error in a span"));
            warn!("outside of every run");
            log::warn!(target: "old", "a record of the crate log");
        }
        "errors" => {
            let _ = (withheld(), everywhere());
            warn!(error = &Refused(fmt::Error) as &dyn Error, "outside");
        }
        "errors on other threads" => {
            spawning();
            spawning_everywhere();
        }
        "endless values" => {
            let endless = &Endless as &dyn Error;
            let span = info_span!("endless", failure = endless, text = %Flood, later = tracing::field::Empty);
            span.record("later", tracing::field::display(Flood));
            span.in_scope(|| warn!(error = endless, text = %Flood, "an endless chain"));
            span.in_scope(|| error!("{Flood}"));
        }
        "forged lines" => {
            let text = "a, user=7\nINFO forged: \u{2028}\u{202e}\u{1b}[31m";
            warn!(text, debug = ?text, shown = %text, "one {text}");
            log::warn!(target: "one\ntwo\u{1b}[31m", "a record {text}");
        }
        "targets" => {
            log::info!(target: "critical_process", "a record of the toolkit");
            warn!(target: "opentelemetry_demo", "a warning of an application");
        }
        "accepted and refused" => {
            warn!("first");
            telemetry.flush(Duration::from_secs(5));
            for text in ["second", "third"] {
                info_span!("later").in_scope(|| warn!("{text}"));
                telemetry.flush(Duration::from_secs(5));
            }
        }
        "it stops and starts again" => {
            warn!("before");
            drop(telemetry);
            let again = || TelemetryBuilder::new().service("logging", "2.0.0").directory(&directory).init();
            let telemetry = again();
            println!("{:?}", telemetry.destinations());
            (0..3000).for_each(|number| info_span!("after").in_scope(|| warn!(number, "after")));
            drop(telemetry);
        }
        "a late run" => slow(),
        "refused" => {
            quick();
            info_span!("before").in_scope(|| warn!("before"));
            thread::sleep(Duration::from_millis(500));
            info_span!("after").in_scope(|| warn!("after"));
            println!("flushed {}", telemetry.flush(Duration::from_secs(5)));
        }
        "long texts" => {
            let long = "é".repeat(1 << 20);
            warn!(text = long, number = 1, debug = ?long, "{long}");
            let error = std::io::Error::other(long);
            warn!(error = &error as &dyn Error, "a long error");
        }
        "hostile fields" => {
            warn!(field = ?Logs, "it logs");
            warn!(field = ?Panics, "it panics");
            thread::spawn(|| LAST.with(|_| ())).join().expect("it ends well");
        }
        "a flood" => flood(&telemetry),
        "often" => {
            for number in 0..20 {
                warn!(number, "again");
                thread::sleep(Duration::from_millis(20));
            }
        }
        other => panic!("no events {other}"),
    }
}

/// Makes many large events, and prints the memory that they took and the number of events.
fn flood(telemetry: &telemetry::Telemetry) {
    const EVENTS: u64 = 100_000;
    let text = "x".repeat(1 << 20);
    warn!("the first one");
    let memory = || memory::resident(std::process::id()).expect("the test is for Linux");
    let before = memory();
    let mut most = before;
    for number in 0..EVENTS {
        warn!(number, text, a = text, b = text, c = text, "{}", &text[..20 << 10]);
        if number % 1000 == 0 {
            most = most.max(memory());
        }
    }
    telemetry.flush(Duration::from_secs(1));
    println!("{} {}", most - before, EVENTS + 1);
}
