//! How often a check is executed, and how long an answer may take.

use std::sync::atomic::Ordering;
use std::time::Duration;

use process_runtime::health::{Detail, Setup, Status};

use super::{COUNCIL, Clockwork, Mode, World, get};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_at_once_cause_one_execution() {
    let world = World::default();
    let health = world.health().start();
    let asked: Vec<_> = (0..1000)
        .map(|_| {
            let health = health.clone();
            tokio::spawn(async move { get(&health, COUNCIL).await.0 })
        })
        .collect();
    for asked in asked {
        assert_eq!(asked.await.unwrap(), 200);
    }
    assert_eq!(world.executions(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_stops_no_execution() {
    let world = World::new(Mode::IsLate, Mode::Works);
    let health = world.health().start();
    let hung_up = tokio::time::timeout(Duration::from_secs(1), get(&health, COUNCIL)).await;
    assert!(hung_up.is_err());
    let (status, _) = get(&health, COUNCIL).await;
    assert_eq!((status, world.executions()), (200, 1));
}

#[tokio::test(start_paused = true)]
async fn a_result_is_good_for_its_time_and_no_longer() {
    let world = World::default();
    let health = world.health().start();
    get(&health, COUNCIL).await;
    world.set(Mode::Fails, Mode::Works);
    tokio::time::sleep(Duration::from_millis(4_900)).await;
    assert_eq!(get(&health, COUNCIL).await.0, 200);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(get(&health, COUNCIL).await.0, 503);
    assert_eq!(world.executions(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_response_takes_longer_than_the_timeouts_of_its_checks() {
    let world = World::new(Mode::Hangs, Mode::Hangs);
    let health = world.health().with(Clockwork::default()).start();
    for path in ["", COUNCIL, "/supabase_db", "/ready", "/live"] {
        let began = tokio::time::Instant::now();
        get(&health, path).await;
        assert!(began.elapsed() <= Duration::from_secs(11), "{path}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_schedule_runs_by_itself_and_requests_add_nothing_to_it() {
    let clockwork = Clockwork::default();
    let health = Setup::new().with(clockwork.clone()).start();
    assert_eq!(get(&health, "/scheduled").await.0, 200);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let rounds = clockwork.rounds.load(Ordering::SeqCst);
    assert!(
        (11..=14).contains(&rounds),
        "an hour has twelve times five minutes, give or take a tenth: {rounds}"
    );
    for _ in 0..100 {
        get(&health, "/scheduled").await;
    }
    assert_eq!(clockwork.rounds.load(Ordering::SeqCst), rounds);
    // The schedule ends when the endpoints are dropped.
    drop(health);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(clockwork.rounds.load(Ordering::SeqCst) <= rounds + 1);
}

#[test]
fn a_check_that_blocks_its_thread_fails_and_is_not_started_again() {
    let world = World::new(Mode::Blocks, Mode::Works);
    // The check blocks the only thread of this runtime.
    let stuck = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let health = {
        let _inside = stuck.enter();
        world.health().detail(Detail::Always).start()
    };
    let asking =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    asking.block_on(async {
        while world.executions() == 0 {
            let _ = tokio::time::timeout(Duration::from_millis(1), get(&health, COUNCIL)).await;
            std::thread::sleep(Duration::from_millis(1));
        }
        let (status, body) = get(&health, COUNCIL).await;
        assert_eq!((status, &body["reason"]), (503, &"check_timed_out".into()), "{body}");
        let error = body["error"].as_str().unwrap();
        assert!(
            error.contains("`health::the_council_deliberates` at ") && error.ends_with("blocks its thread"),
            "{error}"
        );
        for _ in 0..10 {
            get(&health, COUNCIL).await;
        }
    });
    assert_eq!(world.executions(), 1);
    stuck.shutdown_background();
}

#[test]
fn without_a_runtime_a_caller_lends_its_own() {
    let health = World::default().health().detail(Detail::Always).start();
    let asking = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    // The set-up was started outside a runtime, so the runtime of the caller executes the check.
    assert_eq!(asking.block_on(get(&health, "/supabase_db")).0, 200);
    assert_eq!(health.liveness().status, Status::Pass);
}

#[test]
fn no_two_executions_overlap_whenever_callers_ask() {
    for round in 0..50 {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::default();
            let health = world.health().detail(Detail::Always).start();
            let asked: Vec<_> = (0..64)
                .map(|number| {
                    let (health, path) = (health.clone(), if number % 2 == 0 { COUNCIL } else { "" });
                    tokio::spawn(async move {
                        let asking = get(&health, path);
                        // Some callers stop waiting early.
                        let patience =
                            Duration::from_micros(if number % 5 == 0 { number * 3 } else { 30_000_000 });
                        tokio::time::timeout(patience, asking).await.map(|(_, body)| body)
                    })
                })
                .collect();
            for asked in asked {
                if let Ok(body) = asked.await.unwrap() {
                    assert!(body["error"].is_null(), "round {round}: {body}");
                }
            }
            assert_eq!(world.executions(), 1, "round {round}");
        });
    }
}
