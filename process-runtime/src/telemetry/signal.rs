//! The signals of OpenTelemetry, the collectors that receive them, and the causes for which a signal does not arrive.
//! Sending does not belong here.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::base::cause::Cause;

/// A signal, with the causes for which it is not delivered.
#[derive(Debug)]
pub(super) struct Signal {
    pub(super) name: &'static str,
    /// The bit of this signal in [`Collector::unanswered`].
    bit: u8,
    /// A collector does not answer. Signals with the same collector share the cause of one of them.
    unreachable: Cause,
    /// A collector answers that it does not accept a request.
    refused: Cause,
    /// A collector accepts a request, but not all of its items.
    pub(super) rejected: Cause,
    /// A file cannot be written.
    pub(super) unwritten: Cause,
}

macro_rules! signal {
    ($name:literal, $bit:literal) => {
        Signal {
            name: $name,
            bit: $bit,
            unreachable: Cause::new("cannot send telemetry to"),
            refused: Cause::new(concat!("cannot send ", $name, " to")),
            rejected: Cause::new(concat!("the collector rejects a part of the ", $name, ":")),
            unwritten: Cause::new(concat!("cannot write ", $name, " to")),
        }
    };
}

pub(super) static TRACES: Signal = signal!("traces", 1);
pub(super) static METRICS: Signal = signal!("metrics", 2);
pub(super) static LOGS: Signal = signal!("logs", 4);

/// A collector, which may receive several signals.
#[derive(Debug)]
pub(super) struct Collector {
    /// The host and the port.
    place: String,
    unreachable: &'static Cause,
    /// The signals whose last request got no answer.
    unanswered: AtomicU8,
}

/// A signal and the collector that receives it.
#[derive(Clone, Debug)]
pub(super) struct Route {
    signal: &'static Signal,
    collector: Arc<Collector>,
}

impl Route {
    /// Returns the route of a signal to the collector at this place. `routes` are the routes of the other signals. If
    /// one of them leads to the same place, both share the collector, so that one line reports that it cannot be
    /// reached.
    pub(super) fn new(signal: &'static Signal, place: String, routes: &[Route]) -> Route {
        let known = routes.iter().map(|route| &route.collector).find(|known| known.place == place);
        let new = || Collector { place, unreachable: &signal.unreachable, unanswered: AtomicU8::new(0) };
        Route { signal, collector: known.cloned().unwrap_or_else(|| Arc::new(new())) }
    }

    /// Returns the host and the port of the collector.
    pub(super) fn place(&self) -> &str {
        &self.collector.place
    }

    /// Reports that the collector did not answer a request.
    pub(super) fn unanswered(&self, why: impl Display) {
        let Collector { place, unreachable, unanswered } = &*self.collector;
        unanswered.fetch_or(self.signal.bit, Ordering::Relaxed);
        unreachable.happened(format_args!("{place}: {why}"));
    }

    /// Reports that the collector answered with a refusal. `path` is the path of the request's URL.
    pub(super) fn refused(&self, path: &str, why: impl Display) {
        self.answered();
        self.signal.refused.happened(format_args!("{}{path}: {why}", self.collector.place));
    }

    /// Ends the problems of this route, because the collector accepted a request.
    pub(super) fn accepted(&self) {
        self.answered();
        self.signal.refused.ended();
    }

    /// Ends the problem that the collector does not answer, if each signal got an answer to its last request.
    fn answered(&self) {
        let Collector { unreachable, unanswered, .. } = &*self.collector;
        let bit = self.signal.bit;
        if unanswered.fetch_and(!bit, Ordering::Relaxed) & !bit == 0 {
            unreachable.ended();
        }
    }

    /// Ends the problem that the collector rejects items, unless it has rejected any since it had rejected `before`
    /// times.
    pub(super) fn rejected_none_since(&self, before: u64) {
        self.signal.rejected.ended_unless_since(before);
    }

    /// Returns how often a collector has rejected items of this signal.
    pub(super) fn rejections(&self) -> u64 {
        self.signal.rejected.times()
    }
}
