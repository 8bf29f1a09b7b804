//! The measurements of runs in OpenTelemetry's meters. A process has one meter provider, so each test runs in a
//! process of its own.

mod births;
mod exposition;
mod instruments;
mod providers;
mod samples;
mod series;

use std::future::pending;
use std::panic::catch_unwind;

use process_runtime::{Install, critical_process, stage};
use process_tests::readings::Readings;
use process_tests::ways::{How, Trouble};

#[critical_process(
    id = "measured",
    version = "1.0.0",
    sla = "77s",
    context(order),
    rejects(Trouble::Yours),
    degraded = How::is_fallback,
    error_type = Trouble::kind,
)]
fn measured(order: u8, how: How) -> Result<How, Trouble> {
    let _ = order;
    part();
    how.end_now()
}

#[stage(id = "part", process = "measured", sla = "33s")]
fn part() {}

#[critical_process(id = "odd_sla", version = "1.0.0", sla = "1234ms")]
fn odd_sla() {}

/// Ends two runs with success, and one run with each other outcome.
fn every_outcome() {
    for how in [How::Succeed, How::Succeed, How::FallBack, How::Reject, How::Fail] {
        let _ = measured(1, how);
    }
    catch_unwind(|| measured(1, How::Panic)).unwrap_err();
    poll_once_and_drop();
}

fn poll_once_and_drop() {
    let mut run = Box::pin(cancelled());
    assert!(run.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
}

#[critical_process(id = "cancelled", version = "1.0.0", sla = "10s")]
async fn cancelled() {
    pending().await
}

fn measured_by(body: impl FnOnce(&Readings)) {
    let readings = Readings::new();
    let installation = Install::new().meter_provider(readings.provider()).start();
    body(&readings);
    installation.stop();
}

const OUTCOME: &str = "critical_process.outcome";
const LATE: &str = "critical_process.late";
