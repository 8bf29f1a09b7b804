//! Liveness, readiness and start-up.

use std::time::Duration;

use process_runtime::health::{Detail, Setup};

use super::{Mode, World, get};

#[tokio::test(start_paused = true)]
async fn readiness_goes_with_the_program_and_with_what_it_needs() {
    let world = World::default();
    let health = world.health().needs(["supabase_db"]).waits_for_start().start();
    assert_eq!((get(&health, "/live").await.0, get(&health, "/started").await.0), (200, 503));
    assert_eq!(get(&health, "/ready").await.0, 503);
    health.started();
    assert_eq!((get(&health, "/started").await.0, get(&health, "/ready").await.0), (200, 200));
    world.set(Mode::Works, Mode::Fails);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!((get(&health, "/live").await.0, get(&health, "/ready").await.0), (200, 503));
    world.set(Mode::Works, Mode::Works);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(get(&health, "/ready").await.0, 200);
    health.stopping();
    let (status, body) = get(&health, "/ready").await;
    assert_eq!((status, &body["checks"]["shutdown"]), (503, &"fail".into()));
    assert_eq!(get(&health, "/live").await.0, 200);

    // A dependency that is only shown does not make the replica unready.
    let health = World::new(Mode::Works, Mode::Fails).health().shows(["supabase_db"]).start();
    let (status, body) = get(&health, "/ready").await;
    assert_eq!(
        (status, &body["status"], &body["checks"]["supabase_db"]),
        (200, &"degraded".into(), &"warn".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_vital_sign_that_is_missing_is_a_failure_of_liveness() {
    let health = Setup::new().alive("writer", || Err("it is gone".to_owned())).detail(Detail::Always).start();
    let (status, body) = get(&health, "/live").await;
    assert_eq!((status, &body["details"]["writer"]["output"]), (503, &"it is gone".into()));
    let health = Setup::new().alive("writer", || panic!("on demand")).start();
    assert_eq!(get(&health, "/live").await.0, 503);
}

#[tokio::test(start_paused = true)]
async fn readiness_that_needs_an_unknown_check_fails_and_reports_it() {
    let health = World::default().health().needs(["supabase_bd"]).detail(Detail::Always).start();
    let (status, body) = get(&health, "/ready").await;
    assert_eq!((status, &body["details"]["supabase_bd"]["output"]), (503, &"there is no such check".into()));
}
