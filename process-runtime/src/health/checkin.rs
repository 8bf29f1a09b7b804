//! Check-ins with [Sentry Crons](https://docs.sentry.io/product/crons/). A scheduled probe is a monitor with the id of
//! its process.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use process_model::CheckTarget;
use sentry_core::Hub;
use sentry_core::protocol::{
    EnvelopeItem, MonitorCheckIn, MonitorCheckInStatus, MonitorConfig, MonitorIntervalUnit, MonitorSchedule,
};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::check::{CheckRunner, Status};
use crate::base::lock::lock;

/// The shortest time between two check-ins of one monitor: Sentry accepts six in a minute.
const BETWEEN: Duration = Duration::from_secs(10);
/// The longest name of a monitor. Sentry cuts longer names, which could make two of them equal.
const LONGEST: usize = 50;
/// The unit of Sentry's schedules, and the shortest schedule.
const MINUTE: Duration = Duration::from_secs(60);

/// Sends the result of a scheduled probe to Sentry, if a client is bound.
pub(super) fn send(check: &CheckRunner) {
    let (CheckTarget::Process(id), Some(every)) = (check.definition.target(), check.definition.every())
    else {
        return;
    };
    // A thread that used Sentry before the application bound its client keeps a hub without one.
    let Some(client) = Hub::current().client().or_else(|| Hub::main().client()) else { return };
    let status = match check.reading().status {
        Status::Pass | Status::Warn => MonitorCheckInStatus::Ok,
        Status::Fail => MonitorCheckInStatus::Error,
    };
    if !may_check_in(id) {
        return;
    }
    let minutes = |duration: Duration| duration.as_secs().div_ceil(MINUTE.as_secs()).max(1);
    let check_in = MonitorCheckIn {
        check_in_id: sentry_core::types::random_uuid(),
        monitor_slug: slug(id),
        status,
        environment: client.options().environment.as_deref().map(str::to_owned),
        duration: check.took().map(|took| took.as_secs_f64()),
        monitor_config: Some(MonitorConfig {
            schedule: MonitorSchedule::Interval { value: minutes(every), unit: MonitorIntervalUnit::Minute },
            // The jitter of the schedule, and the time that the check may take.
            checkin_margin: Some(minutes(every.mul_f64(0.1) + check.definition.timeout())),
            max_runtime: Some(1),
            timezone: None,
            failure_issue_threshold: None,
            recovery_threshold: None,
        }),
    };
    client.send_envelope(EnvelopeItem::MonitorCheckIn(check_in).into());
}

/// Returns whether this monitor may check in now, and then notes that it did.
fn may_check_in(id: &str) -> bool {
    static LAST: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());
    let mut last = lock(&LAST);
    let may = last.get(id).is_none_or(|last| last.elapsed() >= BETWEEN);
    if may {
        last.insert(id.to_owned(), Instant::now());
    }
    may
}

/// Returns the name of the monitor of a process.
fn slug(id: &str) -> String {
    if id.len() <= LONGEST {
        return id.to_owned();
    }
    let hash = Sha256::digest(id).iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{}-{hash}", &id[..LONGEST - 9])
}
