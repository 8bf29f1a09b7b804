//! The page `contracts.md`, done word for word in a fresh directory: its files, its commands, and what it says that they
//! print, up to the gate that stays shut and the line that opens it.

use std::fs;
use std::path::Path;
use std::time::Instant;

use process_runtime::testing::policy::Policy;
use process_tests::page::{Block, User, blocks, lasting, said};
use test_machine::missing::is_missing;

const PAGE: &str = include_str!("../../process-runtime/docs/contracts.md");

/// What the last commands said, and whether they succeeded.
#[derive(Default)]
struct Told {
    text: String,
    failed: bool,
}

impl Told {
    fn by(user: &mut User, commands: &str) -> Told {
        let mut told = Told::default();
        for line in commands.lines() {
            assert!(!told.failed, "before `{line}`:\n{}", told.text);
            let output = user.types(line);
            told.text.push_str(&said(&output));
            told.failed = !output.status.success();
        }
        told
    }

    /// Each line of a block is among what was said.
    fn has(&self, block: &str) {
        let said = lasting(&self.text);
        for line in lasting(block) {
            assert!(said.contains(&line), "`{line}` was not said:\n{}", self.text);
        }
    }
}

/// Puts a block into the file that the page names, or adds it.
fn write(user: &User, block: Block) {
    let name = block.names().find(|name| name.ends_with(".rs")).unwrap();
    let file = user.file(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let is_more = block.before.contains("Add ");
    let old = if is_more { fs::read_to_string(&file).unwrap() + "\n" } else { String::new() };
    fs::write(file, old + block.text).unwrap();
}

/// What the tests say with one expectation in place of another.
fn with_another(user: &mut User, block: Block) -> Told {
    let names: Vec<_> = block.names().take(2).collect();
    let [old, new] = names[..] else { panic!("{names:?}") };
    let file = user.file("tests/contracts.rs");
    let contracts = fs::read_to_string(&file).unwrap();
    fs::write(&file, contracts.replacen(old, new, 1)).unwrap();
    let told = Told::by(user, "cargo test --test contracts");
    fs::write(file, contracts).unwrap();
    told
}

#[test]
fn a_new_user_gets_from_cargo_new_to_an_open_gate_as_the_page_says() {
    if is_missing("git", "apt-get install git") {
        return;
    }
    let began = Instant::now();
    let mut user = User::new(env!("CARGO_TARGET_TMPDIR"));
    let (mut told, mut compared, mut waivers) = (Told::default(), 0, 0);
    for block in blocks(PAGE) {
        match block.language.trim() {
            "rust,ignore" => write(&user, block),
            "sh" => {
                assert!(!told.failed, "{}", told.text);
                told = Told::by(&mut user, block.text);
            }
            "text" => {
                if block.before.contains(" in place of ") {
                    told = with_another(&mut user, block);
                    assert!(told.failed, "{}", told.text);
                } else {
                    assert_eq!(told.failed, block.text.contains("FAILED"), "{}", told.text);
                }
                told.has(block.text);
                (told.failed, compared) = (false, compared + 1);
                if compared == 2 {
                    println!("the first contracts, with all builds: {:.1?}", began.elapsed());
                }
            }
            "toml" => {
                waivers += Policy::parse(block.text, Path::new("process.toml")).unwrap().waivers().len()
            }
            other => panic!("nobody knows what to do with {other}"),
        }
    }
    assert!(!told.failed, "{}", told.text);
    assert_eq!((compared, waivers), (6, 1));
    println!("the page, with all builds: {:.1?}", began.elapsed());

    // The line that the gate names is the one that is missing: without one contract its cell is open again.
    let file = user.file("tests/council.rs");
    let contracts = fs::read_to_string(&file).unwrap();
    let line = "#[contract(process = \"council_3stage\", case = sla)]";
    fs::write(&file, contracts.replacen(line, "", 1)).unwrap();
    let told = Told::by(&mut user, "cargo test");
    assert!(told.failed, "{}", told.text);
    let said = told.text.split("1 of 12 cells are open:\n? council_3stage sla: ").nth(1).unwrap_or_default();
    assert!(
        said.lines().next().is_some_and(|first| first.ends_with(&format!("; add {line}"))),
        "{}",
        told.text
    );
}
