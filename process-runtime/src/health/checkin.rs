//! Check-ins with [Sentry Crons](https://docs.sentry.io/product/crons/): a scheduled probe is a monitor, of its process's id.

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

use super::check::Check;
use super::status::Status;
use crate::base::lock::lock;

/// Sentry takes no more than six in a minute of one monitor.
const BETWEEN: Duration = Duration::from_secs(10);
/// The longest name of a monitor; Sentry cuts others, and two could then be one.
const LONGEST: usize = 50;
/// Sentry's schedules are in minutes, and at least one.
const MINUTE: Duration = Duration::from_secs(60);

/// Tells Sentry how a scheduled probe ended, where it is bound.
pub(super) fn send(check: &Check) {
    let (CheckTarget::Process(id), Some(every)) = (check.definition.target(), check.definition.every())
    else {
        return;
    };
    // A thread that used Sentry before the application bound a client has none of its own.
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
            // With the jitter, and the check itself.
            checkin_margin: Some(minutes(every.mul_f64(0.1) + check.definition.timeout())),
            max_runtime: Some(1),
            timezone: None,
            failure_issue_threshold: None,
            recovery_threshold: None,
        }),
    };
    client.send_envelope(EnvelopeItem::MonitorCheckIn(check_in).into());
}

/// Whether it is long enough ago that this program checked in as this monitor, which it then does.
fn may_check_in(id: &str) -> bool {
    static LAST: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());
    let mut last = lock(&LAST);
    let may = last.get(id).is_none_or(|last| last.elapsed() >= BETWEEN);
    if may {
        last.insert(id.to_owned(), Instant::now());
    }
    may
}

/// The monitor of a process.
fn slug(id: &str) -> String {
    if id.len() <= LONGEST {
        return id.to_owned();
    }
    let hash = Sha256::digest(id).iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{}-{hash}", &id[..LONGEST - 9])
}
