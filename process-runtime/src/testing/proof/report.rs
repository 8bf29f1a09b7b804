//! A matrix for a terminal, for a page in Markdown, and for a CI server in JUnit's XML. Nothing here decides anything.

use std::fmt::Write as _;

use process_model::Case;
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::matrix::{Cell, Matrix, Row, State};

/// What stands in a cell, and in the legend.
const MARKS: [(&str, &str); 5] = [
    ("✓", "proven"),
    ("~", "proven on a tree that was not clean"),
    ("✗", "failed"),
    ("?", "unknown"),
    ("w", "waived"),
];

fn mark(cell: &Cell) -> &'static str {
    match cell.state {
        State::Proven if cell.unclean => "~",
        State::Proven => "✓",
        State::Failed => "✗",
        State::Unknown => "?",
        State::Waived => "w",
    }
}

/// A table of a row for each process and a column for each kind of case, with one mark for each cell, then what is
/// open or waived, one a line, and what could not be read.
///
/// ```text
/// contracts at 4e6e851a0b3c
/// process              happy  timeout  dependency  sla  context
/// pay_invoice          ✓      ?        ✓✗          w    ✓
/// user_authentication  ✓               ✓
/// ✓ proven  ✗ failed  ? unknown  w waived
/// ```
pub fn terminal(matrix: &Matrix) -> String {
    let table = table(matrix);
    let mut text = format!("contracts at {}\n", matrix.revision().short());
    let columns = table.first().map_or(0, Vec::len);
    let width =
        |column: usize| table.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for line in &table {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(text, "{}", Vec::from_iter(cells).join("  ").trim_end());
    }
    let _ = writeln!(text, "{}", legend(matrix));
    for line in notes(matrix) {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// The same as Markdown, for a comment on a change or a page.
pub fn markdown(matrix: &Matrix) -> String {
    let table = table(matrix);
    let mut text = format!("### Contracts at `{}`\n\n", escaped(&matrix.revision().short()));
    for (place, line) in table.iter().enumerate() {
        let _ = writeln!(text, "| {} |", Vec::from_iter(line.iter().map(|cell| escaped(cell))).join(" | "));
        if place == 0 {
            let _ = writeln!(text, "|{}", "---|".repeat(line.len()));
        }
    }
    let _ = writeln!(text, "\n{}", escaped(&legend(matrix)));
    let notes = notes(matrix);
    if !notes.is_empty() {
        text.push('\n');
    }
    for line in notes {
        let _ = writeln!(text, "- {}", escaped(&line));
    }
    text
}

/// JUnit's XML, as Jenkins' [schema](https://github.com/jenkinsci/xunit-plugin) has it: a suite for each process, a
/// test case for each cell. Failed and unknown cells are failures, waived ones are skipped.
///
/// ```no_run
/// use process_runtime::testing::{matrix::Matrix, report};
///
/// let matrix = Matrix::of_this_build()?;
/// std::fs::write("contracts.xml", report::junit(&matrix))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn junit(matrix: &Matrix) -> String {
    let mut report = Report::new("contracts");
    for row in matrix.rows() {
        report.add_test_suite(suite(row, matrix));
    }
    let skipped = format!(" skipped=\"{}\"", report.skipped);
    let xml = report.to_string().expect("a report is written to memory");
    // The schema has this attribute on a suite and not on their root, whose name is ours and does not have it.
    xml.replacen(&skipped, "", 1)
}

fn suite(row: &Row, matrix: &Matrix) -> TestSuite {
    let mut suite = TestSuite::new(row.process.id());
    suite.add_property(Property::new("version", row.process.version()));
    suite.add_property(Property::new("revision", matrix.revision().as_str()));
    for cell in &row.cells {
        let mut status = match cell.state {
            State::Proven => TestCaseStatus::success(),
            State::Waived => TestCaseStatus::skipped(),
            State::Failed | State::Unknown => TestCaseStatus::non_success(NonSuccessKind::Failure),
        };
        if cell.state != State::Proven {
            status.set_type(cell.state.as_str());
            status.set_message(cell.reason.as_deref().unwrap_or_default());
        }
        if let Some(line) = addition(cell) {
            status.set_description(line);
        }
        let mut case = TestCase::new(cell.case.to_string(), status);
        case.set_classname(cell.process).set_time(cell.duration);
        if cell.unclean {
            case.set_system_out("the tree was not clean");
        }
        suite.add_test_case(case);
    }
    suite
}

/// The header, then each process; columns are the kinds of case that are there.
fn table(matrix: &Matrix) -> Vec<Vec<String>> {
    let is_there = |word: &&str| matrix.cells().any(|cell| cell.case.word() == *word);
    let words: Vec<&str> = Case::words().filter(is_there).collect();
    let header = std::iter::once("process").chain(words.iter().copied()).map(str::to_owned).collect();
    let of_word =
        |row: &Row, word: &str| row.cells.iter().filter(|cell| cell.case.word() == word).map(mark).collect();
    let line = |row: &Row| {
        let id = row.process.id().to_owned();
        std::iter::once(id).chain(words.iter().map(|word| of_word(row, word))).collect()
    };
    std::iter::once(header).chain(matrix.rows().iter().map(line)).collect()
}

/// The marks that are there, and what they mean.
fn legend(matrix: &Matrix) -> String {
    let is_there = |(sign, _): &&(&str, &str)| matrix.cells().any(|cell| mark(cell) == *sign);
    let all = MARKS.iter().filter(is_there).map(|(mark, meaning)| format!("{mark} {meaning}"));
    Vec::from_iter(all).join("  ")
}

/// What must be done, what is put off, and what was not read.
fn notes(matrix: &Matrix) -> Vec<String> {
    let waived = matrix.cells().filter(|cell| cell.state == State::Waived);
    let proven = matrix.cells().filter(|cell| cell.state == State::Proven && cell.reason.is_some());
    let mut notes: Vec<String> = matrix.open().chain(waived).chain(proven).map(note).collect();
    notes.extend(matrix.problems().iter().map(|problem| format!("not read: {problem}")));
    if matrix.more_problems() > 0 {
        notes.push(format!("not read: {} more", matrix.more_problems()));
    }
    notes
}

/// A cell on one line: how it stands, why and, where no test ran, what to add.
pub(super) fn note(cell: &Cell) -> String {
    let mut line = format!("{} {} {}", mark(cell), cell.process, cell.case);
    if let Some(reason) = &cell.reason {
        let _ = write!(line, ": {reason}");
    }
    if let Some(addition) = addition(cell) {
        let _ = write!(line, "; add {addition}");
    }
    line
}

/// The line to add, where the cell is open and no test has it already.
fn addition(cell: &Cell) -> Option<String> {
    let is_open = matches!(cell.state, State::Failed | State::Unknown);
    (is_open && cell.tests.is_empty()).then(|| cell.contract())
}

/// A text that Markdown shows as it is, also in a table.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '#' | '&') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}
