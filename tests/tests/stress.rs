//! Many runs at once, on threads that hand runs to one another. Each run ends exactly once, and no run sees the
//! context of another. Schedules are drawn from fixed seeds. Only the timing of the threads differs from one
//! execution of the test to the next.

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Waker};
use std::thread;

use process_runtime::{Carrier, Outcome, critical_process, registry};
use sentry::Hub;

const SCHEDULES: u64 = 1_000_000;
const THREADS: u64 = 2;

/// The random number generator SplitMix64 (Steele, Lea and Flood, 2014). It is small, and good enough for schedules.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// How many bodies began, and how many ended in each way. The bodies count this themselves.
#[derive(Default)]
struct Seen {
    began: AtomicU64,
    returned: AtomicU64,
    failed: AtomicU64,
    panicked: AtomicU64,
    dropped: AtomicU64,
}

static SEEN: Seen = Seen {
    began: AtomicU64::new(0),
    returned: AtomicU64::new(0),
    failed: AtomicU64::new(0),
    panicked: AtomicU64::new(0),
    dropped: AtomicU64::new(0),
};

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Counts a body, and counts it as dropped if it is dropped before its end.
struct Body(Cell<bool>);

impl Body {
    fn begin() -> Body {
        count(&SEEN.began);
        Body(Cell::new(false))
    }

    fn end(&self, counter: &AtomicU64) {
        count(counter);
        self.0.set(true);
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if !self.0.get() {
            count(&SEEN.dropped);
        }
    }
}

type Job = Pin<Box<dyn Future<Output = Result<(), ()>> + Send>>;

fn job(seed: u64, depth: u64, elsewhere: Sender<Job>) -> Job {
    Box::pin(scheduled(seed, depth, elsewhere))
}

/// Does what the seed selects: waits, executes up to two inner runs or hands one to another thread, and ends.
#[critical_process(id = "scheduled", version = "1.0.0", sla = "1h")]
async fn scheduled(seed: u64, depth: u64, elsewhere: Sender<Job>) -> Result<(), ()> {
    let mut random = Random(seed);
    let body = Body::begin();
    for _ in 0..random.below(3) {
        YieldOnce(false).await;
    }
    if depth > 0 {
        let child =
            |random: &mut Random| -> Job { job(random.below(u64::MAX), depth - 1, elsewhere.clone()) };
        match random.below(6) {
            0 => {
                let _ = child(&mut random).await;
            }
            1 => {
                let (left, right) = (child(&mut random), child(&mut random));
                let _ = futures::join!(left, right);
            }
            2 => {
                let (left, right) = (child(&mut random), child(&mut random));
                futures::future::select(left, right).await;
            }
            3 => {
                let job = Carrier::current().carry(child(&mut random));
                elsewhere.send(Box::pin(job)).ok();
            }
            4 => {
                let mut begun = child(&mut random);
                let poll = poll(&mut begun);
                if poll.is_pending() {
                    elsewhere.send(begun).ok();
                } else if let Poll::Ready(Err(payload)) = poll {
                    body.end(&SEEN.panicked);
                    resume_unwind(payload);
                }
            }
            _ => {}
        }
    }
    match random.below(16) {
        0 => {
            body.end(&SEEN.panicked);
            panic!("by schedule");
        }
        1..4 => {
            body.end(&SEEN.failed);
            Err(())
        }
        _ => {
            body.end(&SEEN.returned);
            Ok(())
        }
    }
}

struct YieldOnce(bool);

