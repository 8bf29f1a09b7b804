//! How a test puts a fault in place of a body, at the boundary of a run and in the domain of that test alone. The
//! faults themselves are in `testing`. Without that feature the same names do nothing and cost nothing.

#[cfg(not(feature = "testing"))]
mod off;
#[cfg(feature = "testing")]
mod on;

#[cfg(not(feature = "testing"))]
pub(crate) use self::off::*;
#[cfg(feature = "testing")]
pub(crate) use self::on::*;
