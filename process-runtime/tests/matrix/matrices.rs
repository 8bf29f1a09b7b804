//! Cells that evidence proves, and cells that stay open.

use super::*;

#[test]
fn all_of_it_proven_leaves_nothing_open() {
    let matrix = matrix_of(&everything());
    assert!(matrix.cells().all(|cell| cell.state == State::Proven && !cell.dirty));
    assert_eq!(matrix.open_cells().count(), 0);
}

#[test]
fn without_one_contract_exactly_its_cell_is_open_with_the_line_to_add() {
    for place in 0..everything().len() {
        let mut evidence = everything();
        let gone = evidence.remove(place);
        let matrix = matrix_of(&evidence);
        let [open] = matrix.open_cells().collect::<Vec<_>>()[..] else { panic!("{gone:?}") };
        assert_eq!(
            (open.process, &open.case, open.state),
            (gone.process.as_str(), &gone.case, State::Unknown)
        );
        let line = format!("#[contract(process = \"{}\", case = {})]", gone.process, gone.case);
        assert_eq!(open.attribute(), line);
        let reports = [report::terminal(&matrix), report::junit(&matrix).replace("&quot;", "\"")];
        assert!(reports.iter().all(|report| report.contains(&line)), "{reports:#?}");
    }
}

#[test]
fn evidence_of_another_definition_or_revision_does_not_count() {
    let mut older = proven("draw_logo", "happy");
    older.definition = "0".repeat(32);
    older.version = "0.9.0".to_owned();
    let matrix = matrix_of(std::slice::from_ref(&older));
    let stale = cell(&matrix, "draw_logo", "happy");
    assert_eq!(stale.state, State::Unknown);
    assert_eq!(
        stale.reason.as_deref().unwrap(),
        "service::tests::draw_logo_happy last ran with another definition (version 0.9.0 at r1); run it again"
    );

    let mut other = proven("draw_logo", "happy");
    other.revision = "r0".parse::<Revision>().unwrap();
    let matrix = matrix_of(std::slice::from_ref(&other));
    let stale = cell(&matrix, "draw_logo", "happy");
    assert_eq!(stale.state, State::Unknown);
    assert!(
        stale
            .reason
            .as_deref()
            .unwrap()
            .ends_with("last ran at revision r0, and the code is at r1 now; run it again")
    );

    // The same commit with uncommitted changes is another revision. A failure at another revision does not count.
    other.revision = "r1-dirty".parse::<Revision>().unwrap();
    other.proof = Proof::Failed("then".to_owned());
    let matrix = matrix_of(&[older, other, proven("draw_logo", "happy")]);
    assert_eq!(cell(&matrix, "draw_logo", "happy").state, State::Proven);
    // A case that is not required does not get a cell from evidence of another revision.
    let mut stray = proven("draw_logo", "panic");
    stray.revision = "r0".parse::<Revision>().unwrap();
    assert!(matrix_of(&[stray]).cells().all(|cell| cell.case != Case::Panic));
}

#[test]
fn one_failure_of_a_cell_outweighs_its_proofs() {
    let mut other_test = failed("pay_invoice", "sla", "expected late\nobserved on time");
    other_test.test = "service::tests::other".to_owned();
    let mut evidence = everything();
    evidence.insert(0, other_test);
    let matrix = matrix_of(&evidence);
    let [open] = matrix.open_cells().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!((open.state, &open.case, open.tests.len()), (State::Failed, &Case::Sla, 2));
    assert_eq!(open.reason.as_deref().unwrap(), "service::tests::other: expected late observed on time");
    assert!(!report::terminal(&matrix).contains("add #[contract"));
}

#[test]
fn a_proof_of_what_did_not_happen_is_a_failure() {
    let mut evidence = proven("draw_logo", "happy");
    evidence.outcome = Some(Outcome::Failure);
    let matrix = matrix_of(&[evidence]);
    assert_eq!(cell(&matrix, "draw_logo", "happy").state, State::Failed);
}

#[test]
fn a_cell_that_is_not_required_is_there_and_may_fail() {
    let mut evidence = everything();
    evidence.push(failed("draw_logo", "error(\"no_ink\")", "success"));
    evidence.push(proven("draw_logo", "edge"));
    let matrix = matrix_of(&evidence);
    assert_eq!(cell(&matrix, "draw_logo", "edge").state, State::Proven);
    assert!(!cell(&matrix, "draw_logo", "edge").required);
    let [open] = matrix.open_cells().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!(open.case, Case::Error("no_ink".to_owned()));
}

#[test]
fn what_rests_on_a_tree_that_was_not_clean_is_marked() {
    let dirty = "r1-dirty".parse::<Revision>().unwrap();
    let mut evidence = everything();
    evidence.iter_mut().for_each(|one| one.revision = dirty.clone());
    let of = |evidence: &[Evidence]| {
        Matrix::new(registry::all(), &Policy::default(), evidence, &dirty, today()).unwrap()
    };
    let matrix = of(&evidence);
    assert!(matrix.cells().all(|cell| cell.state == State::Proven && cell.dirty));
    let text = report::terminal(&matrix);
    assert!(text.contains("~ proven with uncommitted changes") && !text.contains('✓'), "{text}");
    assert!(report::junit(&matrix).contains("proven with uncommitted changes"));
    assert!(of(&[]).cells().all(|cell| !cell.dirty));
}

#[test]
fn the_latest_evidence_that_does_not_count_is_shown_and_the_longest_that_does() {
    let mut evidence = [proven("draw_logo", "happy"), proven("draw_logo", "happy")];
    evidence[0].test = "service::tests::slower".to_owned();
    evidence[0].duration *= 2;
    assert_eq!(cell(&matrix_of(&evidence), "draw_logo", "happy").duration, evidence[0].duration);
    evidence.iter_mut().for_each(|one| one.revision = "r0".parse::<Revision>().unwrap());
    evidence[0].at += 1;
    for _ in 0..2 {
        let matrix = matrix_of(&evidence);
        let reason = cell(&matrix, "draw_logo", "happy").reason.clone().unwrap();
        assert!(reason.contains("service::tests::slower last ran at revision r0"), "{reason}");
        evidence.reverse();
    }
}