impl Future for YieldOnce {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Polls once. If the poll panics, returns the payload of the panic as a value.
fn poll<F: Future + Unpin>(job: &mut F) -> Poll<Result<F::Output, Box<dyn Any + Send>>> {
    let mut cx = Context::from_waker(Waker::noop());
    match catch_unwind(AssertUnwindSafe(|| Pin::new(job).poll(&mut cx))) {
        Ok(poll) => poll.map(Ok),
        Err(payload) => Poll::Ready(Err(payload)),
    }
}

fn silence_panics() {
    std::panic::set_hook(Box::new(|info| {
        let planned = info.payload().downcast_ref::<&str>() == Some(&"by schedule");
        if !planned {
            eprintln!("{info}");
        }
    }));
}

/// Polls jobs in random order, drops some of them before they end, and hands some to the other worker.
fn work(worker: u64, incoming: std::sync::mpsc::Receiver<Job>, own: Sender<Job>, other: Sender<Job>) {
    let mut random = Random(worker);
    let mut jobs: Vec<Job> = Vec::new();
    let mut left = SCHEDULES / THREADS;
    while left > 0 || !jobs.is_empty() {
        while let Ok(job) = incoming.try_recv() {
            jobs.push(job);
        }
        while left > 0 && jobs.len() < 64 {
            left -= 1;
            jobs.push(job(random.below(u64::MAX), 2, own.clone()));
        }
        let at = random.below(jobs.len() as u64) as usize;
        match random.below(40) {
            0 => drop(jobs.swap_remove(at)),
            1 => {
                other.send(jobs.swap_remove(at)).ok();
            }
            _ => {
                if poll(&mut jobs[at]).is_ready() {
                    drop(catch_unwind(AssertUnwindSafe(|| drop(jobs.swap_remove(at)))));
                }
            }
        }
    }
}

#[test]
fn a_million_schedules_end_each_run_exactly_once() {
    silence_panics();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| channel()).unzip();
    let watching = AtomicU64::new(1);
    thread::scope(|scope| {
        // Another thread lists and scans all the time, as a watchdog and an operator would.
        let watcher = scope.spawn(|| {
            while watching.load(Ordering::Relaxed) == 1 {
                registry::in_flight();
                process_runtime::__private::measure::scan();
                registry::stats("scheduled").unwrap();
                thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        let workers: Vec<_> = receivers
            .into_iter()
            .enumerate()
            .map(|(worker, incoming)| {
                let own = senders[worker].clone();
                let other = senders[(worker + 1) % senders.len()].clone();
                scope.spawn(move || work(worker as u64, incoming, own, other))
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        watching.store(0, Ordering::Relaxed);
        watcher.join().unwrap();
    });
    drop(senders);

    let stats = registry::stats("scheduled").unwrap();
    let seen = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert!(stats.started > SCHEDULES, "{}", stats.started);
    assert_eq!(stats.started, seen(&SEEN.began), "each body that began is one start");
    assert_eq!(stats.ended.total(), stats.started, "each start has one end");
    // A panic in an inner run also ends the runs around it as panics, but their bodies count as dropped.
    let panicked_inside = stats.ended.count(Outcome::Panic) - seen(&SEEN.panicked);
    assert_eq!(stats.ended.count(Outcome::Success), seen(&SEEN.returned));
    assert_eq!(stats.ended.count(Outcome::Failure), seen(&SEEN.failed));
    assert_eq!(stats.ended.count(Outcome::Cancelled) + panicked_inside, seen(&SEEN.dropped));
    assert_eq!((stats.active, stats.overdue), (0, 0));
    assert!(registry::in_flight().iter().all(|run| run.process.unwrap().id() != "scheduled"));
}

/// Asserts at every step that the context belongs to this run.
#[critical_process(id = "isolated", version = "1.0.0", sla = "1h", context(ticket))]
async fn isolated(ticket: u64) {
    sentry::configure_scope(|scope| scope.set_user(Some(user(ticket))));
    for step in 0..ticket % 4 {
        YieldOnce(false).await;
        inner(ticket, step).await;
        assert_eq!(current_user(), Some(user(ticket)));
    }
    if ticket.is_multiple_of(10) {
        sentry::capture_message(&ticket.to_string(), sentry::Level::Info);
    }
}

#[critical_process(id = "isolated_inner", version = "1.0.0", sla = "1h", context(inherit(ticket)))]
async fn inner(ticket: u64, step: u64) {
    YieldOnce(false).await;
    assert_eq!(current_user(), Some(user(ticket)));
    sentry::add_breadcrumb(sentry::Breadcrumb {
        message: Some(format!("{ticket}.{step}")),
        ..Default::default()
    });
}

fn user(ticket: u64) -> sentry::User {
    sentry::User { id: Some(ticket.to_string()), ..Default::default() }
}

fn current_user() -> Option<sentry::User> {
    sentry::configure_scope(|scope| scope.user().cloned())
}

#[test]
fn a_hundred_thousand_interleaved_runs_leak_neither_context_nor_scope() {
    const RUNS: u64 = 100_000;
    let transport = sentry::test::TestTransport::new();
    let options = sentry::ClientOptions::new()
        .dsn("https://public@sentry.invalid/1")
        .transport(Arc::clone(&transport))
        .add_integration(process_runtime::sentry::Integration);
    let client = Arc::new(sentry::Client::from(options));
    thread::scope(|scope| {
        let (give, take) = channel::<Pin<Box<dyn Future<Output = ()> + Send>>>();
        let run = |first: u64, give: Option<Sender<_>>, take: Option<std::sync::mpsc::Receiver<_>>| {
            let hub = Arc::new(Hub::new(Some(client.clone()), Arc::default()));
            scope.spawn(move || {
                Hub::run(hub, || {
                    let mut random = Random(first);
                    let mut runs: Vec<Pin<Box<dyn Future<Output = ()> + Send>>> = Vec::new();
                    let mut tickets = (first..RUNS).step_by(2);
                    loop {
                        while runs.len() < 200
                            && let Some(ticket) = tickets.next()
                        {
                            runs.push(Box::pin(isolated(ticket)));
                        }
                        runs.extend(take.iter().flat_map(|take| take.try_iter().take(10)));
                        if runs.is_empty() {
                            break;
                        }
                        let at = random.below(runs.len() as u64) as usize;
                        let ready =
                            runs[at].as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
                        if ready {
                            drop(runs.swap_remove(at));
                        } else if let Some(give) = give.as_ref().filter(|_| random.below(50) == 0) {
                            give.send(runs.swap_remove(at)).unwrap();
                        }
                        assert_eq!(current_user(), None);
                    }
                    // Finishes the runs that the other worker has handed over meanwhile.
                    for mut run in take.into_iter().flatten() {
                        while run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {}
                    }
                });
            })
        };
        run(0, Some(give), None);
        run(1, None, Some(take));
    });

    let events = transport.fetch_and_clear_events();
    assert_eq!(events.len() as u64, RUNS / 10);
    for event in events {
        let ticket = event.message.clone().unwrap();
        assert_eq!(event.tags["ticket"], ticket);
        assert_eq!(event.tags["process_id"], "isolated");
        assert_eq!(event.user.as_ref().unwrap().id.as_ref(), Some(&ticket));
        let own =
            |crumb: &sentry::Breadcrumb| crumb.message.as_ref().unwrap().starts_with(&format!("{ticket}."));
        assert!(event.breadcrumbs.iter().all(own), "{ticket}: {:?}", event.breadcrumbs);
        let steps = ticket.parse::<u64>().unwrap() % 4;
        assert_eq!(event.breadcrumbs.len() as u64, steps);
    }
    assert_eq!(registry::stats("isolated").unwrap().ended.count(Outcome::Success), RUNS);
}
