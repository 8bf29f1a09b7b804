//! Formats a matrix for a terminal, as Markdown for a page, and as JUnit XML for a CI server. A text from a test or a
//! file, such as the text of a panic, can have any character, and each format shows it on one line. The decision about
//! the state of a cell does not belong here.

use std::fmt::Write as _;

use process_model::Case;
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::matrix::{Cell, Matrix, Row, State};
use crate::base::foreign::quote;

/// The marks of cells, with their meanings in the legend.
const MARKS: [(&str, &str); 5] = [
    ("✓", "proven"),
    ("~", "proven with uncommitted changes"),
    ("✗", "failed"),
    ("?", "unknown"),
    ("w", "waived"),
];

fn mark(cell: &Cell) -> &'static str {
    match cell.state {
        State::Proven if cell.dirty => "~",
        State::Proven => "✓",
        State::Failed => "✗",
        State::Unknown => "?",
        State::Waived => "w",
    }
}

/// Formats a matrix for a terminal. The text has a table with a row for each process, a column for each kind of case
/// and a mark for each cell. A line follows for each cell that is open, is waived or has an unnecessary waiver, and
/// for each problem with a file.
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
    let mut text = format!("contracts at {}\n", quote::line(&matrix.revision().short()));
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

/// Formats a matrix as Markdown, for example for a comment on a pull request.
pub fn markdown(matrix: &Matrix) -> String {
    let table = table(matrix);
    let mut text = format!("### Contracts at {}\n\n", code(&matrix.revision().short()));
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

/// Formats a matrix as JUnit XML that is valid under Jenkins' [schema](https://github.com/jenkinsci/xunit-plugin).
/// Each process is a test suite, and each cell is a test case. Failed and unknown cells are failures; waived cells
/// are skipped.
///
/// ```no_run
/// use process_runtime::testing::{matrix::Matrix, report};
///
/// let matrix = Matrix::current()?;
/// std::fs::write("contracts.xml", report::junit(&matrix))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn junit(matrix: &Matrix) -> String {
    let mut report = Report::new("contracts");
    for row in matrix.rows() {
        report.add_test_suite(suite(row, matrix));
    }
    let skipped = format!(" skipped=\"{}\"", report.skipped);
    let xml = report.to_string().expect("writing to memory does not fail");
    // The schema allows this attribute on a suite but not on the root element. The root element comes first, so only
    // its attribute is removed.
    xml.replacen(&skipped, "", 1)
}

fn suite(row: &Row, matrix: &Matrix) -> TestSuite {
    let mut suite = TestSuite::new(row.process.id());
    suite.add_property(Property::new("version", &*quote::line(row.process.version())));
    suite.add_property(Property::new("revision", &*quote::line(matrix.revision().as_str())));
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
            status.set_description(&*quote::line(&line));
        }
        let mut case = TestCase::new(&*quote::line(&cell.case.to_string()), status);
        case.set_classname(cell.process).set_time(cell.duration);
        if cell.dirty {
            case.set_system_out("proven with uncommitted changes");
        }
        suite.add_test_case(case);
    }
    suite
}

/// Returns the header and a line for each process. There is a column for each kind of case that occurs.
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

/// Returns the marks that occur, with their meanings.
fn legend(matrix: &Matrix) -> String {
    let is_there = |(sign, _): &&(&str, &str)| matrix.cells().any(|cell| mark(cell) == *sign);
    let all = MARKS.iter().filter(is_there).map(|(mark, meaning)| format!("{mark} {meaning}"));
    Vec::from_iter(all).join("  ")
}

/// Returns a line for each cell that is open, is waived or has an unnecessary waiver, and for each problem with a
/// file.
fn notes(matrix: &Matrix) -> Vec<String> {
    let waived = matrix.cells().filter(|cell| cell.state == State::Waived);
    let proven = matrix.cells().filter(|cell| cell.state == State::Proven && cell.reason.is_some());
    let mut notes: Vec<String> = matrix.open_cells().chain(waived).chain(proven).map(note).collect();
    notes.extend(matrix.problems().iter().map(|problem| format!("not read: {problem}")));
    if matrix.omitted_problems() > 0 {
        notes.push(format!("not read: {} more", matrix.omitted_problems()));
    }
    notes
}

/// Describes a cell on one line, with its state and the reason. If the cell is open and no test ran for it, the line
/// also has the attribute to add.
pub(super) fn note(cell: &Cell) -> String {
    let mut line = format!("{} {} {}", mark(cell), cell.process, cell.case);
    if let Some(reason) = &cell.reason {
        let _ = write!(line, ": {reason}");
    }
    if let Some(addition) = addition(cell) {
        let _ = write!(line, "; add {addition}");
    }
    quote::line(&line).into_owned()
}

/// Returns the attribute to add if the cell is open and no test ran for it; `None` otherwise.
fn addition(cell: &Cell) -> Option<String> {
    let is_open = matches!(cell.state, State::Failed | State::Unknown);
    (is_open && cell.tests.is_empty()).then(|| cell.attribute())
}

/// Escapes a text so that Markdown shows it on one line and unchanged, including in a table.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in quote::line(text).chars() {
        if matches!(letter, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '#' | '&' | '$') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// Formats a text as a code span, in which Markdown escapes nothing. The fence has more backticks than the text has
/// anywhere in a row.
fn code(text: &str) -> String {
    let text = quote::line(text);
    let fence = "`".repeat(1 + text.split(|letter| letter != '`').map(str::len).max().unwrap_or_default());
    let is_padded = text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']);
    let padding = if is_padded { " " } else { "" };
    format!("{fence}{padding}{text}{padding}{fence}")
}
