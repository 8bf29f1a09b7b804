//! Notices that metrics are exported with delta temporality, over which Prometheus computes wrong values. The API of
//! OpenTelemetry does not say which temporality a meter provider has, so this file looks at a variable that exporters
//! read, and at what the provider keeps. Recording values does not belong here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::{KeyValue, StringValue};
use process_model::Outcome;

use super::ID;
use crate::base::notices;
use crate::run::unit::Unit;

const PREFERENCE: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
const EXPORTERS: &str = "OTEL_METRICS_EXPORTER";
const DISABLED: &str = "OTEL_SDK_DISABLED";

/// Whether the variable is reported. What the provider then does with it is not a second problem.
static IS_PREFERENCE_REPORTED: AtomicBool = AtomicBool::new(false);

/// The maximum number of series whose attributes are watched.
const WITNESSES: usize = 16;
/// The number of collections without a value of a series, after which a provider with delta temporality has forgotten
/// the series and a provider with cumulative temporality has not. The reader and the exporter may keep what they
/// collected until the next collection.
const FORGOTTEN_AFTER: u32 = 3;

/// The number of successive collections in which a reading of a counter must be kept longer than its control.
const CONFIRMED: u32 = 2;
/// The same if several threads collect. A thread that is just copying what it exports keeps one of the two for a
/// moment.
const CONFIRMED_BY_SEVERAL: u32 = 10;
/// The number of collections whose marks are compared. If there are several readers, a reader keeps the readings of the
/// collection of another one.
const COMPARED: usize = 4;

/// The report about a meter provider with delta temporality for counters.
const COUNTERS: &str = "the meter provider exports counters with delta temporality, over which `increase()` and `rate()` \
                        are wrong; give its reader or exporter cumulative temporality";
/// The report about a meter provider that was seen to forget a series of a histogram.
const HISTOGRAMS: &str = "the meter provider exports histograms with delta temporality, over which `increase()` and \
                          `rate()` are wrong; give its reader or exporter cumulative temporality";

/// Reports the temporality of counters or histograms. Counters with delta temporality are the more important report,
/// and their remedy is the same. If the variable was reported, this function reports nothing, because the variable is
/// the cause.
pub(super) fn report(has_counters: bool, has_histograms: bool) {
    static HAS_COUNTERS: AtomicBool = AtomicBool::new(false);
    if IS_PREFERENCE_REPORTED.load(Ordering::Relaxed) {
        return;
    }
    if has_counters && !HAS_COUNTERS.swap(true, Ordering::Relaxed) {
        notices::once(COUNTERS);
    } else if has_histograms && !HAS_COUNTERS.load(Ordering::Relaxed) {
        notices::once(HISTOGRAMS);
    }
}

/// The text of the id in one reading. Only this reading has references to the text.
#[derive(Debug)]
pub(super) struct Mark {
    text: Arc<str>,
    /// The number of references after the reading was made.
    kept: usize,
}

impl Mark {
    /// Returns the mark, or `None` if the provider keeps no reference to the text.
    pub(super) fn new(text: Arc<str>) -> Option<Mark> {
        let kept = Arc::strong_count(&text);
        (kept > 1).then_some(Mark { text, kept })
    }
}

/// The marks of the last collections: one in a reading of a counter, and one in a reading of an up-down counter, which
/// is the control.
///
/// With delta temporality, a provider keeps the last readings of a counter to compute the next differences. It does so
/// for no up-down counter, which always has cumulative temporality, and for no counter with cumulative temporality.
/// Readers and exporters keep both or none. This needs no runs, and finds each reader with delta temporality.
#[derive(Debug, Default)]
pub(super) struct Marks {
    last: VecDeque<Option<(Mark, Mark)>>,
    /// The number of successive collections at whose begin a counter was kept longer than its control.
    longer: u32,
}

impl Marks {
    /// Keeps the marks of a collection. They are `None` if the provider keeps no ids, for example because a view
    /// removes them, or if another thread has made readings in the meantime.
    pub(super) fn keep(&mut self, marks: Option<(Mark, Mark)>) {
        self.last.truncate(COMPARED - 1);
        self.last.push_front(marks.filter(|(counter, control)| counter.kept == control.kept));
    }

    /// Compares the marks when a collection begins. Returns whether counters have delta temporality.
    pub(super) fn is_delta(&mut self, has_one_thread: bool) -> bool {
        let is_longer = |(counter, control): &(Mark, Mark)| {
            Arc::strong_count(&counter.text) > Arc::strong_count(&control.text)
        };
        self.longer = if self.last.iter().flatten().any(is_longer) { self.longer + 1 } else { 0 };
        self.longer >= if has_one_thread { CONFIRMED } else { CONFIRMED_BY_SEVERAL }
    }
}

