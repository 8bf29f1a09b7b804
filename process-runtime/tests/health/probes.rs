//! The result of a check: when it passes and when it fails. Also processes that have no check, which are judged by
//! their traffic.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use process_runtime::health::{Detail, Setup};
use process_runtime::registry;

use super::{COUNCIL, Clockwork, Mode, World, get, unprobed};

#[tokio::test(start_paused = true)]
async fn a_probe_that_passes_shows_its_stages_and_dependencies() {
    let world = World::default();
    let health = world.health().detail(Detail::Always).start();
    let (status, body) = get(&health, COUNCIL).await;
    assert_eq!(status, 200);
    assert_eq!(body["status"], "degraded", "stage 2 is not reached: {body}");
    assert_eq!(body["serving"], true);
    assert_eq!(
        (&body["process_id"], &body["version"]),
        (&"council_deliberation_3stage".into(), &"2.1.0".into())
    );
    assert_eq!(body["source"], "probe");
    assert_eq!(
        body["checks"],
        serde_json::json!({ "stage1": "pass", "stage2": "warn", "openrouter_api": "pass", "supabase_db": "pass" })
    );
    assert!(
        body["latency_ms"].is_number() && body["timestamp"].is_string() && body["checked_at"].is_string()
    );
}

#[tokio::test(start_paused = true)]
async fn each_way_of_going_wrong_is_named_in_the_answer() {
    for (mode, status, text) in [
        (Mode::Fails, 503, "host db-7 refuses"),
        (Mode::Degrades, 200, "degraded"),
        (Mode::IsLate, 200, "success, late: took 3.0s, SLA 2s"),
        (Mode::Panics, 503, "the check panicked"),
        (Mode::Hangs, 503, "no answer within 10s"),
        (
            Mode::DoesNotRun,
            503,
            "the health check did not run `council_deliberation_3stage`; call the process in the check",
        ),
    ] {
        let world = World::new(mode, Mode::Works);
        let health = world.health().detail(Detail::Always).start();
        let (answered, body) = get(&health, COUNCIL).await;
        assert_eq!(answered, status, "{mode:?}: {body}");
        assert_eq!(body["error"], text, "{mode:?}: {body}");
        assert_eq!(body.get("serving").is_some(), status == 200, "{body}");
    }
    // If a process works although a dependency is down, the dependency does not make the process fail.
    let world = World::new(Mode::Works, Mode::Fails);
    let health = world.health().detail(Detail::Always).start();
    let (status, body) = get(&health, COUNCIL).await;
    assert_eq!(
        (status, &body["status"], &body["checks"]["supabase_db"]),
        (200, &"degraded".into(), &"fail".into())
    );
    assert_eq!(body["details"]["supabase_db"]["output"], "host db-7 refuses");
    let (status, body) = get(&health, "/supabase_db").await;
    assert_eq!((status, &body["status"]), (503, &"unhealthy".into()));
    assert_eq!(
        (&body["dependency_id"], &body["error"]),
        (&"supabase_db".into(), &"host db-7 refuses".into())
    );
}

#[tokio::test(start_paused = true)]
async fn the_answer_names_the_state_that_a_check_lacks() {
    let health = Setup::new().detail(Detail::Always).start();
    let (status, body) = get(&health, COUNCIL).await;
    assert_eq!(status, 503);
    assert_eq!(
        body["error"],
        "missing state of type `health::World`; provide it with `health::Setup::with(…)`"
    );
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_process_refuses_its_input_does_not_pass() {
    let clockwork = Clockwork { mode: Arc::new(Mutex::new(Mode::Rejects)), ..Clockwork::default() };
    let health = Setup::new().with(clockwork).detail(Detail::Always).start();
    let (status, body) = get(&health, "/scheduled").await;
    assert_eq!(status, 503);
    assert_eq!(body["error"], "rejected, health::CouncilError");
}

#[tokio::test(start_paused = true)]
async fn synthetic_runs_are_in_no_figure() {
    let before = registry::stats("council_deliberation_3stage").unwrap().started;
    let world = World::default();
    let health = world.health().start();
    for _ in 0..3 {
        get(&health, COUNCIL).await;
        tokio::time::sleep(Duration::from_secs(6)).await;
    }
    assert_eq!(world.executions(), 3);
    assert_eq!(registry::stats("council_deliberation_3stage").unwrap().started, before);
    assert_eq!(registry::in_flight().len(), 0);
}

#[tokio::test]
async fn a_process_without_a_check_is_judged_by_its_traffic() {
    let health = Setup::new().detail(Detail::Always).start();
    let (status, body) = get(&health, "/unprobed").await;
    assert_eq!(
        (status, &body["status"], &body["source"], &body["reason"]),
        (200, &"unknown".into(), &"traffic".into(), &"no_traffic".into()),
        "{body}"
    );
    assert!(body["error"].as_str().unwrap().contains("no success since the start"), "{body}");
    for _ in 0..19 {
        unprobed(true).await.unwrap();
    }
    let (_, body) = get(&health, "/unprobed").await;
    assert_eq!((&body["status"], body.get("reason")), (&"healthy".into(), None), "{body}");
    for _ in 0..4 {
        unprobed(false).await.unwrap_err();
    }
    let (status, body) = get(&health, "/unprobed").await;
    let degraded = (200, &"degraded".into(), &"error_rate".into());
    assert_eq!((status, &body["status"], &body["reason"]), degraded, "more than a tenth failed: {body}");
    for _ in 0..50 {
        unprobed(false).await.unwrap_err();
    }
    let (status, body) = get(&health, "/unprobed").await;
    assert_eq!((status, &body["status"], &body["reason"]), degraded, "traffic is never a failure: {body}");
}
