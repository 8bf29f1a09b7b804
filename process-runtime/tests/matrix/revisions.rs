//! The revision of the code that evidence belongs to, without git. `tests/tests/revisions.rs` tests the revision with
//! git.

use super::*;

#[test]
fn without_git_the_files_say_which_code_it_is() {
    let directory = directory();
    let package = directory.path().join("package");
    fs::create_dir_all(package.join("target")).unwrap();
    fs::write(directory.path().join("Cargo.lock"), "").unwrap();
    fs::write(package.join("target/CACHEDIR.TAG"), "").unwrap();
    let mut seen = BTreeSet::new();
    for (file, content) in [("code.rs", "one"), ("code.rs", "two"), ("more.rs", "two")] {
        fs::write(package.join(file), content).unwrap();
        let revision = Revision::detect(&package);
        assert!(revision.as_str().starts_with("no git+") && !revision.is_clean(), "{revision}");
        assert!(revision.is_known() && seen.insert(revision.to_string()), "{revision} again");
        for file in ["target/built", ".hidden"] {
            fs::write(package.join(file), content).unwrap();
        }
        assert_eq!(revision, Revision::detect(&package));
    }
}

#[test]
fn evidence_of_an_unknown_revision_does_not_count() {
    let unknown = Revision::detect(&directory().path().join("nowhere"));
    assert!(unknown.as_str().starts_with("unknown: ") && !unknown.is_known(), "{unknown}");
    let process = registry::get("draw_logo").unwrap();
    let mut evidence = proven("draw_logo", "happy");
    evidence.revision = unknown.clone();
    let policy = Policy::default();
    let matrix = Matrix::new([process], &policy, &[evidence], &unknown, Date::today()).unwrap();
    let open: Vec<_> = matrix.open_cells().filter_map(|cell| cell.reason.clone()).collect();
    assert!(matches!(&open[..], [reason] if reason.contains("set PROCESS_REVISION")), "{open:?}");
}

#[test]
fn a_name_is_a_revision_and_may_say_that_it_is_dirty() {
    assert!(" v1.2-3-g4e6e851\n".parse::<Revision>().unwrap().is_clean());
    assert!(!"v1.2-3-g4e6e851-dirty".parse::<Revision>().unwrap().is_clean());
    assert!("  ".parse::<Revision>().is_err());
    assert!("a\u{1b}[2J".parse::<Revision>().is_err());
}
