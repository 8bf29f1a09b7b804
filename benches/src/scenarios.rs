//! The rows of the tables. A row has a subject, which is the function that runs, and names the destinations
//! that are attached while it runs. To measure something else, add a row.

use crate::attach::{Attached, NOTHING, Ours, Share, Spans};
use crate::subjects::{Subject, bare, composed, ours, peers};

/// One row of the table.
pub(crate) struct Scenario {
    /// The name of the row, for child processes and budgets.
    pub(crate) key: &'static str,
    pub(crate) what: &'static str,
    pub(crate) with: &'static str,
    pub(crate) subject: &'static Subject,
    pub(crate) attached: Attached,
}

pub(crate) fn named(key: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.key == key)
}

const EXPORTED: Attached = Attached { spans: Spans::Bridged(Share::All), ..NOTHING };
const UNSAMPLED: Attached = Attached { spans: Spans::Bridged(Share::Nothing), ..NOTHING };

/// The stack of the hand-composed row. Sentry samples no transactions, which is the cheapest setting of this
/// stack. Therefore the ratios against this row do not favour our attribute.
const STACK: Attached = Attached { sentry: Some(0.0), sentry_layer: true, metrics: true, ..EXPORTED };

const INSTALLED: Attached = Attached { ours: Ours::Installed, ..NOTHING };

/// The set-up of our `telemetry::init`: Sentry, metrics, and a bridge that does not repeat the fields of our
/// spans.
const EVERYTHING: Attached =
    Attached { spans: Spans::Lean(Share::All), sentry: Some(0.0), metrics: true, ..INSTALLED };

pub(crate) static SCENARIOS: &[Scenario] = &[
    row("bare", "bare call", "", &bare::BARE, NOTHING),
    row("timed", "bare + `Instant::now()` + `elapsed()`", "", &bare::TIMED, NOTHING),
    row("ticked", "bare + two reads of the processor's counter", "", &bare::TICKED, NOTHING),
    row("instrument", "`tracing::instrument(skip_all)`", "nothing attached", &peers::INSTRUMENT, NOTHING),
    row(
        "instrument/unsampled",
        "`tracing::instrument(skip_all)`",
        "unsampled",
        &peers::INSTRUMENT,
        UNSAMPLED,
    ),
    row("instrument/exported", "`tracing::instrument(skip_all)`", "exported", &peers::INSTRUMENT, EXPORTED),
    row("fastrace", "`fastrace::trace`", "nothing attached", &peers::FASTRACE, NOTHING),
    row(
        "fastrace/unsampled",
        "`fastrace::trace` and its root",
        "unsampled",
        &peers::FASTRACE_UNSAMPLED,
        Attached { reporter: true, ..NOTHING },
    ),
    row(
        "fastrace/exported",
        "`fastrace::trace` and its root",
        "exported",
        &peers::FASTRACE_SAMPLED,
        Attached { reporter: true, ..NOTHING },
    ),
    row("autometrics", "`autometrics` (prometheus)", "nothing attached", &peers::AUTOMETRICS, NOTHING),
    row(
        "autometrics/exported",
        "`autometrics` (prometheus)",
        "scraped",
        &peers::AUTOMETRICS,
        Attached { scrape: true, ..NOTHING },
    ),
    row("composed", "composed by hand", "nothing attached", &composed::COMPOSED, NOTHING),
    row(
        "composed/unsampled",
        "composed by hand",
        "unsampled",
        &composed::COMPOSED,
        Attached { spans: Spans::Bridged(Share::Nothing), ..STACK },
    ),
    row("composed/exported", "composed by hand", "exported", &composed::COMPOSED, STACK),
    row(
        "composed/same-fields",
        "composed by hand, with our span's fields",
        "exported",
        &composed::COMPOSED_SAME_FIELDS,
        STACK,
    ),
    row(
        "composed/no-sentry-layer",
        "composed by hand, without `sentry-tracing`",
        "exported",
        &composed::COMPOSED,
        Attached { sentry_layer: false, ..STACK },
    ),
    row(
        "composed/transactions",
        "composed by hand, and every Sentry transaction",
        "exported",
        &composed::COMPOSED,
        Attached { sentry: Some(1.0), ..STACK },
    ),
    row("plain", "`critical_process`", "nothing attached", &ours::PLAIN, NOTHING),
    row(
        "plain/sentry",
        "`critical_process`",
        "Sentry bound",
        &ours::PLAIN,
        Attached { sentry: Some(0.0), ours: Ours::Integrated, ..NOTHING },
    ),
    row("ours", "`critical_process` with three context keys", "nothing attached", &ours::OURS, NOTHING),
    row(
        "ours/installed",
        "`critical_process` with three context keys",
        "`Install`, no destination",
        &ours::OURS,
        INSTALLED,
    ),
    row(
        "ours/sentry",
        "`critical_process` with three context keys",
        "Sentry bound",
        &ours::OURS,
        Attached { sentry: Some(0.0), ours: Ours::Integrated, ..NOTHING },
    ),
    row(
        "ours/metrics",
        "`critical_process` with three context keys",
        "metrics",
        &ours::OURS,
        Attached { metrics: true, ..INSTALLED },
    ),
    row(
        "ours/unsampled",
        "`critical_process` with three context keys",
        "everything, unsampled",
        &ours::OURS,
        Attached { spans: Spans::Lean(Share::Nothing), ..EVERYTHING },
    ),
    row(
        "ours/everything",
        "`critical_process` with three context keys",
        "everything, exported",
        &ours::OURS,
        EVERYTHING,
    ),
    row(
        "ours/same-layers",
        "`critical_process` with three context keys",
        "the hand-composed stack's layers, exported",
        &ours::OURS,
        Attached { ours: Ours::Installed, ..STACK },
    ),
];

const fn row(
    key: &'static str,
    what: &'static str,
    with: &'static str,
    subject: &'static Subject,
    attached: Attached,
) -> Scenario {
    Scenario { key, what, with, subject, attached }
}
