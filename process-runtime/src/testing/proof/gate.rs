//! The one-line test that fails as long as something is unproven.

use super::matrix::Matrix;
use super::report;
use crate::catalog::findings::{self, Finding};

/// Prints the [matrix](Matrix::of_this_build) and fails on an open cell. It is all that a team needs without the
/// command line:
///
/// ```no_run
/// // tests/zz_gate.rs, which links the service: `use my_service as _;`
/// #[test]
/// fn every_process_is_proven() {
///     process_runtime::testing::gate();
/// }
/// ```
///
/// Where it stands decides what it sees, since evidence is there once a test has run. Cargo runs the unit tests of a
/// package before its integration tests, and those by name, one binary after the other: so the gate is alone in a file
/// of `tests/` whose name comes last, and sees the evidence of all. A test beside it in the same file would run at the
/// same time. Cargo stops at the first binary that fails, and the gate with it. Under nextest, which runs the tests of
/// all binaries side by side, it runs in a second command: `cargo nextest run -E 'not binary(zz_gate)'`, then
/// `cargo test --test zz_gate`. Both need the same code: evidence of another revision does not count.
///
/// # Panics
/// With every cell that is open; where the policy cannot be read; where no process is linked, and where one is in no
/// row of the matrix, since its record is unreadable, its id is another's, or it is
/// [expected](crate::registry::expect) and not linked.
#[track_caller]
pub fn gate() {
    let matrix = match Matrix::of_this_build() {
        Ok(matrix) => matrix,
        Err(error) => panic!("there is no matrix of this build:\n{error}"),
    };
    println!("{}", report::terminal(&matrix));
    let open: Vec<String> = matrix.open().map(report::note).collect();
    let cells = matrix.cells().count();
    let lines = [absent(&matrix), open.clone()].concat();
    assert!(lines.is_empty(), "{} of {cells} cells are open:\n{}", open.len(), lines.join("\n"));
}

/// What keeps a process out of the matrix.
fn absent(matrix: &Matrix) -> Vec<String> {
    if matrix.rows().is_empty() {
        return vec![
            "no process is linked into this test; name its crate in the source: `use my_service as _;`"
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
