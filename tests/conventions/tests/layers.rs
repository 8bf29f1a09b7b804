//! The folders of `process-runtime/src` keep their order.

use std::collections::BTreeMap;
use std::path::Path;

use conventions::house::House;
use conventions::rules::FOLDERS;
use conventions::source::Sources;

fn product() -> House {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../process-runtime/src");
    House::new(&Sources::read(&src), &BTreeMap::new())
}

#[test]
fn every_folder_imports_only_what_is_below_it() {
    let violations = product().violations();
    let report: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(report.is_empty(), "\n\n{}\n", report.join("\n\n"));
}

#[test]
fn the_map_in_architecture_md_has_the_folders_in_their_order() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ARCHITECTURE.md");
    let map = std::fs::read_to_string(path).expect("ARCHITECTURE.md exists");
    let rows = map.lines().filter_map(|line| line.strip_prefix("| `"));
    let mentioned: Vec<&str> = rows
        .filter_map(|row| {
            FOLDERS.iter().map(|folder| folder.name).find(|name| row.starts_with(&format!("{name}/")))
        })
        .collect();
    assert_eq!(mentioned, FOLDERS.iter().map(|folder| folder.name).collect::<Vec<_>>());
}
