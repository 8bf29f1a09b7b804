//! The watchdog, a thread that reports a run as late while the run is still running. It also closes the time slices
//! of the statistics, and records the samples that wait for the metrics. A supervisor, a second thread, starts the
//! watchdog again if it ends, and starts another watchdog if a destination hangs in a call of the watchdog.
//!
//! The watchdog sleeps until the next deadline. A run with an earlier deadline must wake the watchdog, which costs
//! the run a system call. To save further runs this cost, the watchdog scans more often after such a wake: as often
//! as the shortest SLA requires, until no run has woken it for [`ATTENTIVE`]. The rules for lateness do not belong
//! here.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::base::cause::Cause;
use crate::base::destination::calls::{self, Post};
use crate::base::lock::lock;
use crate::base::threads::{self, Started};
use crate::base::{alarm, notices};
use crate::catalog::registry;
use crate::observe;
use crate::run::domain::Core;
use crate::run::domain::observed::Observed;
use crate::run::inflight::LIMIT;
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

/// The time between two looks of the supervisor at the watchdog.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// More runs are in flight than the table can track.
static UNTRACKED: Cause = Cause::new(
    "the table of runs in flight is full, so a new run is counted and reported at its end, but not listed and not reported \
     as overdue; limit the number of runs at the same time; runs that were not tracked:",
);

static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

#[derive(Debug)]
struct Running {
    stop: Arc<AtomicBool>,
    supervisor: Started,
}

fn running() -> MutexGuard<'static, Option<Running>> {
    lock(&RUNNING)
}

/// Starts the threads, unless they are already running.
pub(crate) fn start() {
    let mut running = running();
    if running.as_ref().is_some_and(|running| !running.supervisor.has_ended()) {
        return;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    // Once the alarm is set, the watchdog counts as running. Failures before the first scan are therefore also
    // written to standard error.
    alarm::set(u64::MAX);
    match threads::keep("process-supervisor", move || supervise(&stopped, watch), notices::once) {
        Ok(supervisor) => *running = Some(Running { stop, supervisor }),
        Err(error) => {
            drop(running);
            cannot_start(&error);
        }
    }
}

fn cannot_start(error: &io::Error) {
    alarm::clear();
    notices::once(format!(
        "cannot start the watchdog thread, so a late run is reported only at its end: {error}"
    ));
}

/// Stops the threads and waits for their end. It waits at most until `end`, because a destination that the watchdog
/// calls may hang. If a sink calls this function on the watchdog's own thread, the function does not wait.
pub(crate) fn stop(end: Instant) {
    let Some(Running { stop, supervisor }) = running().take() else {
        return;
    };
    stop.store(true, Ordering::Release);
    alarm::wake_surely();
    if !calls::is_watched() {
        supervisor.wait(end);
    }
}

/// Runs one watchdog after another until `stop` is set. There is another watchdog if the last one has panicked, or if
/// it hangs in a call of a destination.
fn supervise(stop: &Arc<AtomicBool>, watch: fn(&AtomicBool, Arc<Post>)) {
    while !stop.load(Ordering::Acquire) {
        let post = Arc::new(Post::default());
        let (stopped, own) = (Arc::clone(stop), Arc::clone(&post));
        let watchdog = match threads::start("process-watchdog", move || watch(&stopped, own)) {
            Ok(watchdog) => watchdog,
            Err(error) => return cannot_start(&error),
        };
        alarm::wakes_thread(Some(watchdog.thread.clone()));
        if stop.load(Ordering::Acquire) {
            watchdog.thread.unpark();
        }
        while !watchdog.wait(Instant::now() + BETWEEN_LOOKS) {
            if post.abandon_if_hung(Instant::now()) {
                break;
            }
        }
        if !stop.load(Ordering::Acquire) && !post.is_abandoned() {
            notices::once(threads::restarted("the thread `process-watchdog`"));
            thread::sleep(BETWEEN_LOOKS);
        }
    }
    alarm::wakes_thread(None);
    alarm::clear();
}

fn watch(stop: &AtomicBool, post: Arc<Post>) {
    Arc::clone(&post).take();
    let core = Core::global();
    let mut rolled = Instant::now();
    let mut drained = Instant::now();
    // If each round takes at most this long, a run that starts after a scan cannot pass its SLA by more than `SLACK`
    // before the next scan.
    let round = shortest_sla().clamp(SLACK, LONGEST_SLEEP);
    let mut attentive_until = Instant::now();
    let wakes_in = |sleep: Duration| core.clock.now() + core.clock.ticks(sleep.saturating_sub(SLACK));
    while !stop.load(Ordering::Acquire) && !post.is_abandoned() {
        let is_attentive = Instant::now() < attentive_until;
        // A run that starts during the scan is not missed. Either the next scan is early enough for its deadline, or
        // the run wakes the watchdog.
        alarm::set(if is_attentive { wakes_in(round) } else { u64::MAX });
        let mut sleep = scan(core).unwrap_or(LONGEST_SLEEP);
        report_untracked(core);
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
}

/// A late run that is not reported yet.
struct Late {
    unit: &'static Unit,
    observed: Option<Arc<Observed>>,
    elapsed: Duration,
}

/// The late runs that a scan has found. If a watchdog hangs in one report, the next watchdog makes the others.
static LATE: Mutex<VecDeque<Late>> = Mutex::new(VecDeque::new());

/// Reports every late run. Returns the time until the next deadline, or `None` if there is none.
fn scan(core: &Core) -> Option<Duration> {
    let next = core.scan(&|unit, observed, elapsed| {
        lock(&LATE).push_back(Late { unit, observed: observed.cloned(), elapsed });
    });
    let pop = || lock(&LATE).pop_front();
    while let Some(Late { unit, observed, elapsed }) = pop() {
        observe::overdue(core, unit, observed.as_ref(), elapsed);
    }
    next
}

/// Reports that runs began while the table was full, and the end of this. The watchdog does this and not the run,
/// because the run must not wait.
fn report_untracked(core: &Core) {
    static REPORTED: AtomicU64 = AtomicU64::new(0);
    let untracked = core.untracked();
    match REPORTED.swap(untracked, Ordering::Relaxed) {
        before if before < untracked => {
            UNTRACKED.happened(format_args!("{untracked} (the table has room for {LIMIT})"));
        }
        _ => UNTRACKED.ended(),
    }
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
        notices::once(problem);
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn a_watchdog_that_panics_is_reported_and_followed_by_another() {
        static WATCHDOGS: AtomicUsize = AtomicUsize::new(0);
        /// Panics the first time, and stops the supervisor the second time.
        fn panics_once(stop: &AtomicBool, _post: Arc<Post>) {
            match WATCHDOGS.fetch_add(1, Ordering::SeqCst) {
                0 => panic!("on purpose"),
                _ => stop.store(true, Ordering::SeqCst),
            }
        }
        supervise(&Arc::new(AtomicBool::new(false)), panics_once);
        assert_eq!(WATCHDOGS.load(Ordering::SeqCst), 2);
        let report = threads::restarted("the thread `process-watchdog`");
        assert!(notices::printed().contains(&report), "{:?}", notices::printed());
    }
}
