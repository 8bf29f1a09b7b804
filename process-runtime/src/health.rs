//! Checks: what `#[health_check]` and `#[dependency_check]` registered, and what a check says.

mod registered;
mod state;
mod verdict;

pub use process_model::CheckTarget;

pub(crate) use self::registered::unreadable;
pub use self::registered::{CheckDefinition, checks};
#[doc(hidden)]
pub use self::registered::{CheckEntry, CheckSite};
pub use self::state::MissingState;
#[doc(hidden)]
pub use self::state::States;
#[doc(hidden)]
pub use self::verdict::{CheckEnd, Checking, checking};
pub use self::verdict::{Judged, Verdict};
