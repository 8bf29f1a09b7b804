//! The revision of the code to which evidence belongs, in git repositories.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use process_runtime::testing::Case;
use process_runtime::testing::evidence::{Evidence, Proof};
use process_runtime::testing::revision::Revision;
use process_runtime::{Outcome, critical_process, registry};
use process_tests::isolated::child;
use process_tests::page::printed;
use tempfile::TempDir;
use test_machine::missing::is_missing;

/// Weighs a parcel.
#[critical_process(id = "weigh_parcel", version = "1.0.0", sla = "1s")]
fn _weigh() {}

fn git(directory: &Path, arguments: &[&str]) {
    let settings = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
    let output = Command::new("git").current_dir(directory).args(settings).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", printed(&output));
}

/// Creates a repository with one commit, and a directory inside of it.
fn repository() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    git(directory.path(), &["init", "-q"]);
    let inside = directory.path().join("package");
    fs::create_dir(&inside).unwrap();
    fs::write(inside.join("code.rs"), "one").unwrap();
    fs::write(directory.path().join(".gitignore"), "/ignored\n").unwrap();
    git(directory.path(), &["add", "."]);
    git(directory.path(), &["commit", "-q", "-m", "one"]);
    (directory, inside)
}

#[test]
fn each_state_of_the_tree_is_another_revision() {
    if is_missing("git", "apt-get install git") {
        return;
    }
    let (root, package) = repository();
    let clean = Revision::detect(&package);
    assert!(clean.is_clean());
    assert_eq!(clean.as_str().len(), 40);
    assert_eq!(clean, Revision::detect(root.path()));

    fs::write(root.path().join("ignored"), "x").unwrap();
    assert_eq!(Revision::detect(&package), clean);

    let states: [&dyn Fn(); 6] = [
        &|| fs::write(package.join("code.rs"), "two").unwrap(),
        &|| fs::write(package.join("code.rs"), "three").unwrap(),
        // A file that is not text, and then the same file with another byte.
        &|| fs::write(package.join("code.rs"), [0, 1]).unwrap(),
        &|| fs::write(package.join("code.rs"), [0, 2]).unwrap(),
        &|| fs::write(root.path().join("new file"), "one").unwrap(),
        &|| fs::write(root.path().join("new file"), "two").unwrap(),
    ];
    let mut seen = BTreeSet::from([clean.as_str().to_owned()]);
    for change in states {
        change();
        let revision = Revision::detect(&package);
        assert!(!revision.is_clean());
        assert!(revision.as_str().starts_with(clean.as_str()));
        assert_eq!(revision, Revision::detect(root.path()));
        assert!(seen.insert(revision.to_string()), "{revision} again");
        assert_eq!(revision.short().len(), 12 + 1 + 16);
    }
    fs::rename(root.path().join("new file"), root.path().join("renamed")).unwrap();
    assert!(seen.insert(Revision::detect(&package).to_string()));

    fs::remove_file(root.path().join("renamed")).unwrap();
    fs::write(package.join("code.rs"), "one").unwrap();
    assert_eq!(Revision::detect(&package), clean);
}

#[test]
fn before_the_first_commit_each_state_is_another_revision_too() {
    if is_missing("git", "apt-get install git") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    git(directory.path(), &["init", "-q"]);
    let empty = Revision::detect(directory.path());
    assert!(!empty.is_clean());
    let mut seen = BTreeSet::from([empty.to_string()]);
    for (file, content) in [("code.rs", "one"), ("code.rs", "two"), ("more.rs", "one")] {
        fs::write(directory.path().join(file), content).unwrap();
        let untracked = Revision::detect(directory.path());
        git(directory.path(), &["add", "."]);
        for revision in [untracked, Revision::detect(directory.path())] {
            assert!(revision.as_str().starts_with("no commit+") && !revision.is_clean(), "{revision}");
            assert!(seen.insert(revision.to_string()), "{revision} again");
        }
        git(directory.path(), &["rm", "-q", "--cached", "-r", "."]);
    }
}

#[test]
#[ignore = "child of evidence_within_the_tree_does_not_change_its_revision_and_a_variable_replaces_it"]
fn child_prints_its_revision_before_and_after_it_writes() {
    println!("revision: {}", Revision::current());
    assert!(std::env::var_os("PROCESS_EVIDENCE_DIR").is_some(), "the parent names a directory");
    let process = registry::get("weigh_parcel").unwrap();
    let mut evidence = Evidence::new(process, Case::Happy, "revisions::it_is_weighed", Proof::Proven);
    evidence.outcome = Some(Outcome::Success);
    evidence.write().unwrap();
    println!("revision: {}", Revision::detect(Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap())));
}

#[test]
fn evidence_within_the_tree_does_not_change_its_revision_and_a_variable_replaces_it() {
    if is_missing("git", "apt-get install git") {
        return;
    }
    let (root, package) = repository();
    let mut child = child("child_prints_its_revision_before_and_after_it_writes");
    child.env_remove("PROCESS_REVISION").env_remove("CARGO_TARGET_DIR");
    child.env("CARGO_MANIFEST_DIR", &package).env("PROCESS_EVIDENCE_DIR", root.path().join("evidence"));
    let clean = Revision::detect(&package).to_string();
    let text = printed(&child.output().unwrap());
    assert_eq!(text.matches(&format!("revision: {clean}\n")).count(), 2, "{text}");
    assert!(!Revision::detect(&package).is_clean(), "the child wrote into the tree");
    // These variables are set as a hook of another repository would set them. They change nothing.
    let (_other, other) = repository();
    let git_dir = other.parent().unwrap().join(".git");
    let text = printed(&child.env("GIT_DIR", git_dir).env("GIT_WORK_TREE", &other).output().unwrap());
    assert_eq!(text.matches(&format!("revision: {clean}\n")).count(), 2, "{text}");
    let text = printed(&child.env("PROCESS_REVISION", "release-7").output().unwrap());
    assert!(text.contains("revision: release-7\n"), "{text}");
}
