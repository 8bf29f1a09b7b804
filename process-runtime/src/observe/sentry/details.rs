//! What few runs keep for Sentry: a transaction, the last failure inside, errors whose text is withheld.

use std::sync::{Mutex, OnceLock};

use process_model::Outcome;
use sentry_core::TransactionOrSpan;
use sentry_core::types::Uuid;

use super::failure::{Captured, Identity};
use crate::base::lock::lock;
use crate::run::domain::sink::End;
use crate::run::ending::RunError;
use crate::run::hub::HubLink;

/// The most errors of stages that a run remembers in order to withhold their text. Past that it withholds the text of
/// every error.
const MOST_WITHHELD: usize = 64;

/// The details of one run.
#[derive(Debug, Default)]
pub(super) struct Details {
    pub(super) span: OnceLock<TransactionOrSpan>,
    /// The last failure among its children.
    pub(super) failure: Mutex<Option<Captured>>,
    /// The event of the panic that is unwinding.
    pub(super) panicked: OnceLock<Uuid>,
    failed_part: Mutex<Option<FailedPart>>,
    /// Errors of stages whose text leaves the process nowhere.
    withheld: Mutex<Vec<Identity>>,
}

/// The last part of a run that ended in failure: a stage, a call to a dependency, or a process.
#[derive(Clone, Copy, Debug)]
struct FailedPart {
    stage: Option<&'static str>,
    error_type: Option<&'static str>,
    /// Whether no other part ended well after it.
    is_last: bool,
}

impl Details {
    /// Returns the details of a run, if it has any.
    pub(super) fn of(link: &HubLink) -> Option<&Details> {
        link.details()
    }

    /// Returns the details of a run, which has them from now on.
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

    /// Returns the stage that a run failed by, or will have failed by if it ends now. A stage that was made good before
    /// another error came is not the one.
    pub(super) fn failed_stage(&self, end: Option<&End>) -> Option<&'static str> {
        let part = (*lock(&self.failed_part))?;
        let error_type = end.and_then(|end| end.error_type);
        let is_same = error_type.is_some() && part.error_type == error_type;
        part.stage.filter(|_| part.is_last || is_same)
    }

    /// Keeps the failure of a part of the run.
    pub(super) fn part_failed(&self, stage: Option<&'static str>, error_type: Option<&'static str>) {
        *lock(&self.failed_part) = Some(FailedPart { stage, error_type, is_last: true });
    }

    /// A part of the run ended well.
    pub(super) fn part_recovered(&self) {
        if let Some(part) = &mut *lock(&self.failed_part) {
            part.is_last = false;
        }
    }
}

/// Keeps in a run how a part of it ended.
pub(super) fn part_ended(run: &HubLink, stage: Option<&'static str>, end: &End) {
    match end.outcome {
        Outcome::Failure | Outcome::Panic => Details::kept(run).part_failed(stage, end.error_type),
        Outcome::Success | Outcome::Degraded | Outcome::Rejected => {
            if let Some(details) = Details::of(run) {
                details.part_recovered();
            }
        }
        // It says nothing about what came before.
        Outcome::Cancelled => {}
    }
}
