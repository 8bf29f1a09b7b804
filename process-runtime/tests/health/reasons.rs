//! The reason of each state. Those of traffic are in `traffic`, those of blocking checks in `foreign`, and that of
//! the heartbeat in `liveness`.

use std::time::Duration;

use process_runtime::health::{Reason, Setup};

use super::{COUNCIL, Kiln, Mode, World, get};

#[tokio::test(start_paused = true)]
async fn every_state_of_a_check_has_a_reason() {
    for (mode, status, reason) in [
        (Mode::Fails, "unhealthy", "check_failed"),
        (Mode::Panics, "unhealthy", "check_failed"),
        (Mode::DoesNotRun, "unhealthy", "check_failed"),
        (Mode::Degrades, "degraded", "check_failed"),
        (Mode::IsLate, "degraded", "overdue"),
        (Mode::Hangs, "unhealthy", "check_timed_out"),
    ] {
        let health = World::new(mode, Mode::Works).health().start();
        let (_, body) = get(&health, COUNCIL).await;
        assert_eq!((&body["status"], &body["reason"]), (&status.into(), &reason.into()), "{mode:?}: {body}");
    }
    // Only a part fails, so its reason is the reason of the whole.
    let health = World::new(Mode::Works, Mode::Fails).health().require(["supabase_db"]).start();
    for path in [COUNCIL, "/ready"] {
        let (_, body) = get(&health, path).await;
        assert_eq!(
            (&body["reason"], &body["reasons"]["supabase_db"]),
            (&"check_failed".into(), &"check_failed".into())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_is_starting_before_its_first_result_and_stale_after_an_old_one() {
    let kiln = Kiln::default();
    *kiln.0.lock().unwrap() = Mode::Hangs;
    let health = Setup::new().with(kiln.clone()).start();
    let (status, body) = get(&health, "/kiln").await;
    assert_eq!((status, &body["reason"]), (503, &"starting".into()), "{body}");
    *kiln.0.lock().unwrap() = Mode::Works;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (status, body) = get(&health, "/kiln").await;
    assert_eq!((status, body.get("reason")), (200, None), "{body}");
    *kiln.0.lock().unwrap() = Mode::Hangs;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (status, body) = get(&health, "/kiln").await;
    assert_eq!(
        (status, &body["status"], &body["reason"]),
        (200, &"degraded".into(), &"stale".into()),
        "{body}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_program_that_starts_or_stops_says_so() {
    let health = Setup::new().wait_for_mark_started().start();
    for path in ["/started", "/ready"] {
        let (status, body) = get(&health, path).await;
        assert_eq!((status, &body["reason"]), (503, &"starting".into()), "{path}: {body}");
    }
    health.mark_started();
    health.begin_shutdown();
    let (status, body) = get(&health, "/ready").await;
    assert_eq!(
        (status, &body["reason"], &body["reasons"]["shutdown"]),
        (503, &"stopping".into(), &"stopping".into())
    );
}

#[test]
fn the_names_of_the_reasons_are_a_closed_list() {
    let all = [
        Reason::NoTraffic,
        Reason::Overdue,
        Reason::ErrorRate,
        Reason::CheckFailed,
        Reason::CheckTimedOut,
        Reason::Stale,
        Reason::Starting,
        Reason::Stopping,
    ];
    let names = all.map(Reason::as_str);
    let expected = "no_traffic overdue error_rate check_failed check_timed_out stale starting stopping";
    assert_eq!(names.join(" "), expected);
    for schema in [
        include_str!("../../schemas/health.schema.json"),
        include_str!("../../schemas/health+json.schema.json"),
    ] {
        let list = format!("\"enum\": [\"{}\"]", names.join("\", \""));
        assert_eq!(
            schema.matches(&list).count(),
            schema.matches("\"no_traffic\"").count(),
            "the schemas have this list"
        );
    }
}
