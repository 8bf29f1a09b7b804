//! Check-ins with [Sentry Crons](https://docs.sentry.io/product/crons/): a scheduled probe is a monitor, of its process's id.

use std::time::Duration;

use process_model::CheckTarget;
use sentry_core::Hub;
use sentry_core::protocol::{
    EnvelopeItem, MonitorCheckIn, MonitorCheckInStatus, MonitorConfig, MonitorIntervalUnit, MonitorSchedule,
};

use super::check::Check;
use super::status::Status;

/// Sentry takes no more than six in a minute of one monitor.
pub(super) const BETWEEN: Duration = Duration::from_secs(10);
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
    let reading = check.reading();
    let Some(done) = &reading.done else { return };
    if !check.may_check_in(BETWEEN) {
        return;
    }
    let minutes = |duration: Duration| duration.as_secs().div_ceil(MINUTE.as_secs()).max(1);
    let check_in = MonitorCheckIn {
        check_in_id: sentry_core::types::random_uuid(),
        monitor_slug: id.clone(),
        status: match reading.status {
            Status::Pass | Status::Warn => MonitorCheckInStatus::Ok,
            Status::Fail => MonitorCheckInStatus::Error,
        },
        environment: client.options().environment.as_deref().map(str::to_owned),
        duration: Some(done.took.as_secs_f64()),
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
