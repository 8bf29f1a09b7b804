//! What a person sees of the day, on at most 100 columns. All of it is what the registry says.

use std::time::Duration;

use process_runtime::registry::{self, Finding};
use process_runtime::stats::Stats;
use process_runtime::telemetry::Telemetry;
use process_runtime::{Outcome, definition};

use super::counts::Counts;

pub(super) fn heading(text: &str) {
    println!("\n{text}\n{}", "─".repeat(text.chars().count()));
}

/// Every process that is linked, and where it is.
pub(super) fn registry() {
    heading("Critical processes");
    println!("{:<30}{:<11}{:>5}  {:<14}handler, and where it is", "id", "criticality", "SLA", "owner");
    for process in registry::all() {
        println!(
            "{:<30}{:<11}{:>5}  {:<14}{}",
            process.id(),
            criticality(process),
            format!("{:?}", process.sla()),
            process.owner().unwrap_or("nobody"),
            process.handler(),
        );
        println!("{:62}{}:{}", "", within(process.file()), process.line());
    }
}

fn criticality(process: &definition::ProcessDefinition) -> String {
    process.criticality().to_string()
}

/// The end of a path, which is what tells files apart.
fn within(file: &str) -> &str {
    file.strip_prefix("examples/axcouncil/").unwrap_or(file)
}

/// What a step was answered, and what was counted for it.
pub(super) fn step(name: &str, told: &str, counted: &Counts, expected: &Counts) {
    let mark = if counted == expected { "ok" } else { "NO" };
    println!("{mark}  {name:<52}{told}");
    counted.lines().iter().for_each(|line| println!("      {line}"));
    if counted != expected {
        println!("    it should have been");
        expected.lines().iter().for_each(|line| println!("      {line}"));
    }
}

pub(super) fn waiting(left: Duration, sla: Duration) {
    println!(
        "..  waiting for the deliberation that hangs to pass its SLA of {sla:?}: {} s left",
        left.as_secs() + 1
    );
}

/// Whoever is late now, whom to call, and what to read.
pub(super) fn overdue() {
    heading("Overdue now");
    for run in registry::in_flight().into_iter().filter(|run| run.overdue) {
        let Some(process) = run.process else { continue };
        let stage = run.stage.map(|stage| format!(", {} ({})", stage.id(), stage.name())).unwrap_or_default();
        println!("{}{stage}", process.id());
        let sla = run.stage.map_or(Some(process.sla()), |stage| stage.sla()).unwrap_or_default();
        println!("  running {:.1} s, SLA {sla:?}", run.elapsed.as_secs_f64());
        println!("  owner   {}", process.owner().unwrap_or("nobody"));
        println!("  runbook {}", process.runbook().unwrap_or("none"));
        for (name, value) in run.context {
            println!("  {name} = {value}");
        }
    }
}

/// How every run since the start ended.
pub(super) fn outcomes() {
    heading("Outcomes since the start");
    print!("{:<30}{:>8}", "process", "started");
    Outcome::ALL.iter().for_each(|outcome| print!("{:>10}", outcome.as_str()));
    println!("\u{20}  late");
    for (id, stats) in figures() {
        print!("{id:<30}{:>8}", stats.started);
        Outcome::ALL.iter().for_each(|outcome| print!("{:>10}", stats.ended.with(*outcome)));
        println!("\u{20}{:>6}", stats.ended.late());
    }
    println!();
    for (id, stats) in figures() {
        for (kind, runs) in &stats.error_types {
            println!("{id:<30}{kind} × {runs}");
        }
    }
}

/// How long they took, and whether that is as promised.
pub(super) fn durations() {
    heading("Durations over the last five minutes");
    println!(
        "{:<30}{:>8}{:>10}{:>10}{:>10}{:>10}{:>12}",
        "process", "runs", "p50", "p95", "p99", "SLA", "error rate"
    );
    for (id, stats) in figures() {
        let [_, five_minutes, _] = &stats.windows;
        let shown = |time: Option<Duration>| time.map_or("–".to_owned(), |time| format!("{time:.1?}"));
        let sla = registry::get(id).map(|process| format!("{:?}", process.sla())).unwrap_or_default();
        let rate = five_minutes.error_rate.map_or("–".to_owned(), |rate| format!("{:.1} %", rate * 100.0));
        println!(
            "{id:<30}{:>8}{:>10}{:>10}{:>10}{sla:>10}{rate:>12}",
            five_minutes.ended.total(),
            shown(five_minutes.p50),
            shown(five_minutes.p95),
            shown(five_minutes.p99),
        );
    }
}

fn figures() -> impl Iterator<Item = (&'static str, Stats)> {
    registry::all().filter_map(|process| Some((process.id(), registry::stats(process.id()).ok()?)))
}

/// Where all of this went, beside here.
pub(super) fn telemetry(telemetry: &Telemetry) {
    heading("Telemetry");
    telemetry.destinations().iter().for_each(|destination| println!("{destination}"));
    telemetry.installation().report().iter().for_each(|line| println!("told: {line}"));
}

pub(super) fn verdict(went_well: bool, idle: bool, findings: &[Finding]) {
    heading("Verdict");
    findings.iter().for_each(|finding| println!("registry: {finding}"));
    if !idle {
        println!("Runs go on that should have ended.");
    }
    let as_it_must = went_well && idle && findings.is_empty();
    println!(
        "{}",
        if as_it_must { "Every step went as it must." } else { "Not every step went as it must." }
    );
}
