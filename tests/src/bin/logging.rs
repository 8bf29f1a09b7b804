//! A program for `tests/telemetry/logs.rs` that makes events. Its second argument selects which events.

use std::error::Error;
use std::fmt;
use std::thread;
use std::time::Duration;

use process_runtime::telemetry::TelemetryBuilder;
use process_runtime::{critical_process, telemetry};
use test_machine::memory;
use tracing::{debug, error, info, info_span, trace, warn};

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
    let telemetry = TelemetryBuilder::new().service("logging", "1.0.0").directory(directory).init();
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
