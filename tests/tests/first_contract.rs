//! Follows the page `contracts.md` word for word in an empty directory. The files, the commands and their output are
//! as the page shows them, including the gate that fails and the line that makes it pass.

use std::fs;
use std::path::Path;
use std::time::Instant;

use process_runtime::testing::policy::Policy;
use process_tests::page::{Block, User, blocks, lasting, printed};
use test_machine::missing::is_missing;

const PAGE: &str = include_str!("../../process-runtime/docs/contracts.md");

/// The output of the last commands, and whether they failed.
#[derive(Default)]
struct Outcome {
    text: String,
    failed: bool,
}

impl Outcome {
    fn by(user: &mut User, commands: &str) -> Outcome {
        let mut outcome = Outcome::default();
        for line in commands.lines() {
            assert!(!outcome.failed, "before `{line}`:\n{}", outcome.text);
            let output = user.types(line);
            outcome.text.push_str(&printed(&output));
            outcome.failed = !output.status.success();
        }
        outcome
    }

    /// Asserts that the output has each line of a block.
    fn has(&self, block: &str) {
        let text = lasting(&self.text);
        for line in lasting(block) {
            assert!(text.contains(&line), "`{line}` is not in:\n{}", self.text);
        }
    }
}

/// Writes a block to the file that the page names, or appends the block if the page says so.
fn write(user: &User, block: Block) {
    let name = block.names().find(|name| name.ends_with(".rs")).unwrap();
    let file = user.file(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let is_more = block.before.contains("Add ");
    let old = if is_more { fs::read_to_string(&file).unwrap() + "\n" } else { String::new() };
    fs::write(file, old + block.text).unwrap();
}

/// Runs the tests with one expectation replaced by another one from the page.
fn with_another(user: &mut User, block: Block) -> Outcome {
    let names: Vec<_> = block.names().take(2).collect();
    let [old, new] = names[..] else { panic!("{names:?}") };
    let file = user.file("tests/contracts.rs");
    let contracts = fs::read_to_string(&file).unwrap();
    fs::write(&file, contracts.replacen(old, new, 1)).unwrap();
    let outcome = Outcome::by(user, "cargo test --test contracts");
    fs::write(file, contracts).unwrap();
    outcome
}

#[test]
fn a_new_user_who_follows_the_page_gets_from_cargo_new_to_an_open_gate() {
    if is_missing("git", "apt-get install git") {
        return;
    }
    let began = Instant::now();
    let mut user = User::new(env!("CARGO_TARGET_TMPDIR"));
    let (mut outcome, mut compared, mut waivers) = (Outcome::default(), 0, 0);
    for block in blocks(PAGE) {
        match block.language.trim() {
            "rust,ignore" => write(&user, block),
            "sh" => {
                assert!(!outcome.failed, "{}", outcome.text);
                outcome = Outcome::by(&mut user, block.text);
            }
            "text" => {
                if block.before.contains(" in place of ") {
                    outcome = with_another(&mut user, block);
                    assert!(outcome.failed, "{}", outcome.text);
                } else {
                    assert_eq!(outcome.failed, block.text.contains("FAILED"), "{}", outcome.text);
                }
                outcome.has(block.text);
                (outcome.failed, compared) = (false, compared + 1);
                if compared == 2 {
                    println!("the first contracts, with all builds: {:.1?}", began.elapsed());
                }
            }
            "toml" => {
                waivers += Policy::parse(block.text, Path::new("process.toml")).unwrap().waivers().len()
            }
            other => panic!("unknown language {other}"),
        }
    }
    assert!(!outcome.failed, "{}", outcome.text);
    assert_eq!((compared, waivers), (6, 1));
    println!("the page, with all builds: {:.1?}", began.elapsed());

    // Without one contract, its cell is open again, and the gate names exactly the missing line.
    let file = user.file("tests/council.rs");
    let contracts = fs::read_to_string(&file).unwrap();
    let line = "#[contract(process = \"council_3stage\", case = sla)]";
    fs::write(&file, contracts.replacen(line, "", 1)).unwrap();
    let outcome = Outcome::by(&mut user, "cargo test");
    assert!(outcome.failed, "{}", outcome.text);
    let text =
        outcome.text.split("1 of 12 cases need a proof:\n? council_3stage sla: ").nth(1).unwrap_or_default();
    assert!(
        text.lines().next().is_some_and(|first| first.ends_with(&format!("; add {line}"))),
        "{}",
        outcome.text
    );
}
