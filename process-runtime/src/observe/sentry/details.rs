//! The data that a run keeps for Sentry once it has a transaction or something in it fails: the transaction, the last
//! failure, errors whose text is withheld. Building events must not go in here.

use std::sync::{Mutex, OnceLock};

use process_model::Outcome;
use sentry_core::TransactionOrSpan;
use sentry_core::types::Uuid;

use super::failure::{Captured, Identity};
use crate::base::lock::lock;
use crate::run::domain::sink::End;
use crate::run::ending::RunError;
use crate::run::hub::HubLink;

/// The maximum number of errors of stages that a run keeps in order to withhold their text. From then on it withholds
/// the text of every error.
const MOST_WITHHELD: usize = 64;

/// The details of one run.
#[derive(Debug, Default)]
pub(super) struct Details {
    pub(super) span: OnceLock<TransactionOrSpan>,
    /// The last failure among the processes inside the run.
    pub(super) failure: Mutex<Option<Captured>>,
    /// The event that the panic hook sent for a panic in this run.
    pub(super) panicked: OnceLock<Uuid>,
    failed_part: Mutex<Option<FailedPart>>,
    /// The errors of stages and dependencies with `error_text = never`, whose text must not be sent.
    withheld: Mutex<Vec<Identity>>,
}

/// The last part of a run that ended in failure: a stage, a call to a dependency, or a process.
#[derive(Clone, Copy, Debug)]
struct FailedPart {
    stage: Option<&'static str>,
    error_type: Option<&'static str>,
    /// Whether no other part has ended without a failure since.
    is_last: bool,
}

impl Details {
    /// Returns the details of a run, if it has any.
    pub(super) fn of(link: &HubLink) -> Option<&Details> {
        link.details()
    }

    /// Returns the details of a run, and creates them if it has none.
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
        let withheld = lock(&self.withheld);
        withheld.len() == MOST_WITHHELD || withheld.iter().any(|one| one.is_in(error))
    }

    /// Returns the stage that made a run fail; before its end, the stage that failed last. If another part ended well
    /// since then, the stage counts only if the run ends with the same error type.
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
