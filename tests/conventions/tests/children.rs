//! Every ignored test is a child, which another test of the same file starts. A plain run of the tests therefore runs
//! every test, ignored or not.

use std::path::Path;

use conventions::source::Sources;

/// The folders whose tests are checked.
const FOLDERS: [&str; 6] =
    ["tests", "process-runtime", "process-macros/src", "process-model", "examples", "ui-tests/tests"];

/// Returns the lines with an ignored test that no test of the file starts, with the reason.
fn orphans(text: &str) -> Vec<String> {
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let mut found = Vec::new();
    while let Some((at, line)) = lines.next() {
        let Some(rest) = line.strip_prefix("#[ignore") else { continue };
        let parent = rest.strip_prefix(" = \"child of ").and_then(|rest| rest.strip_suffix("\"]"));
        let name = lines.find_map(|(_, line)| line.split_once("fn ")?.1.split(['(', '<']).next());
        let Some((parent, name)) = parent.zip(name) else {
            found.push(format!("{at}: the reason is not `child of …`"));
            continue;
        };
        if parent != "the other tests of this file" && !text.contains(&format!("fn {parent}(")) {
            found.push(format!("{at}: the file has no test `{parent}`"));
        }
        if !text.contains(&format!("::{name}\"")) && !text.contains(&format!("\"{name}\"")) {
            found.push(format!("{at}: no test of the file starts `{name}`"));
        }
    }
    found
}

#[test]
fn every_ignored_test_is_started_by_another_test_of_its_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut children, mut report) = (0, Vec::new());
    for folder in FOLDERS {
        for (file, text) in Sources::read(&root.join(folder)).iter() {
            children += text.lines().filter(|line| line.trim().starts_with("#[ignore = ")).count();
            report.extend(orphans(text).iter().map(|orphan| format!("{folder}/{file}:{orphan}")));
        }
    }
    assert!(report.is_empty(), "\n{}", report.join("\n"));
    assert!(children > 0, "no test was found");
}

#[test]
fn an_ignored_test_without_a_parent_is_found() {
    let child = "#[ignore = \"child of parent\"]\nfn child() {}\n";
    assert_eq!(orphans(&format!("{child}fn parent() {{ start(\"module::child\") }}")), [""; 0]);
    assert_eq!(orphans(&format!("{child}fn parent() {{ start(\"child\") }}")), [""; 0]);
    assert_eq!(orphans(&format!("{child}fn parent() {{}}")), ["1: no test of the file starts `child`"]);
    assert_eq!(orphans(&format!("{child}start(\"child\")")), ["1: the file has no test `parent`"]);
    for reason in ["#[ignore]", "#[ignore = \"slow\"]"] {
        assert_eq!(orphans(&format!("{reason}\nfn slow() {{}}")), ["1: the reason is not `child of …`"]);
    }
}
