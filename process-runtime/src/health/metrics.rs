//! What OpenTelemetry is told: the last state and the age of each check, and synthetic runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use process_model::{CheckTarget, Outcome};

use super::ALL;
use super::status::Status;
use crate::base::lock::lock;
use crate::observe::metrics::InstrumentsOfFeature;

static RUNS: Mutex<BTreeMap<(&'static str, Outcome), u64>> = Mutex::new(BTreeMap::new());

/// A synthetic run of a process ended.
pub(super) fn count(process: &'static str, outcome: Outcome) {
    *lock(&RUNS).entry((process, outcome)).or_default() += 1;
}

/// What is told of each check. Where two set-ups have the same, the worse.
fn each(mut f: impl FnMut(&Told, &[KeyValue])) {
    let all = lock(&ALL).clone();
    let mut told = BTreeMap::<&CheckTarget, Told>::new();
    for shared in all.iter().filter_map(Weak::upgrade) {
        for check in &shared.checks {
            let Some(status) = check.last_state() else { continue };
            let new = Told { status, age: check.reading().age.unwrap_or_default() };
            let known = told.entry(check.definition.target()).or_insert(new);
            *known = Told { status: known.status.max(new.status), age: known.age.max(new.age) };
        }
    }
    for (target, told) in told {
        let attribute = match target {
            CheckTarget::Process(id) => KeyValue::new("critical_process.id", id.clone()),
            CheckTarget::Dependency(id) => KeyValue::new("critical_process.dependency", id.clone()),
        };
        f(&told, &[attribute]);
    }
}

#[derive(Clone, Copy)]
struct Told {
    status: Status,
    age: Duration,
}

inventory::submit! { InstrumentsOfFeature(observe) }

/// Registers the instruments. Their callbacks must not panic.
fn observe(meter: &Meter) {
    meter
        .u64_observable_counter("critical_process.synthetic.runs")
        .with_unit("{run}")
        .with_description("Runs of health checks that ended, by outcome")
        .with_callback(|observer| {
            let runs = lock(&RUNS).clone();
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
            each(|told, attributes| observer.observe(figure(told.status), attributes));
        })
        .build();
    meter
        .f64_observable_gauge("critical_process.check.age")
        .with_unit("s")
        .with_description("How long ago a health check was last executed")
        .with_callback(|observer| {
            each(|told, attributes| observer.observe(told.age.as_secs_f64(), attributes));
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
