//! Liveness: how fast it answers while checks block, and the heartbeat of the runtime.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use process_runtime::Limits;
use process_runtime::health::{Detail, Health, Reason, Report, Setup, Status};
use tokio::runtime::{Builder, Handle, Runtime};
use tracing::dispatcher::{self, Dispatch};
use tracing::subscriber::NoSubscriber;

use super::{Clockwork, Kiln, Mode, World, get};

/// The longest time for an answer of liveness.
const WITHIN: Duration = Duration::from_millis(100);

pub(super) fn runtime(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap()
}

pub(super) fn reason(report: &Report) -> (Status, Option<Reason>) {
    (report.status, report.reason)
}

/// Returns the median and the 99th percentile of the latency of answers for this path. Each request is a task of the
/// runtime.
async fn latencies(health: &Health, path: &'static str, requests: usize) -> (Duration, Duration) {
    let mut taken = Vec::new();
    for _ in 0..requests {
        let (health, asked) = (health.clone(), Instant::now());
        let answered = tokio::spawn(async move {
            assert_eq!(get(&health, path).await.0, 200, "{path}");
        });
        answered.await.unwrap();
        taken.push(asked.elapsed());
    }
    taken.sort();
    (taken[requests / 2], taken[requests * 99 / 100])
}

#[test]
fn however_many_checks_block_no_other_endpoint_is_delayed() {
    let runtime = runtime(2);
    runtime.block_on(async {
        let world = World::new(Mode::Blocks, Mode::Blocks);
        let kiln = Kiln::default();
        *kiln.0.lock().unwrap() = Mode::Blocks;
        let health = world.health().with(kiln).with(Clockwork::default()).start();
        let asking = ["/council_deliberation_3stage", "/supabase_db", "/kiln"].map(|path| {
            let health = health.clone();
            tokio::spawn(async move { get(&health, path).await })
        });
        while world.executions() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        for path in ["/live", "/started", "/ready", "/untouched", "/scheduled"] {
            let (half, most) = latencies(&health, path, 1_000).await;
            println!("{path} while three checks block: p50 {half:?}, p99 {most:?}");
            assert!(most < WITHIN, "{path}: {most:?}");
        }
        let [_, database, _] = asking;
        let (status, body) = database.await.unwrap();
        assert_eq!((status, &body["reason"]), (503, &"check_timed_out".into()), "{body}");
    });
    runtime.shutdown_background();
}

static BLOCKS: AtomicBool = AtomicBool::new(false);

