//! What OpenTelemetry is told: the last state and the age of each check, and synthetic runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use process_model::{CheckTarget, Outcome};

use super::ALL;
use super::check::Check;
use super::status::Status;

static RUNS: Mutex<BTreeMap<(&'static str, Outcome), u64>> = Mutex::new(BTreeMap::new());

/// A synthetic run of a process ended.
pub(super) fn count(process: &'static str, outcome: Outcome) {
    *RUNS.lock().unwrap_or_else(PoisonError::into_inner).entry((process, outcome)).or_default() += 1;
}

/// Calls `f` with each check that is there, and its attributes.
fn each(mut f: impl FnMut(&Check, &[KeyValue])) {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for check in all.iter().filter_map(|shared| shared.upgrade()).flat_map(|shared| shared.checks.clone()) {
        let attribute = match check.definition.target() {
            CheckTarget::Process(id) => KeyValue::new("critical_process.id", id.clone()),
            CheckTarget::Dependency(id) => KeyValue::new("critical_process.dependency", id.clone()),
        };
        f(&check, &[attribute]);
    }
}

/// Registers the instruments. Their callbacks must not panic.
pub(crate) fn observe(meter: &Meter) {
    meter
        .u64_observable_counter("critical_process.synthetic.runs")
        .with_unit("{run}")
        .with_description("Runs of health checks that ended, by outcome")
        .with_callback(|observer| {
            let runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for ((process, outcome), runs) in runs {
                let outcome = KeyValue::new("critical_process.outcome", outcome.as_str());
                observer.observe(runs, &[KeyValue::new("critical_process.id", process), outcome]);
            }
        })
        .build();
    meter
        .f64_observable_gauge("critical_process.check.status")
        .with_unit("1")
        .with_description("The state of a health check: 1 is pass, 0.5 warn, 0 fail")
        .with_callback(|observer| {
            each(|check, attributes| {
                if let Some(status) = check.last_state() {
                    observer.observe(figure(status), attributes);
                }
            });
        })
        .build();
    meter
        .f64_observable_gauge("critical_process.check.age")
        .with_unit("s")
        .with_description("How long ago a health check was last executed")
        .with_callback(|observer| {
            each(|check, attributes| {
                if let Some(age) = check.reading().age {
                    observer.observe(age.as_secs_f64(), attributes);
                }
            });
        })
        .build();
}

fn figure(status: Status) -> f64 {
    match status {
        Status::Pass => 1.0,
        Status::Warn => 0.5,
        Status::Fail => 0.0,
    }
}
