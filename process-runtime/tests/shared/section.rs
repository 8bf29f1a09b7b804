//! The records that the attributes have left in the section of this test binary.

use object::{Object, ObjectSection};
use process_model::{Record, wire};

/// Returns every record in the section, sorted by its text.
pub(crate) fn records() -> Vec<Record> {
    let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let name = if cfg!(target_vendor = "apple") { "__critproc" } else { "critproc" };
    let section = file.section_by_name(name).expect("the section is there");
    sorted(wire::decode_section(section.data().unwrap()).unwrap())
}

/// Sorts records by their text.
pub(crate) fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by_key(Record::to_text);
    records
}