fn blocks() -> Result<(), String> {
    while BLOCKS.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

#[test]
fn a_liveness_check_that_blocks_delays_no_answer_and_fails_after_the_limit() {
    let runtime = runtime(2);
    let _inside = runtime.enter();
    let health = Setup::new().liveness("gate", blocks).heartbeat(Duration::from_millis(500)).start();
    assert_eq!(reason(&health.liveness()), (Status::Pass, None));
    BLOCKS.store(true, Ordering::SeqCst);
    let began = Instant::now();
    let first = health.liveness();
    assert!(began.elapsed() < WITHIN, "{:?}", began.elapsed());
    assert_eq!(reason(&first), (Status::Pass, None), "its last result counts");
    // Later requests do not wait at all.
    let began = Instant::now();
    (0..100).for_each(|_| drop(health.liveness()));
    assert!(began.elapsed() < WITHIN, "{:?}", began.elapsed());
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(reason(&health.liveness()), (Status::Fail, Some(Reason::CheckTimedOut)));
    BLOCKS.store(false, Ordering::SeqCst);
    until(&health, (Status::Pass, None));
}

#[test]
fn the_text_of_a_liveness_check_is_bounded() {
    let health = Setup::new().liveness("huge", || Err("x".repeat(1 << 20))).start();
    let report = health.liveness();
    let text = report.parts["huge"].output.as_deref().unwrap();
    assert!(text.len() <= Limits::default().error_text + 32 && text.ends_with(" bytes]"), "{}", text.len());
}

/// Waits until liveness has this status and reason, at most for ten seconds.
#[track_caller]
pub(super) fn until(health: &Health, expected: (Status, Option<Reason>)) {
    let began = Instant::now();
    while reason(&health.liveness()) != expected {
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", health.liveness());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_runtime_that_runs_no_task_is_not_live_until_it_runs_one() {
    let runtime = runtime(2);
    let stalled = (Status::Fail, Some(Reason::Stale));
    let (health, lenient) = {
        let _inside = runtime.enter();
        (Setup::new().heartbeat(Duration::from_millis(400)).start(), Setup::new().start())
    };
    assert_eq!(reason(&health.liveness()), (Status::Pass, None));
    std::thread::sleep(Duration::from_millis(800));
    assert_eq!(reason(&health.liveness()), (Status::Pass, None), "it beats");
    static BLOCKED: AtomicBool = AtomicBool::new(true);
    for _ in 0..2 {
        runtime.spawn(async {
            // If the test fails, the runtime can still be dropped.
            let began = Instant::now();
            while BLOCKED.load(Ordering::SeqCst) && began.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
    }
    let began = Instant::now();
    until(&health, stalled);
    assert!(began.elapsed() > Duration::from_millis(250), "{:?}", began.elapsed());
    assert_eq!(reason(&lenient.liveness()), (Status::Pass, None), "the default is 30 s");
    BLOCKED.store(false, Ordering::SeqCst);
    until(&health, (Status::Pass, None));
    // A runtime that is dead is not live, whatever the limit.
    drop(runtime);
    assert_eq!(reason(&health.liveness()), stalled);
    assert_eq!(reason(&lenient.liveness()), stalled);
}

#[test]
fn a_heartbeat_that_is_off_is_in_no_report_while_its_runtime_lives() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let health = {
        let _inside = runtime.enter();
        Setup::new().heartbeat(None).start()
    };
    // No thread drives the runtime.
    std::thread::sleep(Duration::from_millis(150));
    let report = health.liveness();
    assert!(report.parts.is_empty() && report.status == Status::Pass, "{report:?}");
    drop(runtime);
    let report = health.liveness();
    assert_eq!(report.parts["runtime"].reason, Some(Reason::Stale), "{report:?}");
}

#[test]
fn a_check_that_returns_after_its_limit_has_failed() {
    fn late() -> Result<(), String> {
        std::thread::sleep(Duration::from_millis(250));
        Ok(())
    }
    let runtime = runtime(1);
    let _inside = runtime.enter();
    let health = Setup::new().liveness("late", late).heartbeat(Duration::from_millis(200)).start();
    let condition = || {
        let report = health.liveness();
        (report.parts["late"].status, report.parts["late"].reason)
    };
    let began = Instant::now();
    while condition() != (Status::Fail, Some(Reason::CheckTimedOut)) {
        assert!(began.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(5));
    }
    // It stays a failure while later executions begin and return.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(600) {
        assert_eq!(condition(), (Status::Fail, Some(Reason::CheckTimedOut)));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_check_of_the_program_runs_in_the_context_of_the_application() {
    fn knows_its_context() -> Result<(), String> {
        let runtime = Handle::try_current().map_err(|error| error.to_string())?;
        runtime.block_on(runtime.spawn(async {})).map_err(|error| error.to_string())?;
        let has_subscriber = !dispatcher::get_default(Dispatch::is::<NoSubscriber>);
        has_subscriber.then_some(()).ok_or_else(|| "the thread has none of the subscribers".to_owned())
    }
    let runtime = runtime(1);
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry());
    let setup = || Setup::new().liveness("context", knows_its_context);
    let inside = runtime.block_on(async { setup().start() });
    // If the set-up was started outside the runtime, the runtime is that of the first request.
    let outside = setup().start();
    runtime.block_on(get(&outside, "/live"));
    for health in [inside, outside] {
        until(&health, (Status::Pass, None));
        let report = health.liveness();
        assert_eq!(report.parts["context"].status, Status::Pass, "{report:?}");
    }
}

#[test]
fn a_slow_check_delays_only_the_first_report() {
    fn is_slow() -> Result<(), String> {
        std::thread::sleep(Duration::from_millis(30));
        Ok(())
    }
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let health = Setup::new().liveness("slow", is_slow).start();
        until(&health, (Status::Pass, None));
        let began = Instant::now();
        for _ in 0..50 {
            assert_eq!(get(&health, "/live").await.0, 200);
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    });
}

#[test]
fn checks_that_block_do_not_delay_a_runtime_of_one_thread() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::new(Mode::Blocks, Mode::Blocks);
        let health = world.health().with(Kiln::default()).with(Clockwork::default()).start();
        for path in ["/council_deliberation_3stage", "/supabase_db"] {
            let health = health.clone();
            tokio::spawn(async move { get(&health, path).await });
        }
        while world.executions() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (half, most) = latencies(&health, "/live", 1_000).await;
        println!("/live in a runtime of one thread while two checks block: p50 {half:?}, p99 {most:?}");
        assert!(most < WITHIN, "{most:?}");
    });
}

#[tokio::test(start_paused = true)]
async fn on_a_paused_clock_the_heartbeat_is_off() {
    let health = Setup::new().heartbeat(Duration::from_millis(100)).detail(Detail::Always).start();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    std::thread::sleep(Duration::from_millis(300));
    let (status, body) = get(&health, "/live").await;
    assert_eq!((status, &body["checks"]["runtime"]), (200, &"pass".into()), "{body}");
}
