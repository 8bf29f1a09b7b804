//! Everything that comes from outside the toolkit: the guard that calls foreign code, and the limits, cuts and quotes
//! of foreign text. A place that shows or stores such a text does not belong here.

pub(crate) mod chain;
pub(crate) mod guard;
pub(crate) mod limits;
pub(crate) mod quote;
pub(crate) mod text;
