//! A service for `tests/unread.rs`. Its output is not read, or is read late.
//! `unread <init or install> <directory> <file>` executes the runs, writes their figures to the file, and ends when
//! its standard input ends.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use process_runtime::observe::{RunView, Sink};
use process_runtime::{Install, Limits, critical_process, telemetry};
use serde_json::json;

/// The number of runs. Each writes a line to the log and then fails, which writes a line to standard error.
const RUNS: u64 = 20_000;
/// The limit of each queue in bytes. The lines of all runs together have more.
const QUEUE: usize = 1 << 20;
/// The longest time that a run waits until it is reported as late.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "refused{}", ".".repeat(100))
    }
}

impl std::error::Error for Refused {}

/// Refuses an order.
#[critical_process(id = "refuse", version = "1.0.0", sla = "1s", context(number))]
fn refuse(number: u64) -> Result<(), Refused> {
    tracing::info!("order {number} is refused{}", ".".repeat(100));
    Err(Refused)
}

/// Hangs until the watchdog has reported the run as late, at most for [`PATIENCE`].
#[critical_process(id = "hang", version = "1.0.0", sla = "50ms")]
fn hang(seen: &AtomicBool) {
    let started = Instant::now();
    while !seen.load(Ordering::SeqCst) && started.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(5));
    }
}

#[derive(Debug)]
struct Seen(Arc<AtomicBool>);

impl Sink for Seen {
    fn overdue(&self, _: &RunView<'_>, elapsed: Duration) {
        self.0.store(elapsed < PATIENCE, Ordering::SeqCst);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [how, directory, figures] = &arguments[..] else { panic!("three arguments") };
    let seen = Arc::new(AtomicBool::new(false));
    let mut limits = Limits::default();
    limits.queue = QUEUE;
    let install = Install::new().sink(Seen(Arc::clone(&seen))).limits(limits);
    let end: Box<dyn FnOnce()> = match &**how {
        "init" => {
            let telemetry = telemetry::TelemetryBuilder::new().directory(directory).install(install).init();
            Box::new(|| drop(telemetry))
        }
        _ => {
            let installation = install.start();
            Box::new(move || installation.stop())
        }
    };
    let mut slowest = Duration::ZERO;
    for number in 0..RUNS {
        let started = Instant::now();
        let _ = refuse(number);
        slowest = slowest.max(started.elapsed());
    }
    hang(&seen);
    let saw = json!({ "runs": RUNS, "slowest_ms": slowest.as_millis() as u64, "late": seen.load(Ordering::SeqCst) });
    let half = format!("{figures}.half");
    std::fs::write(&half, saw.to_string()).expect("writable");
    std::fs::rename(half, figures).expect("writable");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    end();
}
