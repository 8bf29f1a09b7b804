//! The heartbeat of a runtime that is dead, that has no timer, or that no thread drives.

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use process_runtime::health::{Health, Reason, Request, Setup, Status};
use serde_json::Value;
use tokio::runtime::Builder;

use super::children::child;
use super::get;
use super::liveness::{reason, runtime, until};

const STALE: (Status, Option<Reason>) = (Status::Fail, Some(Reason::Stale));
const PASS: (Status, Option<Reason>) = (Status::Pass, None);

/// Asserts that a listener in another runtime receives the failure, in both forms.
#[track_caller]
fn assert_dead_elsewhere(health: &Health) {
    assert_eq!(reason(&health.liveness()), STALE);
    let elsewhere = Builder::new_current_thread().build().unwrap();
    for (accept, status) in [("application/json", "unhealthy"), ("application/health+json", "fail")] {
        let request =
            Request { method: "GET", path: "/health/live", accept: Some(accept), ..Request::default() };
        let response = elsewhere.block_on(health.respond(request));
        let body: Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(
            (response.status, &body["status"], &body["reason"]),
            (503, &status.into(), &"stale".into())
        );
    }
}

#[test]
fn a_runtime_that_a_panic_ends_is_not_live() {
    for limit in [Some(Duration::from_secs(30)), None] {
        let (sender, receiver) = std::sync::mpsc::channel();
        let server = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                sender.send(Setup::new().heartbeat(limit).start()).unwrap();
                tokio::task::yield_now().await;
                panic!("on demand");
            });
        });
        server.join().unwrap_err();
        assert_dead_elsewhere(&receiver.recv().unwrap());
    }
}

#[test]
fn a_runtime_that_was_dropped_or_shut_down_is_not_live_whatever_the_limit() {
    for limit in [Some(Duration::from_secs(30)), None] {
        for start in [|| Builder::new_current_thread(), || Builder::new_multi_thread()] {
            let runtime = start().build().unwrap();
            let health = runtime.block_on(async { Setup::new().heartbeat(limit).start() });
            assert_eq!(reason(&health.liveness()), PASS);
            drop(runtime);
            assert_dead_elsewhere(&health);
        }
        let runtime = runtime(1);
        let health = runtime.block_on(async { Setup::new().heartbeat(limit).start() });
        runtime.shutdown_background();
        until(&health, STALE);
        assert_dead_elsewhere(&health);
    }
}

#[test]
fn a_dead_runtime_is_not_live_although_its_clock_was_paused() {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let health = runtime.block_on(async {
        let health = Setup::new().start();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        health
    });
    assert_eq!(reason(&health.liveness()), PASS);
    drop(runtime);
    assert_dead_elsewhere(&health);
}

#[test]
fn a_set_up_that_was_started_outside_a_runtime_has_the_heartbeat_of_the_first_request() {
    for limit in [Some(Duration::from_secs(30)), None] {
        let health = Setup::new().heartbeat(limit).start();
        assert_eq!(reason(&health.liveness()), PASS);
        let runtime = runtime(1);
        let (status, body) = runtime.block_on(get(&health, "/live"));
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["checks"].get("runtime").is_some(), limit.is_some(), "{body}");
        // A later request in another runtime changes nothing.
        let elsewhere = Builder::new_current_thread().build().unwrap();
        assert_eq!(elsewhere.block_on(get(&health, "/live")).0, 200);
        drop(elsewhere);
        assert_eq!(reason(&health.liveness()), PASS);
        drop(runtime);
        assert_dead_elsewhere(&health);
    }
}

#[test]
fn a_runtime_that_no_thread_drives_is_not_live() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let health = {
        let _inside = runtime.enter();
        Setup::new().heartbeat(Duration::from_millis(100)).start()
    };
    until(&health, STALE);
    // The part of the report is that of the runtime.
    assert_eq!(health.liveness().parts["runtime"].reason, Some(Reason::Stale));
    runtime.block_on(async {
        while health.liveness().status != Status::Pass {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
#[ignore = "child of a_runtime_without_a_timer_has_a_heartbeat_and_nothing_panics"]
fn child_has_no_timer() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    panic::set_hook(Box::new(|_| {
        PANICS.fetch_add(1, Ordering::SeqCst);
    }));
    for limit in [Some(Duration::from_millis(200)), None] {
        let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let health = runtime.block_on(async { Setup::new().heartbeat(limit).start() });
        // Without a beat since the start, the heartbeat would now be too old.
        std::thread::sleep(Duration::from_millis(300));
        until(&health, PASS);
        drop(runtime);
        assert_eq!(reason(&health.liveness()), STALE);
    }
    println!("panics: {}", PANICS.load(Ordering::SeqCst));
}

#[test]
fn a_runtime_without_a_timer_has_a_heartbeat_and_nothing_panics() {
    let output = child("runtimes::child_has_no_timer").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("panics: 0\n"), "{text}");
}
