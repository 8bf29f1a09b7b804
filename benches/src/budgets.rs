//! The budgets of the product, with their measured values. Most budgets are bounds for a ratio or a difference
//! of two rows. Both rows are measured in the same turn, so that a ratio does not depend on the speed of the
//! machine.

use crate::builds::Build;
use crate::footprint::Footprint;
use crate::measured::Measured;
use crate::statistics::Spread;
use crate::workload::Shape::{self, Ready, Sync, Yield3};

/// A row in the table of budgets.
pub(crate) struct Budget {
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) bounds: Bounds,
    /// `None` if this run of the program did not measure the figure.
    pub(crate) measured: Option<Spread>,
}

/// The required bound, and the bound that we aim for.
#[derive(Clone, Copy)]
pub(crate) enum Bounds {
    AtMost {
        must: f64,
        aim: f64,
    },
    AtLeast {
        must: f64,
        aim: f64,
    },
    /// No bound. The figure is only for comparison with another row.
    Beside,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    NotJudged,
    NotMeasured,
    Missed,
    Met,
    MetAim,
}

impl Verdict {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Verdict::NotJudged => "for comparison",
            Verdict::NotMeasured => "not measured",
            Verdict::Missed => "**missed**",
            Verdict::Met => "met",
            Verdict::MetAim => "met, and the aim",
        }
    }
}

impl Budget {
    pub(crate) fn verdict(&self) -> Verdict {
        let Some(Spread { median, .. }) = self.measured else {
            return Verdict::NotMeasured;
        };
        let (must, aim) = match self.bounds {
            Bounds::AtMost { must, aim } => (median <= must, median <= aim),
            Bounds::AtLeast { must, aim } => (median >= must, median >= aim),
            Bounds::Beside => return Verdict::NotJudged,
        };
        match (must, aim) {
            (_, true) => Verdict::MetAim,
            (true, false) => Verdict::Met,
            (false, false) => Verdict::Missed,
        }
    }
}

/// Returns all budgets in the order of the table.
pub(crate) fn all(measured: &Measured) -> Vec<Budget> {
    let groups = [idle(measured), attached(measured), built(measured), kept(measured)];
    groups.into_iter().flatten().collect()
}

/// Returns the budgets of runs without destinations. Only the statistics are on, which cannot be switched off.
fn idle(measured: &Measured) -> Vec<Budget> {
    let rounds = &measured.rounds;
    let over_clock =
        |key, shape| Spread::of_pairs(&rounds.nanos(key, shape), &rounds.nanos("timed", shape), |a, b| a / b);
    // The time that a run would take if our runtime's clock were `Instant`: the measured time, plus the
    // difference between two reads of `Instant` and two reads of the processor's counter.
    let on_instant = |shape| {
        let (ours, timed) = (rounds.nanos("plain", shape), rounds.nanos("timed", shape));
        let dearer =
            rounds.nanos("ticked", shape).into_iter().zip(&timed).map(|(ticked, timed)| timed - ticked);
        let ours: Vec<f64> = ours.iter().zip(dearer).map(|(ours, dearer)| ours + dearer).collect();
        Spread::of_pairs(&ours, &timed, |a, b| a / b)
    };
    let poll = Spread::of_pairs(&rounds.poll_nanos("plain"), &rounds.poll_nanos("bare"), |a, b| a - b);
    let allocations = rounds.spread("plain", Yield3, |cost| cost.allocations);

    let what = "nothing attached: over two clock reads";
    let with_context = "the same, with three context keys";
    let beside = "the same, if the clock were `Instant` (computed)";
    vec![
        at_most(what, "× sync", 1.0, 0.7, over_clock("plain", Sync)),
        for_comparison(with_context, "× sync", over_clock("ours", Sync)),
        for_comparison(beside, "× sync", on_instant(Sync)),
        at_most(what, "× ready", 1.0, 0.7, over_clock("plain", Ready)),
        for_comparison(with_context, "× ready", over_clock("ours", Ready)),
        for_comparison(beside, "× ready", on_instant(Ready)),
        at_most("nothing attached: allocations for each run", "", 0.0, 0.0, allocations),
        at_most("nothing attached: each further pending poll, over the bare future's", "ns", 15.0, 8.0, poll),
        at_least(
            "two threads on one process: throughput, relative to a loop that shares nothing",
            "×",
            0.95,
            0.99,
            rounds.throughput("plain"),
        ),
    ]
}

