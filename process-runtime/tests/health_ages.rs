//! The result of a check and its age do not depend on other checks, including checks with the same name.

#[path = "shared/asking.rs"]
mod asking;

use process_runtime::health::{Detail, Setup};
use process_runtime::{critical_process, dependency_check, health_check, stage};
use std::time::Duration;

use asking::get;

#[critical_process(id = "hung", version = "1.0.0", sla = "2s", depends_on("quick", "default"))]
async fn hung() {
    std::future::pending::<()>().await
}
#[health_check(process = "hung")]
async fn hung_works() {
    hung().await
}
#[dependency_check(id = "quick", timeout = "500ms", cached_for = "2s")]
async fn quick() {}
#[dependency_check(id = "default")]
async fn default() {}
#[dependency_check(id = "slow", timeout = "20s")]
async fn slow() {
    std::future::pending::<()>().await
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_does_not_age_the_result_of_another() {
    let health = Setup::new().require(["quick"]).report_only(["hung"]).detail(Detail::Always).start();
    let (status, body) = get(&health, "/ready").await;
    assert_eq!(status, 200, "{body}");
}
#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_does_not_age_a_result_with_the_default_validity() {
    let health = Setup::new().require(["default"]).report_only(["slow"]).detail(Detail::Always).start();
    let (status, body) = get(&health, "/ready").await;
    assert_eq!(status, 200, "{body}");
}

#[critical_process(id = "panics_late", version = "1.0.0", sla = "2s")]
async fn panics_late() {}
struct Bomb;
impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in drop")
    }
}
#[health_check(process = "panics_late", timeout = "1s")]
async fn it_panics_when_dropped() {
    let _bomb = Bomb;
    panics_late().await;
    std::future::pending::<()>().await
}
#[tokio::test(start_paused = true)]
async fn a_panic_in_the_drop_of_a_check_that_timed_out_keeps_the_reason() {
    let health = Setup::new().detail(Detail::Always).start();
    let (status, body) = get(&health, "/panics_late").await;
    assert_eq!((status, &body["error"]), (503, &"no answer within 1s".into()));
}

// A stage and a dependency with the same id.
#[critical_process(id = "outer", version = "1.0.0", sla = "2s", depends_on("same"))]
async fn outer() -> Result<(), &'static str> {
    let _ = same().await;
    Ok(())
}
#[stage(id = "same", process = "outer")]
async fn same() -> Result<(), &'static str> {
    Err("no")
}
#[dependency_check(id = "same")]
async fn same_dep() {}
#[health_check(process = "outer")]
async fn outer_works() -> Result<(), &'static str> {
    outer().await
}
#[tokio::test(start_paused = true)]
async fn a_stage_is_not_hidden_by_a_dependency_of_its_name() {
    let health = Setup::new().detail(Detail::Always).start();
    let (_, body) = get(&health, "/outer").await;
    assert_eq!(body["checks"]["same"], "fail", "{body}");
}

// A process on which another process depends.
#[critical_process(id = "inner_p", version = "1.0.0", sla = "2s")]
async fn inner_p() -> Result<(), &'static str> {
    Err("down")
}
#[health_check(process = "inner_p")]
async fn inner_works() -> Result<(), &'static str> {
    inner_p().await
}
#[critical_process(id = "outer_p", version = "1.0.0", sla = "2s", depends_on("inner_p"))]
async fn outer_p() -> Result<(), &'static str> {
    Ok(())
}
#[health_check(process = "outer_p")]
async fn outer_p_works() -> Result<(), &'static str> {
    outer_p().await
}
#[tokio::test(start_paused = true)]
async fn a_dependency_that_is_a_process_is_judged_by_its_probe() {
    let health = Setup::new().detail(Detail::Always).start();
    assert_eq!(get(&health, "/inner_p").await.0, 503);
    let (_, body) = get(&health, "/outer_p").await;
    assert_eq!(body["checks"]["inner_p"], "fail", "{body}");
}

#[tokio::test(start_paused = true)]
async fn an_alias_does_not_hide_a_process_of_the_same_name() {
    let health = Setup::new().alias("hung", "quick").require(["hung"]).start();
    let (status, body) = get(&health, "/hung").await;
    assert_eq!(body["process_id"], "hung", "{status} {body}");
    tokio::time::sleep(Duration::from_secs(1)).await;
}
