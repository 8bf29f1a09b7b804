//! Formats the measured values as Markdown, and writes them between the markers of `README.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::budgets::{self, Bounds, Budget};
use crate::builds::Build;
use crate::machine;
use crate::measured::Measured;
use crate::scenarios::{SCENARIOS, Scenario};
use crate::statistics::Spread;
use crate::workload::Shape;

const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

pub(crate) fn markdown(measured: &Measured) -> String {
    let mut text = format!("{}\n", machine::description());
    section(&mut text, "Budgets", budgets(&budgets::all(measured)));
    section(&mut text, "Cost of a run", costs(measured));
    section(&mut text, "Build time and size", builds(measured));
    text
}

/// Replaces the text between the markers.
pub(crate) fn write(readme: &Path, markdown: &str) {
    let text = fs::read_to_string(readme).expect("benches has a README");
    let (before, rest) = text.split_once(BEGIN).expect("the README has its first marker");
    let (_, after) = rest.split_once(END).expect("the README has its second marker");
    fs::write(readme, format!("{before}{BEGIN}\n{markdown}\n{END}{after}")).expect("the README is writable");
}

fn section(text: &mut String, title: &str, table: Option<String>) {
    if let Some(table) = table {
        let _ = write!(text, "\n### {title}\n\n{table}");
    }
}

fn budgets(budgets: &[Budget]) -> Option<String> {
    let rows: String = budgets.iter().map(budget).collect();
    budgets
        .iter()
        .any(|budget| budget.measured.is_some())
        .then(|| format!("| what | | measured | must | aim | |\n|---|---|--:|--:|--:|---|\n{rows}"))
}

fn budget(budget: &Budget) -> String {
    let Budget { what, unit, bounds, measured } = budget;
    let (must, aim) = match bounds {
        Bounds::AtMost { must, aim } => (format!("≤ {must}"), format!("≤ {aim}")),
        Bounds::AtLeast { must, aim } => (format!("≥ {must}"), format!("≥ {aim}")),
        Bounds::Beside => (String::new(), String::new()),
    };
    let (measured, verdict) = (spread(*measured), budget.verdict().text());
    format!("| {what} | {unit} | {measured} | {must} | {aim} | {verdict} |\n")
}

fn costs(measured: &Measured) -> Option<String> {
    let rows: String = SCENARIOS.iter().filter_map(|scenario| cost(measured, scenario)).collect();
    (!rows.is_empty()).then(|| {
        format!(
            "| | with | sync ns | ready ns | yield3 ns | all threads, processor ns | instructions | \
             allocations (bytes) | two threads |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n{rows}"
        )
    })
}

fn cost(measured: &Measured, scenario: &Scenario) -> Option<String> {
    let Scenario { key, what, with, .. } = scenario;
    let rounds = &measured.rounds;
    let times = Shape::TABLED.map(|shape| rounds.spread(key, shape, |cost| cost.nanos));
    let instructions = measured.instructions.get(key);
    if times[0].is_none() && instructions.is_none() {
        return None;
    }
    let [sync, ready, yield3] = times.map(spread);
    let processor = Shape::TABLED.map(|shape| median(rounds.spread(key, shape, |cost| cost.processor_nanos)));
    let instructions = instructions.map_or(String::new(), |each| each.map(|n| format!("{n:.0}")).join(" / "));
    let allocations = Shape::TABLED.map(|shape| {
        let count = rounds.spread(key, shape, |cost| cost.allocations)?;
        let bytes = rounds.spread(key, shape, |cost| cost.allocated_bytes)?;
        Some(match count.median {
            0.0 => "0".to_owned(),
            count => format!("{} ({:.0})", trimmed(count), bytes.median),
        })
    });
    Some(format!(
        "| {what} | {with} | {sync} | {ready} | {yield3} | {} | {instructions} | {} | {} |\n",
        processor.join(" / "),
        allocations.map(Option::unwrap_or_default).join(" / "),
        spread(rounds.throughput(key)),
    ))
}

fn builds(measured: &Measured) -> Option<String> {
    let added = |build: &Build, times| {
        Spread::of(measured.build_added(build.attribute.key, times).into_iter().flatten())
    };
    let row = |build: &Build| {
        format!(
            "| {} | {} | {} | {} | {} | {:.0} | {:.0} |\n",
            build.attribute.what,
            spread(Spread::of(build.checks())),
            spread(Spread::of(build.releases())),
            spread(added(build, Build::checks)),
            spread(added(build, Build::releases)),
            build.text(),
            build.data(),
        )
    };
    (!measured.builds.is_empty()).then(|| {
        let rows: String = measured.builds.iter().map(row).collect();
        format!(
            "| attribute | check ms | release ms | check ms over bare | release ms over bare | \
             text bytes | writable bytes |\n|---|--:|--:|--:|--:|--:|--:|\n{rows}"
        )
    })
}

fn spread(spread: Option<Spread>) -> String {
    match spread {
        None => String::new(),
        Some(Spread { median, low, high }) if low == high => format!("**{}**", figure(median)),
        Some(Spread { median, low, high }) => {
            format!("**{}** ({}–{})", figure(median), figure(low), figure(high))
        }
    }
}

fn median(spread: Option<Spread>) -> String {
    spread.map_or(String::new(), |spread| figure(spread.median))
}

/// Formats a number with two decimals, or with fewer if it is large.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 || size == 0.0 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Formats the average of a count over several runs. Decimals show events that do not happen in every run.
fn trimmed(count: f64) -> String {
    let text = format!("{count:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
