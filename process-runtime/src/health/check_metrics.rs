//! The OpenTelemetry instruments for checks. Two gauges contain the status of each check and the age of its latest
//! result. A counter counts the runs of processes that checks caused. Instruments for other runs do not belong here
//! (`observe::metrics`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use process_model::CheckTarget;

use super::check::{Status, ended_runs};
use super::shared::Shared;
use crate::base::lock::lock;
use crate::observe::metrics::InstrumentsOfFeature;

/// The shared state of each `Health` whose checks are measured.
static TRACKED: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// Adds the checks in `shared` to the two gauges, until the last clone of the `Health` is dropped.
pub(super) fn track(shared: &Arc<Shared>) {
    let mut tracked = lock(&TRACKED);
    tracked.retain(|known| known.strong_count() > 0);
    tracked.push(Arc::downgrade(shared));
}

/// The values of the two gauges for one process or dependency.
#[derive(Clone, Copy)]
struct Measured {
    status: Status,
    age: Duration,
}

/// Calls `f` for each process or dependency whose check has a status. If there are several checks of one process or
/// dependency, `f` receives the worst status and the greatest age.
fn each(mut f: impl FnMut(&Measured, &[KeyValue])) {
    let tracked = lock(&TRACKED).clone();
    let tracked: Vec<_> = tracked.iter().filter_map(Weak::upgrade).collect();
    let mut all = BTreeMap::<&CheckTarget, Measured>::new();
    for check in tracked.iter().flat_map(|shared| &shared.checks) {
        let Some((status, age)) = check.measured() else { continue };
        let new = Measured { status, age };
        let known = all.entry(check.definition.target()).or_insert(new);
        *known = Measured { status: known.status.max(new.status), age: known.age.max(new.age) };
    }
    for (target, measured) in all {
        let attribute = match target {
            CheckTarget::Process(id) => KeyValue::new("critical_process.id", id.clone()),
            CheckTarget::Dependency(id) => KeyValue::new("critical_process.dependency", id.clone()),
        };
        f(&measured, &[attribute]);
    }
}

inventory::submit! { InstrumentsOfFeature(observe) }

/// Registers the instruments. Their callbacks must not panic.
fn observe(meter: &Meter) {
    meter
        .u64_observable_counter("critical_process.synthetic.runs")
        .with_unit("{run}")
        .with_description("Process runs that health checks caused and that ended, by outcome")
        .with_callback(|observer| {
            for ((process, outcome), runs) in ended_runs() {
                let outcome = KeyValue::new("critical_process.outcome", outcome.as_str());
                observer.observe(runs, &[KeyValue::new("critical_process.id", process), outcome]);
            }
        })
        .build();
    meter
        .f64_observable_gauge("critical_process.check.status")
        .with_unit("1")
        .with_description("Status of a health check: 1 for pass, 0.5 for warn, 0 for fail")
        .with_callback(|observer| {
            each(|measured, attributes| {
                if let Some(status) = as_number(measured.status) {
                    observer.observe(status, attributes);
                }
            });
        })
        .build();
    meter
        .f64_observable_gauge("critical_process.check.age")
        .with_unit("s")
        .with_description("Time since the last execution of a health check")
        .with_callback(|observer| {
            each(|measured, attributes| observer.observe(measured.age.as_secs_f64(), attributes));
        })
        .build();
}

/// Returns the value of the gauge. An unknown status has none.
fn as_number(status: Status) -> Option<f64> {
    match status {
        Status::Unknown => None,
        Status::Pass => Some(1.0),
        Status::Warn => Some(0.5),
        Status::Fail => Some(0.0),
    }
}
