//! Prints every violation of the conventions, then the figures.
//!
//! The first argument is the root of the checkout to read. The default is the checkout that this program was built
//! from. The second argument is a file with lines `from to`, one for each source file to move. The check treats the
//! source file `from` as if its path were `to`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use conventions::house::House;
use conventions::source::Sources;
use conventions::voice;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let root =
        arguments.next().map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."), PathBuf::from);
    let placed: BTreeMap<String, String> = arguments.next().map_or_else(BTreeMap::new, |path| {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        text.lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(from, to)| (from.to_owned(), to.to_owned()))
            .collect()
    });
    let house = House::new(&Sources::read(&root.join("process-runtime/src")), &placed);
    for violation in house.violations() {
        println!("{violation}\n");
    }
    let findings = voice::read(&root);
    for found in &findings {
        println!(
            "{}:{}  {}",
            found.file,
            found.line,
            found.phrase.unwrap_or("a comment of more than 120 columns")
        );
    }
    println!("\n{}", house.figures());
    for (phrase, _) in voice::PHRASES {
        let count = findings.iter().filter(|found| found.phrase == Some(*phrase)).count();
        println!("{count:6}  “{phrase}”");
    }
    println!(
        "{:6}  comments of more than 120 columns",
        findings.iter().filter(|found| found.phrase.is_none()).count()
    );
}
