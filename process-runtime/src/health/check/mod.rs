//! One check of a process or dependency: its definition, the state that it takes, its execution, and the resulting
//! status. Set-up, schedules, reports and endpoints do not belong here.

mod age;
mod check_findings;
mod conclusion;
mod condition;
mod linked_checks;
mod reason;
mod runner;
mod state;
mod status;
mod synthetic;
mod verdict;

pub(crate) use self::condition::Condition;
pub use self::linked_checks::{CheckDefinition, LinkedCheck, checks};
pub use self::reason::Reason;
pub(crate) use self::runner::{CheckReading, CheckRunner, GRACE};
pub use self::state::{MissingState, States};
pub use self::status::Status;
#[cfg(feature = "metrics")]
pub(crate) use self::synthetic::ended_runs;
pub(crate) use self::synthetic::{EndedRun, Part};
pub(crate) use self::verdict::within_limit;
pub use self::verdict::{CheckEnd, CheckVerdict, Checking, IntoVerdict, checking};
