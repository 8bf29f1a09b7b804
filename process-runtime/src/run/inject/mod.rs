//! The mechanism by which a test replaces the body of a run with a fault, at the run's boundary and only in the domain
//! of that test. The faults themselves belong to `testing`. Without that feature the same names do nothing and cost
//! nothing.

#[cfg(not(feature = "testing"))]
mod off;
#[cfg(feature = "testing")]
mod on;

#[cfg(not(feature = "testing"))]
pub(crate) use self::off::*;
#[cfg(feature = "testing")]
pub(crate) use self::on::*;
