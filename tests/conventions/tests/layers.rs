//! The folders of `process-runtime/src` keep their order.

use std::collections::BTreeMap;
use std::path::Path;

use conventions::rules::House;
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
