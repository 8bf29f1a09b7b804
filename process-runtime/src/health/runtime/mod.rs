//! The runtime of the application, in which checks run: whether it still runs tasks, and threads that poll a check
//! inside its context. Which check runs, and when, does not belong here.

mod clock;
mod heartbeat;
mod home;
mod inherited;
mod polling;
mod timer;

#[cfg(feature = "sentry")]
pub(super) use self::clock::is_virtual;
pub(crate) use self::home::{Home, Timer};
pub(crate) use self::timer::sleep_until;
