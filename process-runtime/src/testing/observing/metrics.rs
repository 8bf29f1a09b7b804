//! What the instruments would have been told of a domain.

use crate::observe::metrics::{self, Reading};
use crate::run::domain::Core;

/// A series of a counter or gauge, and its value. Of [`Observation::metrics`](crate::testing::Observation::metrics).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The instrument: `critical_process.runs`.
    pub instrument: &'static str,
    /// The attributes of the series, by their names.
    pub attributes: Vec<(String, String)>,
    /// Its value at the end; it began at 0.
    pub value: u64,
}

impl Change {
    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}

/// Reads an instrument of a domain, once for each series.
type Instrument = fn(&Core, Reading<'_>);

/// The counters and gauges, by name.
const INSTRUMENTS: [(&str, Instrument); 4] = [
    ("critical_process.started", metrics::started),
    ("critical_process.runs", metrics::runs),
    ("critical_process.active", metrics::active),
    ("critical_process.overdue", metrics::overdue),
];

/// Every series that is not 0.
pub(in crate::testing) fn changes(core: &Core) -> Vec<Change> {
    let mut changes = Vec::new();
    for (instrument, read) in INSTRUMENTS {
        read(core, &mut |value, attributes| {
            if value > 0 {
                let attributes = attributes.iter().map(|one| (one.key.to_string(), one.value.to_string()));
                changes.push(Change { instrument, attributes: attributes.collect(), value });
            }
        });
    }
    changes
}
