//! A status with its reason and its text, as checks, traffic and liveness produce it. Deciding it does not belong
//! here.

use super::reason::Reason;
use super::status::Status;

/// A status, the reason if it is not a pass, and a text about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    pub(crate) output: Option<String>,
}

impl Condition {
    pub(crate) const PASS: Condition = Condition { status: Status::Pass, reason: None, output: None };

    /// Creates the condition of a status that is not a pass.
    pub(crate) fn new(status: Status, reason: Reason, output: impl Into<String>) -> Condition {
        Condition { status, reason: Some(reason), output: Some(output.into()) }
    }
}
