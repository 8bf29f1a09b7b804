//! Identifies the origin of a test: its package and target directory, the revision of its code, and the machine that
//! runs it. Evidence contains the revision, and a baseline contains the machine, so that results of different code or
//! of different machines are not compared. The comparison itself does not belong here.

pub(in crate::testing) mod fingerprint;
pub(in crate::testing) mod machine;
pub(in crate::testing) mod place;
pub mod revision;
pub(in crate::testing) mod text;
