//! Tests of the matrix of contracts. The modules test the evidence, which parallel tests write and which may be
//! damaged; the policy; the matrix that follows from evidence and policy; the reports of the matrix; and the gate.
//! Fixtures that several modules need are here.

#![allow(dead_code, reason = "the processes are registered and never run")]

#[path = "../shared/children.rs"]
mod children;
mod evidence_files;
mod gates;
mod matrices;
mod policies;
mod reports;
mod revisions;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use process_model::{Case, Criticality, Outcome};
use process_runtime::testing::evidence::{self, Evidence, Gathered, NoDirectory, Proof, WriteError};
use process_runtime::testing::matrix::{Cell, Matrix, State};
use process_runtime::testing::policy::{Policy, PolicyError, Requirement};
use process_runtime::testing::revision::Revision;
use process_runtime::testing::{Date, gate, report};
use process_runtime::{critical_process, registry, stage};
use proptest::prelude::*;
use tempfile::TempDir;

use children::child;

#[critical_process(id = "pay_invoice", version = "1.2.0", sla = "10s", criticality = critical, depends_on("sqlite"))]
async fn pay_invoice() {
    charge();
}

#[stage(process = "pay_invoice", id = "charge", depends_on("card_network"))]
fn charge() {}

#[critical_process(id = "send_mail", version = "1.0.0", sla = "10s", depends_on("smtp"))]
fn send_mail() {}

#[critical_process(id = "sync_books", version = "1.0.0", sla = "10s", criticality = medium, depends_on("ledger"))]
fn sync_books() {}

#[critical_process(id = "draw_logo", version = "1.0.0", sla = "10s", criticality = low)]
fn draw_logo() {}

fn revision() -> Revision {
    "r1".parse::<Revision>().unwrap()
}

fn today() -> Date {
    "2026-11-28".parse().unwrap()
}

fn proven(process: &str, case: &str) -> Evidence {
    let case = case.parse::<Case>().unwrap();
    let mut evidence =
        Evidence::new(registry::get(process).unwrap(), case, "service::tests::it", Proof::Proven);
    evidence.outcome = Some(match evidence.case {
        Case::Error(_) => Outcome::Failure,
        Case::Cancelled => Outcome::Cancelled,
        Case::Panic => Outcome::Panic,
        _ => Outcome::Success,
    });
    evidence.late = evidence.case == Case::Sla;
    evidence.duration = Duration::from_nanos(1_234_567_891);
    evidence.test = format!("service::tests::{process}_{}", evidence.case.word());
    evidence.revision = revision();
    evidence
}

fn failed(process: &str, case: &str, reason: &str) -> Evidence {
    let mut evidence = proven(process, case);
    evidence.proof = Proof::Failed(reason.to_owned());
    evidence
}

/// The cases that each of the four processes must prove if there is no `process.toml`.
const REQUIRED: [(&str, &[&str]); 4] = [
    ("draw_logo", &["happy"]),
    (
        "pay_invoice",
        &["happy", "dependency(\"sqlite\")", "dependency(\"card_network\")", "timeout", "sla", "context"],
    ),
    ("send_mail", &["happy", "dependency(\"smtp\")", "context"]),
    ("sync_books", &["happy", "dependency(\"ledger\")"]),
];

fn everything() -> Vec<Evidence> {
    REQUIRED.iter().flat_map(|(process, cases)| cases.iter().map(|case| proven(process, case))).collect()
}

fn matrix_of(evidence: &[Evidence]) -> Matrix {
    Matrix::new(registry::all(), &Policy::default(), evidence, &revision(), today()).unwrap()
}

fn matrix_under(policy: &str, evidence: &[Evidence], today: Date) -> Result<Matrix, PolicyError> {
    Matrix::new(
        registry::all(),
        &Policy::parse(policy, Path::new("process.toml"))?,
        evidence,
        &revision(),
        today,
    )
}

fn cell<'a>(matrix: &'a Matrix, process: &str, case: &str) -> &'a Cell {
    let case = case.parse::<Case>().unwrap();
    matrix.cells().find(|cell| cell.process == process && cell.case == case).unwrap()
}

fn problems(policy: &str) -> Vec<String> {
    match matrix_under(policy, &[], today()) {
        Ok(_) => Vec::new(),
        Err(error) => error.to_string().lines().map(str::to_owned).collect(),
    }
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Writes lines to a file of evidence, and reads it.
fn read(lines: &[u8]) -> Gathered {
    let directory = directory();
    fs::write(directory.path().join("a.jsonl"), lines).unwrap();
    evidence::read(directory.path())
}

fn line() -> String {
    let directory = directory();
    fs::read_to_string(proven("pay_invoice", "happy").write_to(directory.path()).unwrap()).unwrap()
}

/// Returns a command for a child, without the variables for evidence that this session may have set.
fn alone(test: &str) -> Command {
    let mut command = child(test);
    for variable in ["PROCESS_EVIDENCE_DIR", "PROCESS_REVISION", "CARGO_TARGET_DIR"] {
        command.env_remove(variable);
    }
    command
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
