//! A service under load for `tests/failing_backends.rs`. Each line of its standard input is a command, and the
//! service answers with one line of JSON. `run <ms> <threads>` executes runs for this time and answers with their
//! latencies, `flood <runs>` executes runs with large values and answers with the peak of the memory, `figures` answers
//! with the figures so far, and `work <percent>` changes how much work each later run does.

use std::fmt;
use std::hint::black_box;
use std::io::BufRead;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use process_runtime::{critical_process, stage, telemetry};
use serde_json::json;

/// The time between the starts of two runs.
const PERIOD: Duration = Duration::from_micros(400);
/// The time that the work of a run takes, if it is not changed.
const BODY: Duration = Duration::from_micros(20);
/// The number of steps of work that take one percent of [`BODY`].
static STEPS: AtomicU64 = AtomicU64::new(1);
/// How much work a run does, in percent.
static WORK: AtomicU64 = AtomicU64::new(100);
/// The number of spans of a run: one of the process, one of its stage, and one of a driver.
const SPANS_OF_A_RUN: u64 = 3;

#[derive(Debug)]
struct Declined;

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the card was declined")
    }
}

impl std::error::Error for Declined {}

/// Takes one order.
#[critical_process(id = "loaded_order", version = "1.0.0", sla = "2s", context(order))]
fn take(order: u64, is_bad: bool) -> Result<u64, Declined> {
    let price = price(order);
    if is_bad { Err(Declined) } else { Ok(price) }
}

/// Does the work of the service.
#[stage(process = "loaded_order", id = "price", sla = "1s")]
fn price(order: u64) -> u64 {
    let _query = tracing::info_span!(target: "driver", "query").entered();
    work(order, STEPS.load(Ordering::Relaxed) * WORK.load(Ordering::Relaxed))
}

fn work(order: u64, steps: u64) -> u64 {
    (0..steps).fold(order, |price, step| black_box(price.rotate_left(5) ^ step))
}

/// Returns how many steps of work take one percent of [`BODY`] on this machine.
fn steps() -> u64 {
    const MANY: u64 = 20_000;
    let took = |_| {
        let started = Instant::now();
        black_box(work(1, MANY));
        started.elapsed()
    };
    let quickest = (0..20).map(took).min().unwrap_or(BODY);
    (BODY.as_nanos() as u64 * MANY / quickest.as_nanos().max(1) as u64 / 100).max(1)
}

/// The size of each large value.
const LARGE: usize = 1 << 20;

/// Fails after it has put a large value into its context, into the span of a driver, and onto the scope of Sentry.
#[critical_process(id = "flooded", version = "1.0.0", sla = "2s", context(value))]
fn flooded(value: &str) -> Result<(), Declined> {
    let _query = tracing::info_span!(target: "driver", "query", statement = value).entered();
    sentry::add_breadcrumb(sentry::Breadcrumb { message: Some(value.into()), ..Default::default() });
    sentry::configure_scope(|scope| scope.set_extra("value", value.into()));
    Err(Declined)
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().expect("the directory of the files");
    let bad: u64 = arguments.next().expect("one of how many runs fails").parse().expect("a number");
    STEPS.store(steps(), Ordering::Relaxed);
    let telemetry = telemetry::TelemetryBuilder::new().service("loaded", "1.0.0").directory(directory).init();
    let (mut orders, mut failures) = (0_u64, 0_u64);
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("it is text");
        match line.split_once(' ') {
            Some(("run", how)) => {
                let (millis, threads) = how.split_once(' ').expect("a time and a number of threads");
                let end = Instant::now() + Duration::from_millis(millis.parse().expect("a number"));
                let threads: u32 = threads.parse().expect("a number");
                let mut all: Vec<_> = thread::scope(|scope| {
                    let started: Vec<_> =
                        (0..threads).map(|_| scope.spawn(|| runs(end, PERIOD * threads, bad))).collect();
                    started.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
                });
                let mut of =
                    |kind: usize| all.iter_mut().flat_map(|times| std::mem::take(&mut times[kind])).collect();
                let (good, failed): (Vec<u64>, Vec<u64>) = (of(0), of(1));
                orders += (good.len() + failed.len()) as u64;
                failures += failed.len() as u64;
                println!("{}", json!([good, failed]));
            }
            Some(("flood", runs)) => {
                for run in 0..runs.parse().expect("a number") {
                    let value = format!("{run} {}", "x".repeat(LARGE));
                    let _ = flooded(&value);
                    thread::sleep(PERIOD);
                }
                println!("{}", json!({ "peak": test_machine::memory::peak() }));
            }
            Some(("work", percent)) => {
                WORK.store(percent.parse().expect("a number"), Ordering::Relaxed);
                println!("{}", json!({ "work": percent }));
            }
            _ => {
                let flushed = telemetry.flush(Duration::from_secs(20));
                let spans = orders * SPANS_OF_A_RUN;
                let report = telemetry.installation().report();
                let bytes = test_machine::memory::resident(std::process::id());
                println!(
                    "{}",
                    json!({ "flushed": flushed, "spans": spans, "failures": failures, "bytes": bytes, "report": report })
                );
            }
        }
    }
}

/// Starts a run in each period until `end`, and returns the latencies of those that succeeded and of those that
/// failed. One of every `bad` runs fails.
fn runs(end: Instant, period: Duration, bad: u64) -> [Vec<u64>; 2] {
    let mut times = [Vec::new(), Vec::new()];
    let mut next = Instant::now();
    for order in 1.. {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        if Instant::now() >= end {
            break;
        }
        next += period;
        let is_bad = bad > 0 && u64::is_multiple_of(order, bad);
        let started = Instant::now();
        let ended = take(order, is_bad);
        let took = started.elapsed().as_nanos() as u64;
        times[usize::from(ended.is_err())].push(took);
    }
    times
}
