//! Liveness, readiness and start-up.

use std::time::Duration;

use process_runtime::health::{Detail, Setup};

use super::{Mode, World, get};

#[tokio::test(start_paused = true)]
async fn readiness_follows_start_up_shutdown_and_required_dependencies() {
    let world = World::default();
    let health = world.health().require(["supabase_db"]).wait_for_mark_started().start();
    assert_eq!((get(&health, "/live").await.0, get(&health, "/started").await.0), (200, 503));
    assert_eq!(get(&health, "/ready").await.0, 503);
    health.mark_started();
    assert_eq!((get(&health, "/started").await.0, get(&health, "/ready").await.0), (200, 200));
    world.set(Mode::Works, Mode::Fails);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!((get(&health, "/live").await.0, get(&health, "/ready").await.0), (200, 503));
    world.set(Mode::Works, Mode::Works);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(get(&health, "/ready").await.0, 200);
    health.begin_shutdown();
    let (status, body) = get(&health, "/ready").await;
    assert_eq!((status, &body["checks"]["shutdown"]), (503, &"fail".into()));
    assert_eq!(get(&health, "/live").await.0, 200);

    // If a dependency in `report_only` fails, the replica stays ready.
    let health = World::new(Mode::Works, Mode::Fails).health().report_only(["supabase_db"]).start();
    let (status, body) = get(&health, "/ready").await;
    assert_eq!(
        (status, &body["status"], &body["checks"]["supabase_db"]),
        (200, &"degraded".into(), &"warn".into())
    );
}

#[tokio::test(start_paused = true)]
async fn liveness_fails_when_one_of_its_checks_fails_or_panics() {
    let health =
        Setup::new().liveness("writer", || Err("it is gone".to_owned())).detail(Detail::Always).start();
    let (status, body) = get(&health, "/live").await;
    assert_eq!((status, &body["details"]["writer"]["output"]), (503, &"it is gone".into()));
    let health = Setup::new().liveness("writer", || panic!("on demand")).start();
    assert_eq!(get(&health, "/live").await.0, 503);
}

#[tokio::test(start_paused = true)]
async fn readiness_that_requires_an_unknown_id_fails_and_reports_it() {
    let health = World::default().health().require(["supabase_bd"]).detail(Detail::Always).start();
    let (status, body) = get(&health, "/ready").await;
    assert_eq!(
        (status, &body["details"]["supabase_bd"]["output"]),
        (503, &"no process or check has this id".into())
    );
}
