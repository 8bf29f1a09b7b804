//! Prints the day, in lines of at most 100 columns. All figures come from the registry.

use std::io;
use std::path::Path;
use std::time::Duration;

use process_runtime::Outcome;
use process_runtime::registry;
use process_runtime::stats::Stats;
use process_runtime::telemetry::Telemetry;
use process_runtime::timeline::{self, Query, Timeline};

use super::counts::Counts;
use crate::shown::shown;

/// How long the end of the day waits until telemetry is written.
const FLUSH: Duration = Duration::from_secs(5);

/// The maximum width of a line.
const COLUMNS: usize = 100;

pub(super) fn heading(text: &str) {
    println!("\n{text}\n{}", "─".repeat(text.chars().count()));
}

/// Prints every linked process, and its place in the source.
pub(super) fn registry() {
    heading("Critical processes");
    println!("{:<29}{:<13}{:>6}  owner", "id", "criticality", "SLA");
    for process in registry::all() {
        let (criticality, sla) = (process.criticality().to_string(), format!("{:?}", process.sla()));
        println!("{:<29}{criticality:<13}{sla:>6}  {}", process.id(), process.owner().unwrap_or("none"));
        println!("  {} at {}:{}", process.handler(), process.file(), process.line());
    }
}

/// Prints a step, its answer, and the runs that were counted for it.
pub(super) fn step(name: &str, answer: &str, counted: &Counts, expected: &Counts) {
    let mark = if counted == expected { "ok" } else { "NO" };
    println!("{mark}  {name:<52}{}", shown(answer));
    counted.lines().iter().for_each(|line| println!("      {line}"));
    if counted != expected {
        println!("    expected");
        expected.lines().iter().for_each(|line| println!("      {line}"));
    }
}

pub(super) fn waiting(left: Duration, sla: Duration) {
    println!(
        "..  waiting until the deliberation that hangs exceeds its SLA of {sla:?}: {} s left",
        left.as_secs() + 1
    );
}

/// Prints the overdue runs with their owners and runbooks.
pub(super) fn overdue() {
    heading("Overdue now");
    let overdue: Vec<_> = registry::in_flight().into_iter().filter(|run| run.overdue).collect();
    if overdue.is_empty() {
        println!("none");
    }
    for run in overdue {
        let Some(process) = run.process else { continue };
        let stage = run.stage.map(|stage| format!(", {} ({})", stage.id(), stage.name())).unwrap_or_default();
        println!("{}{stage}", process.id());
        let sla = run.stage.map_or(Some(process.sla()), |stage| stage.sla()).unwrap_or_default();
        println!("  running {:.1} s, SLA {sla:?}", run.elapsed.as_secs_f64());
        println!("  owner   {}", process.owner().unwrap_or("none"));
        println!("  runbook {}", process.runbook().unwrap_or("none"));
        for (name, value) in run.context {
            println!("  {name} = {}", shown(&value.to_string()));
        }
    }
}

/// Prints how the runs since the start ended.
pub(super) fn outcomes() {
    heading("Outcomes since the start");
    let row = |id: &str, started: &str, ended: [String; Outcome::ALL.len()], late: &str| {
        let ended = Outcome::ALL.iter().zip(ended);
        let ended: String =
            ended.map(|(outcome, shown)| format!("{shown:>0$}", outcome.as_str().len() + 2)).collect();
        println!("{id:<29}{started:>8}{ended}{late:>6}");
    };
    row("process", "started", Outcome::ALL.map(|outcome| outcome.to_string()), "late");
    for (id, stats) in figures() {
        let ended = Outcome::ALL.map(|outcome| stats.ended.count(outcome).to_string());
        row(id, &stats.started.to_string(), ended, &stats.ended.late().to_string());
    }
    println!();
    for (id, stats) in figures() {
        for (kind, runs) in &stats.error_types {
            println!("{id:<29}{} × {runs}", shown(kind));
        }
    }
}

