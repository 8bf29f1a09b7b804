//! Checks that every process of the platform is proven in every case that its criticality requires, and that the gate
//! fails if any one of the proofs is missing. Cargo runs these tests after the contracts, which are unit tests
//! (`src/**/contracts.rs`).

use axcouncil as _;
use process_runtime::registry;
use process_runtime::testing::matrix::{Matrix, State};
use process_runtime::testing::policy::Policy;
use process_runtime::testing::revision::Revision;
use process_runtime::testing::{Date, evidence};

#[test]
fn every_process_is_proven() {
    process_runtime::testing::gate();
}

#[test]
fn without_any_one_of_the_contracts_the_gate_names_the_line_to_add() {
    let directory = evidence::directory().expect("there is one");
    let gathered = evidence::read(&directory).evidence;
    let policy = Policy::find().expect("it can be read");
    let matrix = |evidence: &[evidence::Evidence]| {
        Matrix::new(registry::all(), &policy, evidence, Revision::current(), Date::today()).expect("it fits")
    };
    let whole = matrix(&gathered);
    let required: Vec<_> =
        whole.cells().filter(|cell| cell.required && cell.state == State::Proven).collect();
    // Each of the three critical processes needs 4 cases, and one for each of its 3, 1 or 2 dependencies. The process
    // with high criticality needs 3 cases, and each of the two with medium criticality needs 2.
    assert_eq!(required.len(), (4 + 3) + (4 + 1) + (4 + 2) + 3 + 2 * 2);
    for cell in required {
        let rest = gathered.iter().filter(|one| (&*one.process, &one.case) != (cell.process, &cell.case));
        let open: Vec<_> =
            matrix(&rest.cloned().collect::<Vec<_>>()).open_cells().map(|cell| cell.attribute()).collect();
        let line = format!("#[contract(process = \"{}\", case = {})]", cell.process, cell.case);
        assert_eq!(open, [line]);
    }
}
