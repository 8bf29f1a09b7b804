//! Reads the counters and gauges of a domain as a metrics collector reads them. The instruments themselves do not
//! belong here; they are in `observe::metrics`.

use crate::observe::metrics::counters::{Reading, Snapshot};
use crate::run::domain::Core;

/// One series of a counter or gauge: a combination of attributes, with its value.
/// [`Observation::metrics`](crate::testing::Observation::metrics) returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Series {
    /// The name of the instrument, for example `critical_process.runs`.
    pub instrument: &'static str,
    /// The names and values of the attributes of the series.
    pub attributes: Vec<(String, String)>,
    /// The value at the end of the observation. It was 0 at the start.
    pub value: u64,
}

impl Series {
    /// Returns the value of an attribute; `None` if the series does not have it.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}

/// A function that reads an instrument from the counts of a domain. It calls the `Reading` once for each series.
type Instrument = fn(&Snapshot, Reading<'_>);

/// The names of the counters and gauges, each with the function that reads it.
const INSTRUMENTS: [(&str, Instrument); 7] = [
    ("critical_process.started", Snapshot::started),
    ("critical_process.runs", Snapshot::runs),
    ("critical_process.errors", Snapshot::errors),
    ("critical_process.sli.valid", Snapshot::valid),
    ("critical_process.sli.bad", Snapshot::bad),
    ("critical_process.active", Snapshot::active),
    ("critical_process.overdue", Snapshot::overdue),
];

/// Returns every series whose value is not 0.
pub(in crate::testing) fn series(core: &Core) -> Vec<Series> {
    let mut series = Vec::new();
    let snapshot = Snapshot::take(core);
    for (instrument, read) in INSTRUMENTS {
        read(&snapshot, &mut |value, attributes| {
            if value > 0 {
                let attributes = attributes.iter().map(|one| (one.key.to_string(), one.value.to_string()));
                series.push(Series { instrument, attributes: attributes.collect(), value });
            }
        });
    }
    series
}
