//! The watchdog, a thread that reports a run as late while the run is still running. It also closes the time slices
//! of the statistics, and records the samples that wait for the metrics.
//!
//! The watchdog sleeps until the next deadline. A run with an earlier deadline must wake the watchdog, which costs
//! the run a system call. To save further runs this cost, the watchdog scans more often after such a wake: as often
//! as the shortest SLA requires, until no run has woken it for [`ATTENTIVE`]. The rules for lateness do not belong
//! here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::base::alarm;
use crate::base::lock::lock;
use crate::catalog::registry;
use crate::observe;
use crate::run::domain::Core;
use crate::run::unit::Unit;
use crate::stats::windows::SLICE_SECONDS;

/// The maximum sleep. It limits the delay of a report if a wake is lost in a race.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// The minimum sleep, so that SLAs of a millisecond do not keep the watchdog awake.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);
/// The intended maximum delay of a report after the deadline of the run. A run wakes the watchdog only if its report
/// would otherwise come later.
const SLACK: Duration = Duration::from_millis(10);
/// The time for which the watchdog scans more often after a run has woken it.
const ATTENTIVE: Duration = Duration::from_secs(1);

static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

#[derive(Debug)]
struct Running {
    handle: JoinHandle<()>,
    stop: Arc<AtomicBool>,
    /// Disconnects when the thread ends, because the thread holds the sender. Nothing is sent.
    ended: Receiver<()>,
}

fn running() -> MutexGuard<'static, Option<Running>> {
    lock(&RUNNING)
}

/// Starts the thread, unless it is already running.
pub(crate) fn start() {
    let mut running = running();
    if running.as_ref().is_some_and(|running| !running.handle.is_finished()) {
        return;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    // Once the alarm is set, the watchdog counts as running. Failures before the first scan are therefore also
    // written to standard error.
    alarm::set(u64::MAX);
    let named = thread::Builder::new().name("process-watchdog".into());
    let (ends, ended) = mpsc::channel();
    let body = move || {
        let _ends: Sender<()> = ends;
        watch(&stopped);
    };
    match named.spawn(body) {
        Ok(handle) => {
            alarm::wakes_thread(Some(handle.thread().clone()));
            *running = Some(Running { handle, stop, ended });
        }
        Err(error) => {
            alarm::clear();
            drop(running);
            crate::base::notices::once(format!(
                "cannot start the watchdog thread, so a late run is reported only at its end: {error}"
            ));
        }
    }
}

/// Stops the thread and waits for its end. It waits at most until `end`, because a destination that the thread calls
/// may hang. If a sink calls this function on the watchdog's own thread, the function does not wait.
pub(crate) fn stop(end: Instant) {
    let Some(Running { handle, stop, ended }) = running().take() else {
        return;
    };
    stop.store(true, Ordering::Release);
    handle.thread().unpark();
    let rest = end.saturating_duration_since(Instant::now());
    if handle.thread().id() != thread::current().id()
        && ended.recv_timeout(rest) == Err(RecvTimeoutError::Disconnected)
    {
        // A panic of the thread is ignored here, because the panic hook has already written its message.
        let _ = handle.join();
    }
}

fn watch(stop: &AtomicBool) {
    let core = Core::global();
    let mut rolled = Instant::now();
    let mut drained = Instant::now();
    // If each round takes at most this long, a run that starts after a scan cannot pass its SLA by more than `SLACK`
    // before the next scan.
    let round = shortest_sla().clamp(SLACK, LONGEST_SLEEP);
    let mut attentive_until = Instant::now();
    let wakes_in = |sleep: Duration| core.clock.now() + core.clock.ticks(sleep.saturating_sub(SLACK));
    while !stop.load(Ordering::Acquire) {
        let is_attentive = Instant::now() < attentive_until;
        // A run that starts during the scan is not missed. Either the next scan is early enough for its deadline, or
        // the run wakes the watchdog.
        alarm::set(if is_attentive { wakes_in(round) } else { u64::MAX });
        let mut sleep = observe::scan(core).unwrap_or(LONGEST_SLEEP);
        if rolled.elapsed() >= Duration::from_secs(SLICE_SECONDS) {
            rolled = Instant::now();
            core.clock.refine();
            roll(core);
        }
        sleep = sleep.min(tend_metrics(&mut drained));
        let sleep = sleep.clamp(SHORTEST_SLEEP, if is_attentive { round } else { LONGEST_SLEEP });
        alarm::set(wakes_in(sleep));
        let slept = Instant::now();
        thread::park_timeout(sleep);
        if slept.elapsed() < sleep {
            attentive_until = Instant::now() + ATTENTIVE;
        }
    }
    alarm::clear();
}

/// Returns the shortest SLA of all processes and stages in the program, or [`LONGEST_SLEEP`] if there are none.
fn shortest_sla() -> Duration {
    let processes = registry::all().map(|process| process.sla());
    let stages = registry::stages().filter_map(|stage| stage.sla());
    processes.chain(stages).min().unwrap_or(LONGEST_SLEEP)
}

fn roll(core: &Core) {
    for unit in Unit::all() {
        if let Some(account) = unit.account.get() {
            account.refine(unit.sla, &core.clock);
            crate::stats::roll(account, &core.clock);
        }
    }
}

/// Attaches the global meter provider if it has changed, reports if the metrics reach no backend, and records the
/// waiting samples if there are many. Returns the time after which this function must be called again.
#[cfg(feature = "metrics")]
fn tend_metrics(drained: &mut Instant) -> Duration {
    use crate::observe::metrics;
    crate::install::installation::follow_global_meter_provider();
    if let Some(problem) = metrics::problem() {
        crate::base::notices::once(problem);
    }
    if metrics::is_drain_due() {
        let since = drained.elapsed();
        if since < metrics::BETWEEN_DRAINS {
            return metrics::BETWEEN_DRAINS - since;
        }
        metrics::drain();
        *drained = Instant::now();
    }
    LONGEST_SLEEP
}

#[cfg(not(feature = "metrics"))]
fn tend_metrics(_: &mut Instant) -> Duration {
    LONGEST_SLEEP
}
