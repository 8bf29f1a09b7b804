//! While instrumentation is off, a probe has no runs, so its status follows only from the value that it returns. The
//! switch affects the whole program, so this test has a binary of its own.

use process_runtime::health::{Request, Setup, Status};
use process_runtime::{critical_process, health_check};

#[critical_process(id = "plain", version = "1.0.0", sla = "2s")]
async fn plain() {}

#[health_check(process = "plain")]
async fn plain_works() {
    plain().await;
}

#[tokio::test]
async fn a_probe_that_nothing_can_see_is_a_warning_and_no_outage() {
    process_runtime::disable();
    let health = Setup::new().start();
    assert_eq!(health.report("plain").await.expect("it is there").status, Status::Warn);
    let answer = health.respond(Request { method: "GET", path: "/plain", ..Request::default() }).await;
    assert_eq!(answer.status, 200);
}