/// Returns the report about the variable with which an OTLP exporter is asked for delta temporality. Returns `None`
/// without such a variable, or if the variable for exporters does not contain `otlp`.
pub(crate) fn preferred() -> Option<String> {
    let problem = problem(|name| std::env::var(name).ok())?;
    IS_PREFERENCE_REPORTED.store(true, Ordering::Relaxed);
    Some(problem)
}

fn problem(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let preference = variable(PREFERENCE)?;
    let preference = preference.trim();
    if variable(DISABLED).is_some_and(|disabled| disabled.trim().eq_ignore_ascii_case("true")) {
        return None;
    }
    let is_delta = ["delta", "lowmemory"].iter().any(|delta| preference.eq_ignore_ascii_case(delta));
    let exporters = variable(EXPORTERS).unwrap_or_default();
    let has_otlp = exporters.split(',').any(|exporter| exporter.trim().eq_ignore_ascii_case("otlp"));
    (is_delta && (has_otlp || exporters.trim().is_empty())).then(|| {
        format!(
            "{PREFERENCE} is `{preference}`: OTLP exporters send metrics with delta temporality, over which `increase()` \
             and `rate()` are wrong; set it to `cumulative`, or remove it"
        )
    })
}

/// The attributes of a few series of a histogram. Each of them has a text of its own, and the number of references to
/// the text shows whether the provider still keeps the series. With cumulative temporality, a provider keeps every
/// series. With delta temporality, it forgets a series that has no new value. Nothing is noticed if every series has
/// new values in every collection, if the provider has a second reader with cumulative temporality, or if an exporter
/// keeps what it exported. For counters, [`Marks`] has no such limits.
#[derive(Debug, Default)]
pub(super) struct Witnesses(Vec<Witness>);

#[derive(Debug)]
struct Witness {
    unit: &'static Unit,
    outcome: Outcome,
    /// `None` if the provider keeps no attributes, for example because a view removes them.
    id: Option<Arc<str>>,
    /// The number of collections since the last value of the series.
    unused: u32,
}

impl Witnesses {
    /// Returns the attribute for the id of the process. It must be recorded before the next call of
    /// [`Witnesses::recorded`].
    pub(super) fn id(&mut self, unit: &'static Unit, outcome: Outcome) -> KeyValue {
        let id = unit.process.map_or("", |process| process.id());
        let known = self.position(unit, outcome);
        let at = known.or_else(|| {
            (self.0.len() < WITNESSES).then(|| {
                self.0.push(Witness { unit, outcome, id: Some(id.into()), unused: 0 });
                self.0.len() - 1
            })
        });
        match at.and_then(|at| self.0[at].id.clone()) {
            Some(text) => KeyValue::new(ID, StringValue::from(text)),
            None => KeyValue::new(ID, id),
        }
    }

    /// Notes that the series has a new value. The attribute that was recorded must be dropped before.
    pub(super) fn recorded(&mut self, unit: &'static Unit, outcome: Outcome) {
        if let Some(at) = self.position(unit, outcome) {
            let witness = &mut self.0[at];
            witness.unused = 0;
            witness.id = witness.id.take().filter(|id| Arc::strong_count(id) > 1);
        }
    }

    /// Notes a collection. Returns whether the provider has forgotten a series.
    pub(super) fn collected(&mut self) -> bool {
        let mut is_forgotten = false;
        for witness in &mut self.0 {
            witness.unused = witness.unused.saturating_add(1);
            let is_dropped = witness.id.as_ref().is_some_and(|id| Arc::strong_count(id) == 1);
            is_forgotten |= is_dropped && witness.unused >= FORGOTTEN_AFTER;
        }
        is_forgotten
    }

    fn position(&self, unit: &'static Unit, outcome: Outcome) -> Option<usize> {
        self.0.iter().position(|witness| std::ptr::eq(witness.unit, unit) && witness.outcome == outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_delta_temporality_of_otlp_exporters_is_a_problem() {
        let with = |preference: &str, exporters: &str| {
            problem(|name| match name {
                PREFERENCE => Some(preference.to_owned()),
                EXPORTERS => Some(exporters.to_owned()),
                _ => None,
            })
        };
        for (preference, exporters) in [("delta", ""), (" LowMemory ", "otlp"), ("DELTA", "prometheus, OTLP")]
        {
            let problem = with(preference, exporters).unwrap();
            assert!(problem.contains(PREFERENCE) && problem.contains(preference.trim()), "{problem}");
        }
        for (preference, exporters) in
            [("cumulative", "otlp"), ("", ""), ("delta", "none"), ("delta", "prometheus")]
        {
            assert_eq!(with(preference, exporters), None, "{preference} {exporters}");
        }
        assert_eq!(problem(|_| None), None);
        let disabled = |name: &str| Some(if name == DISABLED { " True" } else { "delta" }.to_owned());
        assert_eq!(problem(disabled), None, "nothing is exported");
    }
}
