//! Fails a test while a cell of the matrix (a case of a process) is open. The rules for the state of a cell do not
//! belong here; they are in `matrix`.

use super::matrix::Matrix;
use super::report;
use crate::catalog::findings::{self, Finding};
use crate::testing::origin::text::with_sources;

/// Prints the [matrix](Matrix::current) and panics if a cell is open. A cell is a case of a process. A cell is open
/// if a contract for its case failed or the waiver of the case has expired. A cell is also open if its case is
/// required and not waived, and no contract for the case ran with the current code. Call the gate in a test of its
/// own:
///
/// ```no_run
/// // tests/zz_gate.rs, which links the service: `use my_service as _;`
/// #[test]
/// fn every_process_is_proven() {
///     process_runtime::testing::gate();
/// }
/// ```
///
/// The gate sees only evidence that exists when the gate runs, so the order of tests matters.
///
/// * Cargo runs the unit tests of a package first, then the files of `tests/` by name, one after the other. Give the
///   gate a file of its own whose name comes last. A test in the same file would run at the same time as the gate.
/// * Cargo stops at the first file that fails, and then does not run a gate in a later file.
/// * nextest runs the tests of all files at the same time. Run the gate in a second command:
///   `cargo nextest run -E 'not binary(zz_gate)'`, then `cargo test --test zz_gate`. Do not change the code between
///   the two commands, because evidence for another revision does not count.
///
/// # Panics
///
/// * If a cell is open. The message lists all open cells.
/// * If the policy cannot be read or is invalid, or if the directory of evidence is unknown.
/// * If no process is linked.
/// * If a process is missing from the matrix, because its record cannot be read, its id is a duplicate, or it is
///   [expected](crate::registry::expect) but not linked.
#[track_caller]
pub fn gate() {
    let matrix = match Matrix::current() {
        Ok(matrix) => matrix,
        Err(error) => panic!("cannot check the contracts of this build:\n{}", with_sources(&error)),
    };
    println!("{}", report::terminal(&matrix));
    let open: Vec<String> = matrix.open_cells().map(report::note).collect();
    let cells = matrix.cells().count();
    let lines = [missing_processes(&matrix), open.clone()].concat();
    assert!(lines.is_empty(), "{} of {cells} cases need a proof:\n{}", open.len(), lines.join("\n"));
}

/// Describes why processes are missing from the matrix.
fn missing_processes(matrix: &Matrix) -> Vec<String> {
    if matrix.rows().is_empty() {
        return vec![
            "no process is linked into this test; link the crate that defines them, for example `use my_service as _;`"
                .to_owned(),
        ];
    }
    let is_absence = |finding: &Finding| {
        matches!(
            finding,
            Finding::Unreadable { .. } | Finding::NotLinked { .. } | Finding::DuplicateProcess { .. }
        )
    };
    findings::validate().iter().filter(|finding| is_absence(finding)).map(Finding::to_string).collect()
}
