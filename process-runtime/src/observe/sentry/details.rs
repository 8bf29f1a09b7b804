//! The data that a run keeps for Sentry: its transaction, the last failure inside it, and the errors whose text is
//! withheld. Most runs never need this data. It is created when the run starts a transaction or when something in the
//! run fails. Building events does not belong here.

use std::sync::{Mutex, OnceLock};

use process_model::Outcome;
use sentry_core::TransactionOrSpan;
use sentry_core::types::Uuid;

use super::failure::{Captured, Identity};
use crate::base::lock::lock;
use crate::run::ending::{End, RunError};
use crate::run::hub::HubLink;

/// The maximum number of withheld errors that a run keeps. Once a run has kept this many, it withholds the text of
/// every error.
const MOST_WITHHELD: usize = 64;

/// The details of one run.
#[derive(Debug, Default)]
pub(super) struct Details {
    pub(super) span: OnceLock<TransactionOrSpan>,
    /// The last failure of a process inside the run.
    pub(super) failure: Mutex<Option<Captured>>,
    /// The event that the panic hook sent for a panic in this run.
    pub(super) panicked: OnceLock<Uuid>,
    failed_part: Mutex<Option<FailedPart>>,
    /// The errors of stages and dependencies with `error_text = never`, whose text must not be sent.
    withheld: Mutex<Vec<Identity>>,
}

/// The last failed part of a run. A part is a stage, a call to a dependency, or an inner process.
#[derive(Clone, Copy, Debug)]
struct FailedPart {
    stage: Option<&'static str>,
    error_type: Option<&'static str>,
    /// `true` until another part ends without a failure. The end of a cancelled part changes nothing.
    is_last: bool,
}

impl Details {
    /// Returns the details of a run, or `None` if none were created.
    pub(super) fn of(link: &HubLink) -> Option<&Details> {
        link.details()
    }

    /// Returns the details of a run. Creates empty details if the run has none.
    pub(super) fn kept(link: &HubLink) -> &Details {
        link.details_or_default()
    }

    pub(super) fn failure(&self) -> Option<Captured> {
        lock(&self.failure).clone()
    }

    pub(super) fn withhold(&self, identity: Identity) {
        let mut withheld = lock(&self.withheld);
        if withheld.len() < MOST_WITHHELD && !withheld.contains(&identity) {
            withheld.push(identity);
        }
    }

    pub(super) fn is_withheld(&self, error: &RunError<'_>) -> bool {
        // Comparing errors calls foreign code, so the lock is released first.
        let withheld = lock(&self.withheld).clone();
        withheld.len() == MOST_WITHHELD || withheld.iter().any(|one| one.is_in(error))
    }

    /// Returns the last failed part of the run, if this part is a stage and counts as the cause of the run's failure.
    /// The stage counts as the cause if no other part has ended without a failure since, or if the run ended with the
    /// error type of the stage. `end` is `None` while the run is in flight.
    pub(super) fn failed_stage(&self, end: Option<&End>) -> Option<&'static str> {
        let part = (*lock(&self.failed_part))?;
        let error_type = end.and_then(|end| end.error_type);
        let is_same = error_type.is_some() && part.error_type == error_type;
        part.stage.filter(|_| part.is_last || is_same)
    }

    /// Records that a part of the run failed.
    pub(super) fn part_failed(&self, stage: Option<&'static str>, error_type: Option<&'static str>) {
        *lock(&self.failed_part) = Some(FailedPart { stage, error_type, is_last: true });
    }

    /// Records that a part of the run ended without a failure.
    pub(super) fn part_recovered(&self) {
        if let Some(part) = &mut *lock(&self.failed_part) {
            part.is_last = false;
        }
    }
}

/// Records in a run how a part of it ended.
pub(super) fn part_ended(run: &HubLink, stage: Option<&'static str>, end: &End) {
    match end.outcome {
        Outcome::Failure | Outcome::Panic => Details::kept(run).part_failed(stage, end.error_type),
        Outcome::Success | Outcome::Degraded | Outcome::Rejected => {
            if let Some(details) = Details::of(run) {
                details.part_recovered();
            }
        }
        // A cancelled part does not show that the run recovered from an earlier failure.
        Outcome::Cancelled => {}
    }
}
