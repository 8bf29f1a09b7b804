//! Check-ins with [Sentry Crons](https://docs.sentry.io/product/crons/), which report the status of each scheduled
//! probe. In Sentry, the probe is a monitor that is named after the process. Events about failed runs do not belong
//! here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use process_model::CheckTarget;
use sentry_core::Hub;
use sentry_core::protocol::{
    EnvelopeItem, MonitorCheckIn, MonitorCheckInStatus, MonitorConfig, MonitorIntervalUnit, MonitorSchedule,
};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::check::{CheckRunner, Status};
use super::runtime::is_virtual;
use crate::base::cause::Cause;
use crate::base::destination::calls::Destination;
use crate::base::destination::unharmed;
use crate::base::lock::lock;
use crate::base::threads;
use crate::run::ending_thread::sentry::alive;

/// The minimum time between two check-ins for one monitor. Sentry accepts at most six of them per minute.
const BETWEEN: Duration = Duration::from_secs(10);
/// The maximum length of a monitor's name, in bytes. Sentry cuts longer names, so two long names could become equal.
const LONGEST: usize = 50;
/// The unit of the intervals that are sent to Sentry. It is also the shortest interval that Sentry supports.
const MINUTE: Duration = Duration::from_secs(60);

static UNSENT: Cause = Cause::new("cannot send the check-in of the probe of");

/// Sends the status of a scheduled probe to Sentry. Does nothing for a check that is not a scheduled probe. Does
/// nothing if no Sentry client is bound, or if the previous check-in for the same monitor is less than [`BETWEEN`]
/// ago.
pub(super) fn send(check: &CheckRunner) {
    let (CheckTarget::Process(id), Some(every)) = (check.definition.target(), check.definition.every())
    else {
        return;
    };
    // If this thread used Sentry before the application bound its client, the hub of the thread has no client. The
    // client of the main hub is then used.
    let client = alive(Hub::current).and_then(|hub| hub.client());
    let Some(client) = client.or_else(|| Hub::main().client()) else { return };
    let status = match check.reading().condition.status {
        Status::Unknown | Status::Pass | Status::Warn => MonitorCheckInStatus::Ok,
        Status::Fail => MonitorCheckInStatus::Error,
    };
    let Some(sending) = may_check_in(id) else { return };
    let minutes = |duration: Duration| duration.as_secs().div_ceil(MINUTE.as_secs()).max(1);
    let check_in = MonitorCheckIn {
        check_in_id: sentry_core::types::random_uuid(),
        monitor_slug: slug(id),
        status,
        environment: client.options().environment.as_deref().map(str::to_owned),
        duration: check.took().map(|took| took.as_secs_f64()),
        monitor_config: Some(MonitorConfig {
            schedule: MonitorSchedule::Interval { value: minutes(every), unit: MonitorIntervalUnit::Minute },
            // A check-in is on time within this margin: the random variation of the schedule, plus the timeout of the
            // check.
            checkin_margin: Some(minutes(every.mul_f64(0.1) + check.definition.timeout())),
            max_runtime: Some(1),
            timezone: None,
            failure_issue_threshold: None,
            recovery_threshold: None,
        }),
    };
    let send = move || {
        // This may be the last owner of the client.
        let send = move || client.send_envelope(EnvelopeItem::MonitorCheckIn(check_in).into());
        let is_sent = unharmed(Destination::Sentry, send);
        drop(sending);
        if is_sent && !is_any_stuck() {
            UNSENT.ended();
        }
    };
    // The transport of the client may block, so a thread of its own calls it. Under a virtual clock, which no other
    // thread can follow, the task itself does.
    if is_virtual() {
        send();
    } else if let Err(error) = threads::start("health-check-in", send) {
        UNSENT.happened(format_args!("`{id}`: {error}"));
    }
}

/// The latest check-in of a process.
struct Latest {
    at: Instant,
    /// Lives as long as the client sends the check-in.
    sending: Weak<()>,
}

static LATEST: Mutex<BTreeMap<String, Latest>> = Mutex::new(BTreeMap::new());

/// Returns whether the client has not returned from a check-in for so long that the next one is due.
fn is_any_stuck() -> bool {
    lock(&LATEST).values().any(|latest| latest.sending.strong_count() > 0 && latest.at.elapsed() >= BETWEEN)
}

/// Returns a value if a check-in may be sent now for the process with this id. The caller must keep the value until
/// the check-in is sent. Stores the current time as the time of the process's latest check-in.
fn may_check_in(id: &str) -> Option<Arc<()>> {
    let mut latest = lock(&LATEST);
    let previous = latest.get(id);
    if previous.is_some_and(|previous| previous.at.elapsed() < BETWEEN) {
        return None;
    }
    // There is at most one such thread for each process, however many check-ins a client does not return from.
    if previous.is_some_and(|previous| previous.sending.strong_count() > 0) {
        drop(latest);
        UNSENT
            .happened(format_args!("`{id}`: {} has not returned from the previous one", Destination::Sentry));
        return None;
    }
    let sending = Arc::new(());
    latest.insert(id.to_owned(), Latest { at: Instant::now(), sending: Arc::downgrade(&sending) });
    Some(sending)
}

/// Returns the name of a process's monitor, which is the id of the process. A long id is cut, and ends with a hash of
/// the whole id.
fn slug(id: &str) -> String {
    if id.len() <= LONGEST {
        return id.to_owned();
    }
    let hash = Sha256::digest(id).iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{}-{hash}", &id[..LONGEST - 9])
}
