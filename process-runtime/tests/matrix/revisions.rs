//! Which code evidence is of.

use super::*;

fn git(directory: &Path, arguments: &[&str]) {
    let settings = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
    let output = Command::new("git").current_dir(directory).args(settings).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

/// Whether there is no git, which is told; CI requires it.
fn git_is_missing() -> bool {
    let is_missing = Command::new("git").arg("--version").output().is_err();
    if is_missing {
        assert!(std::env::var_os("PROCESS_REAL_PARTS").is_none(), "there is no git, which CI requires");
        eprintln!("SKIPPED: there is no git");
    }
    is_missing
}

/// A repository with one commit, and a directory in it.
fn repository() -> (TempDir, PathBuf) {
    let directory = directory();
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
    if git_is_missing() {
        return;
    }
    let (root, package) = repository();
    let clean = Revision::of(&package);
    assert!(clean.is_clean());
    assert_eq!(clean.as_str().len(), 40);
    assert_eq!(clean, Revision::of(root.path()));

    fs::write(root.path().join("ignored"), "x").unwrap();
    assert_eq!(Revision::of(&package), clean);

    let states: [&dyn Fn(); 6] = [
        &|| fs::write(package.join("code.rs"), "two").unwrap(),
        &|| fs::write(package.join("code.rs"), "three").unwrap(),
        // A byte that is no text, and one that differs.
        &|| fs::write(package.join("code.rs"), [0, 1]).unwrap(),
        &|| fs::write(package.join("code.rs"), [0, 2]).unwrap(),
        &|| fs::write(root.path().join("new file"), "one").unwrap(),
        &|| fs::write(root.path().join("new file"), "two").unwrap(),
    ];
    let mut seen = BTreeSet::from([clean.as_str().to_owned()]);
    for change in states {
        change();
        let revision = Revision::of(&package);
        assert!(!revision.is_clean());
        assert!(revision.as_str().starts_with(clean.as_str()));
        assert_eq!(revision, Revision::of(root.path()));
        assert!(seen.insert(revision.to_string()), "{revision} again");
        assert_eq!(revision.short().len(), 12 + 1 + 16);
    }
    fs::rename(root.path().join("new file"), root.path().join("renamed")).unwrap();
    assert!(seen.insert(Revision::of(&package).to_string()));

    fs::remove_file(root.path().join("renamed")).unwrap();
    fs::write(package.join("code.rs"), "one").unwrap();
    assert_eq!(Revision::of(&package), clean);
}

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
        let revision = Revision::of(&package);
        assert!(revision.as_str().starts_with("no git+") && !revision.is_clean(), "{revision}");
        assert!(revision.is_known() && seen.insert(revision.to_string()), "{revision} again");
        for file in ["target/built", ".hidden"] {
            fs::write(package.join(file), content).unwrap();
        }
        assert_eq!(revision, Revision::of(&package));
    }
}

#[test]
fn evidence_of_code_that_nobody_knows_counts_for_nothing() {
    let unknown = Revision::of(&directory().path().join("nowhere"));
    assert!(unknown.as_str().starts_with("unknown: ") && !unknown.is_known(), "{unknown}");
    let process = registry::get("draw_logo").unwrap();
    let mut evidence = proven("draw_logo", "happy");
    evidence.revision = unknown.clone();
    let policy = Policy::default();
    let matrix = Matrix::new([process], &policy, &[evidence], &unknown, Date::today()).unwrap();
    let open: Vec<_> = matrix.open().filter_map(|cell| cell.reason.clone()).collect();
    assert!(matches!(&open[..], [reason] if reason.contains("set PROCESS_REVISION")), "{open:?}");
}

#[test]
fn before_the_first_commit_each_state_is_another_revision_too() {
    if git_is_missing() {
        return;
    }
    let directory = directory();
    git(directory.path(), &["init", "-q"]);
    let empty = Revision::of(directory.path());
    assert!(!empty.is_clean());
    let mut seen = BTreeSet::from([empty.to_string()]);
    for (file, content) in [("code.rs", "one"), ("code.rs", "two"), ("more.rs", "one")] {
        fs::write(directory.path().join(file), content).unwrap();
        let untracked = Revision::of(directory.path());
        git(directory.path(), &["add", "."]);
        for revision in [untracked, Revision::of(directory.path())] {
            assert!(revision.as_str().starts_with("no commit+") && !revision.is_clean(), "{revision}");
            assert!(seen.insert(revision.to_string()), "{revision} again");
        }
        git(directory.path(), &["rm", "-q", "--cached", "-r", "."]);
    }
}

#[test]
fn a_name_is_a_revision_and_may_say_that_it_is_dirty() {
    assert!(Revision::named(" v1.2-3-g4e6e851\n").unwrap().is_clean());
    assert!(!Revision::named("v1.2-3-g4e6e851-dirty").unwrap().is_clean());
    assert_eq!(Revision::named("  "), None);
    assert_eq!(Revision::named("a\u{1b}[2J"), None);
}

#[test]
fn child_says_its_revision_before_and_after_it_writes() {
    if is_child() {
        println!("revision: {}", Revision::current());
        if std::env::var_os("PROCESS_EVIDENCE_DIR").is_some() {
            proven("pay_invoice", "happy").write().unwrap();
        }
        println!("revision: {}", Revision::of(Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap())));
    }
}

#[test]
fn evidence_within_the_tree_is_no_change_of_it_and_a_variable_names_another() {
    let (root, package) = repository();
    let test = "revisions::child_says_its_revision_before_and_after_it_writes";
    let mut child = child(test);
    child.env("CARGO_MANIFEST_DIR", &package).env("PROCESS_EVIDENCE_DIR", root.path().join("evidence"));
    let clean = Revision::of(&package).to_string();
    let text = said(&child.output().unwrap());
    assert_eq!(text.matches(&format!("revision: {clean}\n")).count(), 2, "{text}");
    assert!(!Revision::of(&package).is_clean(), "the child wrote into the tree");
    // As a hook of another repository has them.
    let (_other, other) = repository();
    let git_dir = other.parent().unwrap().join(".git");
    let text = said(&child.env("GIT_DIR", git_dir).env("GIT_WORK_TREE", &other).output().unwrap());
    assert_eq!(text.matches(&format!("revision: {clean}\n")).count(), 2, "{text}");
    let text = said(&child.env("PROCESS_REVISION", "release-7").output().unwrap());
    assert!(text.contains("revision: release-7\n"), "{text}");
}
