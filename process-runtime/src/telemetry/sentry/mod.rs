//! Sends events to Sentry. This folder replaces two parts of Sentry: its transport, which does not report what it
//! loses, and its option `attach_stacktrace`, which delays a failed run. Adding the data of runs to events does not
//! belong here.

mod fit;
mod stacks;
mod symbols;
mod transport;

pub(super) use self::stacks::panicked;
pub(super) use self::transport::SentryTransport;