/// Returns the budgets of runs with destinations attached.
fn attached(measured: &Measured) -> Vec<Budget> {
    let rounds = &measured.rounds;
    let added = |key, to, figure| {
        let (with, without) = (rounds.each(key, Sync, figure), rounds.each(to, Sync, figure));
        Spread::of_pairs(&with, &without, |a, b| a - b)
    };
    let over = |key, composed, shape: Shape| {
        Spread::of_pairs(&rounds.nanos(key, shape), &rounds.nanos(composed, shape), |a, b| a / b)
    };
    let everything = |shape| over("ours/everything", "composed/exported", shape);
    let same_layers = |shape| over("ours/same-layers", "composed/same-fields", shape);
    let fewer_fields = |shape| over("ours/same-layers", "composed/exported", shape);

    let on = "everything on: over the hand-composed stack";
    let under = "under the layers of the hand-composed stack, same fields: over that stack";
    let beside = "the same, over the stack with its three fields only";
    vec![
        at_most(
            "a Sentry client bound: added",
            "ns",
            250.0,
            120.0,
            added("plain/sentry", "plain", |c| c.nanos),
        ),
        at_most(
            "a Sentry client bound: allocations added",
            "",
            3.0,
            2.0,
            added("plain/sentry", "plain", |c| c.allocations),
        ),
        for_comparison(
            "the same, with three context keys recorded",
            "ns",
            added("ours/sentry", "ours", |c| c.nanos),
        ),
        for_comparison(
            "the same, with three context keys recorded",
            "",
            added("ours/sentry", "ours", |c| c.allocations),
        ),
        at_most("metrics on: added", "ns", 100.0, 20.0, added("ours/metrics", "ours", |c| c.nanos)),
        at_most(
            "metrics on: allocations added",
            "",
            0.0,
            0.0,
            added("ours/metrics", "ours", |c| c.allocations),
        ),
        at_least("metrics on: two threads, as above", "×", 0.9, 0.99, rounds.throughput("ours/metrics")),
        at_most(on, "× sync", 0.35, 0.25, everything(Sync)),
        at_most(on, "× ready", 0.35, 0.25, everything(Ready)),
        at_most(on, "× yield3", 0.35, 0.22, everything(Yield3)),
        at_most(under, "× sync", 1.0, 0.85, same_layers(Sync)),
        at_most(under, "× ready", 1.0, 0.85, same_layers(Ready)),
        at_most(under, "× yield3", 1.0, 0.85, same_layers(Yield3)),
        for_comparison(beside, "× sync", fewer_fields(Sync)),
        for_comparison(beside, "× ready", fewer_fields(Ready)),
        for_comparison(beside, "× yield3", fewer_fields(Yield3)),
    ]
}

/// Returns the budgets of build time and size.
fn built(measured: &Measured) -> Vec<Budget> {
    let over_instrument = |times| measured.build_over("ours", "instrument", times);
    let text = Spread::of(measured.build("ours").map(Build::text));
    vec![
        at_most(
            "`cargo check` for each function: over `tracing::instrument(skip_all)`",
            "×",
            1.0,
            0.8,
            over_instrument(Build::checks),
        ),
        at_most(
            "release build for each function: over `tracing::instrument(skip_all)`",
            "×",
            1.0,
            0.6,
            over_instrument(Build::releases),
        ),
        at_most("text for each function", "bytes", 1500.0, 900.0, text),
    ]
}

/// Returns the budgets of memory and of the scan for late runs.
fn kept(measured: &Measured) -> Vec<Budget> {
    let of = |figure: fn(&Footprint) -> f64| Spread::of(measured.footprint.as_ref().map(figure));
    vec![
        at_most("memory for each process", "KiB", 64.0, 16.0, of(|f| f.process_bytes / 1024.0)),
        at_most("future size added", "bytes", 128.0, 64.0, of(|f| f.future_bytes_added)),
        at_most("100 000 runs in flight: memory for each", "bytes", 128.0, 64.0, of(|f| f.in_flight_bytes)),
        at_most("100 000 runs in flight: one scan", "ms", 5.0, 1.0, of(|f| f.scan_millis)),
    ]
}

fn at_most(what: &'static str, unit: &'static str, must: f64, aim: f64, measured: Option<Spread>) -> Budget {
    Budget { what, unit, bounds: Bounds::AtMost { must, aim }, measured }
}

fn at_least(what: &'static str, unit: &'static str, must: f64, aim: f64, measured: Option<Spread>) -> Budget {
    Budget { what, unit, bounds: Bounds::AtLeast { must, aim }, measured }
}

fn for_comparison(what: &'static str, unit: &'static str, measured: Option<Spread>) -> Budget {
    Budget { what, unit, bounds: Bounds::Beside, measured }
}
