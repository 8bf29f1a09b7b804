//! The mechanism that lets a test replace the body of a run with a fault. This happens at the boundary of the run,
//! where the body is polled or called, and only in the domain of the test. The faults themselves belong to `testing`.
//! Without the feature `testing`, items of the same names exist, which do nothing and cost nothing.

#[cfg(not(feature = "testing"))]
mod off;
#[cfg(feature = "testing")]
mod on;

#[cfg(not(feature = "testing"))]
pub(crate) use self::off::*;
#[cfg(feature = "testing")]
pub(crate) use self::on::*;
