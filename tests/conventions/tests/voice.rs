//! The text of the workspace uses none of the listed phrases, and its comment lines are not too long.

use std::path::Path;

use conventions::voice::{Finding, PHRASES, read};

fn workspace() -> Vec<Finding> {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
}

fn places(findings: &[Finding]) -> String {
    findings.iter().map(|found| format!("\n    {}:{}", found.file, found.line)).collect()
}

#[test]
fn no_text_uses_a_phrase_of_the_list() {
    let findings = workspace();
    let report: Vec<String> = PHRASES
        .iter()
        .filter_map(|(phrase, instead)| {
            let found: Vec<Finding> =
                findings.iter().filter(|found| found.phrase == Some(*phrase)).cloned().collect();
            (!found.is_empty())
                .then(|| format!("{} × “{phrase}”; write: {instead}{}", found.len(), places(&found)))
        })
        .collect();
    assert!(report.is_empty(), "\n\n{}\n", report.join("\n\n"));
}

#[test]
fn no_comment_is_longer_than_120_columns() {
    let long: Vec<Finding> = workspace().into_iter().filter(|found| found.phrase.is_none()).collect();
    assert!(long.is_empty(), "{}", places(&long));
}
