//! Tests of the gate. In a service, the gate is a one-line test, which fails while a cell of the matrix is open.

use super::*;

#[test]
#[ignore = "child of it_opens_when_everything_is_proven_and_names_what_is_not"]
fn child_is_at_the_gate() {
    gate();
}

/// Runs the gate of a package in a child, with the policy and the evidence in the folder of the package. Returns
/// whether the gate passed, and the child's output.
fn at_the_gate(package: &Path) -> (bool, String) {
    let mut child = alone("gates::child_is_at_the_gate");
    child.env("CARGO_MANIFEST_DIR", package.join("member")).env("PROCESS_REVISION", "r1");
    let output = child.env("PROCESS_EVIDENCE_DIR", package.join("evidence")).output().unwrap();
    (output.status.success(), printed(&output))
}

#[test]
fn it_opens_when_everything_is_proven_and_names_what_is_not() {
    let package = directory();
    let files: Vec<PathBuf> =
        everything().iter().map(|one| one.write_to(&package.path().join("evidence")).unwrap()).collect();
    let (is_open, text) = at_the_gate(package.path());
    assert!(is_open, "{text}");
    assert!(text.contains("pay_invoice  ✓      ✓        ✓✓          ✓    ✓"), "{text}");

    // A file that cannot be read is reported, and does not fail the gate.
    let stray = package.path().join("evidence").join("stray.jsonl");
    fs::write(&stray, "half a li").unwrap();
    let (is_open, text) = at_the_gate(package.path());
    assert!(
        is_open
            && text.contains("not read: ")
            && text.contains("stray.jsonl:1: the line is not valid evidence"),
        "{text}"
    );

    fs::remove_file(&files[1]).unwrap();
    let (is_open, text) = at_the_gate(package.path());
    assert!(
        !is_open && text.contains("1 of 12 cases need a proof:\n? pay_invoice happy: no contract ran; add "),
        "{text}"
    );

    fs::write(package.path().join("process.toml"), "[contracts]\ncritical = [\"timeout\"]\n").unwrap();
    let (is_open, text) = at_the_gate(package.path());
    assert!(is_open, "{text}");
    fs::write(package.path().join("process.toml"), "[contracts]\ncritical = [\"timeuot\"]\n").unwrap();
    let (is_open, text) = at_the_gate(package.path());
    assert!(
        !is_open && text.contains("process.toml:2: invalid case `timeuot`; did you mean `timeout`?"),
        "{text}"
    );
}

#[test]
#[ignore = "child of a_process_in_no_row_keeps_it_closed"]
fn child_expects_a_process_that_is_not_linked() {
    registry::expect(["send_fax"]);
    gate();
}

#[test]
fn a_process_in_no_row_keeps_it_closed() {
    let package = directory();
    everything().iter().for_each(|one| drop(one.write_to(package.path()).unwrap()));
    let mut child = alone("gates::child_expects_a_process_that_is_not_linked");
    child.env("CARGO_MANIFEST_DIR", package.path()).env("PROCESS_REVISION", "r1");
    let output = child.env("PROCESS_EVIDENCE_DIR", package.path()).output().unwrap();
    let text = printed(&output);
    assert!(
        !output.status.success()
            && text.contains(
                "process `send_fax` is expected but not registered; correct the id, or link its crate"
            ),
        "{text}"
    );
}