/// Prints the durations of runs beside the SLAs.
pub(super) fn durations() {
    heading("Durations over the last five minutes");
    println!(
        "{:<29}{:>6}{:>10}{:>10}{:>10}{:>10}{:>8}{:>12}",
        "process", "runs", "p50", "p95", "p99", "longest", "SLA", "error rate"
    );
    for (id, stats) in figures() {
        let [_, five_minutes, _] = &stats.windows;
        let shown = |time: Option<Duration>| time.map_or("–".to_owned(), |time| format!("{time:.1?}"));
        let sla = registry::get(id).map(|process| format!("{:?}", process.sla())).unwrap_or_default();
        let rate = five_minutes.error_rate.map_or("–".to_owned(), |rate| format!("{:.1} %", rate * 100.0));
        println!(
            "{id:<29}{:>6}{:>10}{:>10}{:>10}{:>10}{sla:>8}{rate:>12}",
            five_minutes.ended.total(),
            shown(five_minutes.p50),
            shown(five_minutes.p95),
            shown(five_minutes.p99),
            shown(five_minutes.max),
        );
    }
}

fn figures() -> impl Iterator<Item = (&'static str, Stats)> {
    registry::all().filter_map(|process| Some((process.id(), registry::stats(process.id()).ok()?)))
}

/// Returns whether traces have a destination.
pub(super) fn is_traced(telemetry: &Telemetry) -> bool {
    telemetry.destinations().iter().any(|place| place.starts_with("traces: "))
}

/// Prints the trace of the payment that failed, found by the id in the response. Returns a problem if the trace does
/// not show the failure. If the environment keeps the trace out of the telemetry files, prints the id or the reason
/// instead.
pub(super) fn timeline(
    telemetry: &Telemetry,
    directory: &Path,
    trace_id: Option<&str>,
) -> io::Result<Option<String>> {
    heading("The payment that failed");
    let Some(id) = trace_id.filter(|_| is_traced(telemetry)) else {
        println!("Traces have no destination: the environment disables them.");
        return Ok(None);
    };
    if !telemetry.destinations().iter().any(|place| place.starts_with("traces: OTLP-JSON files")) {
        println!("trace {}: open it in the trace store that receives the traces", shown(id));
        return Ok(None);
    }
    telemetry.flush(FLUSH);
    let found = timeline::find(directory, &Query { trace_id: Some(id.to_owned()), ..Query::default() }, 1)?;
    found.timelines.iter().for_each(|timeline| print!("{timeline}"));
    if found.timelines.is_empty() && std::env::var_os("OTEL_TRACES_SAMPLER").is_some() {
        println!("trace {} was not sampled", shown(id));
        return Ok(None);
    }
    let failed_at = found.timelines.first().and_then(Timeline::failed_at);
    let expected = ("payment_subscription", "payment_provider_status".to_owned());
    Ok((failed_at.as_ref() != Some(&expected))
        .then(|| format!("trace {id}: expected the failure at {expected:?}, found {failed_at:?}")))
}

/// Prints the destinations of telemetry.
pub(super) fn telemetry(telemetry: &Telemetry) {
    heading("Telemetry");
    telemetry.destinations().iter().for_each(|destination| println!("{}", shown(destination)));
    for line in telemetry.installation().report() {
        wrapped(&format!("report: {line}"));
    }
}

pub(super) fn result(problems: &[String]) {
    heading("Result");
    problems.iter().for_each(|problem| wrapped(problem));
    println!(
        "{}",
        if problems.is_empty() {
            "Every step had the expected result."
        } else {
            "The day did not go as expected: see the lines above."
        }
    );
}

/// Prints a text of any length; lines after the first are indented.
fn wrapped(text: &str) {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > COLUMNS {
            println!("{line}");
            line = "     ".to_owned();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&shown(word));
    }
    println!("{line}");
}
