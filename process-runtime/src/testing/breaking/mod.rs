//! Injects every kind of fault at every boundary of a process, for one input or for many generated inputs. A boundary
//! is the process itself, one of its stages, or a dependency or process that it calls. The kinds of faults do not
//! belong here; they are in `domain`.

pub(in crate::testing) mod battery;
#[cfg(feature = "proptest")]
mod property;
