//! Every form of a forbidden import is found at its line, and is followed to the file that defines the name.
//!
//! Each test adds a few files to the small crate in `HOUSE`. A line that must be found ends with `//~` and the file
//! to which the import leads.

use std::collections::{BTreeMap, BTreeSet};

use conventions::house::{House, Violation};
use conventions::rules::Recursion;
use conventions::source::Sources;

/// The crate to which a test adds files, usually `run/planted.rs`. In the order of the folders, `observe` is above
/// `run`, and `base` is below `run`.
const HOUSE: &str = r#"
//- lib.rs
mod base;
mod run;
mod observe;
#[cfg(feature = "health")]
pub mod health;
#[cfg(feature = "testing")]
pub mod testing;
pub use observe::span::Span as Window;
pub use observe::open as reopened;
pub use base::Clock;
pub fn in_lib() {}
#[doc(hidden)]
pub mod __private {
    pub use crate::observe::span::Span;
}
//- base/mod.rs
pub struct Clock;
//- run/mod.rs
pub mod planted;
//- observe/mod.rs
pub mod span;
pub use self::span::*;
pub use span::Span as Renamed;
//- observe/span.rs
pub struct Span;
pub enum Kind { Root }
pub fn open() {}
pub fn close() {}
pub mod inner {
    pub trait Enter {}
}
//- health/mod.rs
pub struct Check;
//- testing/mod.rs
pub struct Domain;
"#;

fn house(planted: &str) -> Sources {
    let text = if planted.trim_start().starts_with("//- ") {
        planted.to_owned()
    } else {
        format!("//- run/planted.rs\n{}", planted.trim_start_matches('\n'))
    };
    let mut sources = Sources::planted(HOUSE);
    sources.add("run/planted.rs", "");
    for (path, text) in Sources::planted(&text).iter() {
        sources.add(path, text);
    }
    sources
}

/// The imports that are found: file, line, and the file to which the import leads.
type Caught = BTreeSet<(String, usize, String)>;

fn caught(sources: &Sources) -> Caught {
    let violations = House::new(sources, &BTreeMap::new()).violations();
    let places = violations.into_iter().flat_map(|violation| violation.places);
    places
        .filter(|place| place.line > 0)
        .map(|place| {
            let target = place.what.split_once("→ ").map_or("", |(_, target)| target);
            (place.file, place.line, target.split_whitespace().next().unwrap_or_default().to_owned())
        })
        .collect()
}

fn marked(sources: &Sources) -> Caught {
    let lines =
        sources.iter().flat_map(|(path, text)| text.lines().enumerate().map(move |line| (path, line)));
    lines
        .flat_map(|(path, (line, text))| {
            let marks = text.split_once("//~").map_or("", |(_, marks)| marks).split_whitespace();
            marks.map(move |mark| (path.to_owned(), line + 1, mark.to_owned()))
        })
        .collect()
}

/// Asserts that exactly the marked lines are found. At least one line must be marked.
fn is_caught(planted: &str) {
    let sources = house(planted);
    assert!(!marked(&sources).is_empty(), "the test marks no line");
    assert_eq!(caught(&sources), marked(&sources));
}

fn is_allowed(planted: &str) {
    let violations = House::new(&house(planted), &BTreeMap::new()).violations();
    assert!(violations.is_empty(), "{}", messages(&violations));
}

fn messages(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Returns the messages of the violations whose message contains `part`.
fn messages_with(sources: &Sources, part: &str) -> String {
    let mut violations = House::new(sources, &BTreeMap::new()).violations();
    violations.retain(|violation| violation.message.contains(part));
    messages(&violations)
}

#[test]
fn a_plain_import_is_caught() {
    is_caught("use crate::observe::span::Span; //~ observe/span.rs");
}

#[test]
fn an_import_in_a_nested_tree_is_caught_at_its_own_line() {
    is_caught(
        "
use crate::{
    base::Clock,
    observe::{
        self, //~ observe/mod.rs
        span::{
            Kind as Sort, //~ observe/span.rs
            inner::*, //~ observe/span.rs
        },
    },
};
",
    );
}

#[test]
fn an_import_of_everything_is_caught() {
    is_caught("use crate::observe::span::*; //~ observe/span.rs");
}

#[test]
fn a_name_that_a_glob_gives_leads_to_its_file() {
    is_caught(
        "
use crate::observe::*; //~ observe/mod.rs

fn run() {
    open(); //~ observe/span.rs
    Kind::Root; //~ observe/span.rs
}
",
    );
}

#[test]
fn a_name_that_a_parent_imports_is_caught_at_the_child_that_takes_it_by_a_glob() {
    is_caught(
        "
//- run/mod.rs
pub mod planted;
use crate::observe::open; //~ observe/span.rs
//- run/planted.rs
use super::*;
fn run() {
    open(); //~ observe/span.rs
}
",
    );
}

#[test]
fn a_re_export_leads_to_the_file_that_defines_the_name() {
    is_caught(
        "
use crate::Window; //~ observe/span.rs
use crate::observe::Renamed as Other; //~ observe/span.rs
use crate::reopened; //~ observe/span.rs
use crate::observe::close; //~ observe/span.rs
",
    );
}

#[test]
fn a_re_export_of_something_below_is_allowed() {
    is_allowed("use crate::Clock;");
}

#[test]
fn a_path_over_super_and_self_is_caught() {
    is_caught(
        "
use self::super::super::observe::open; //~ observe/span.rs
use super::super::observe; //~ observe/mod.rs
mod inline {
    use super::super::super::observe::Span; //~ observe/span.rs
    fn run() {
        super::observe::close(); //~ observe/span.rs
    }
}
",
    );
}

#[test]
fn a_path_in_a_type_is_caught() {
    is_caught(
        "
struct Run {
    span: Option<crate::observe::Span>, //~ observe/span.rs
}
impl crate::observe::span::inner::Enter for Run {} //~ observe/span.rs
fn enter<T>(_: &dyn crate::observe::span::inner::Enter) //~ observe/span.rs
where
    T: crate::observe::span::inner::Enter, //~ observe/span.rs
{
}
",
    );
}

#[test]
fn a_path_in_an_expression_or_pattern_is_caught() {
    is_caught(
        "
fn run() {
    crate::observe::open(); //~ observe/span.rs
    let _ = <crate::observe::Span as Default>::default(); //~ observe/span.rs
    match kind() {
        crate::observe::Kind::Root => {} //~ observe/span.rs
    }
}
",
    );
}

#[test]
fn a_path_of_an_imported_module_leads_on_from_it() {
    is_caught(
        "
use crate::observe; //~ observe/mod.rs
fn run() {
    observe::span::open(); //~ observe/span.rs
}
",
    );
}

#[test]
fn a_path_in_the_tokens_of_a_macro_is_caught() {
    is_caught(
        "
thread_local! {
    static SPAN: Option<crate::observe::Span> = None; //~ observe/span.rs
}
fn run() {
    assert_eq!(1, { crate::observe::open(); 1 }); //~ observe/span.rs
    generate! {
        use crate::{base::Clock, observe::{
            span::close, //~ observe/span.rs
        }};
    }
}
",
    );
}

#[test]
fn a_path_in_the_body_of_macro_rules_is_caught() {
    is_caught(
        "
macro_rules! open {
    ($value:expr) => {
        $crate::observe::open($value); //~ observe/span.rs
        $value.open(crate::observe::Kind::Root) //~ observe/span.rs
    };
}
#[macro_export]
macro_rules! close {
    () => { $crate::observe::close() }; //~ observe/span.rs
}
",
    );
}

#[test]
fn a_path_under_any_cfg_is_caught() {
    is_caught(
        r#"
#[cfg(feature = "tracing")]
use crate::observe::Span; //~ observe/span.rs
#[cfg(not(test))]
fn run() {
    #[cfg(all(loom, not(feature = "tracing")))]
    crate::observe::open(); //~ observe/span.rs
    #[cfg(any(test, feature = "tracing"))]
    {
        crate::observe::close(); //~ observe/span.rs
    }
}
"#,
    );
}

#[test]
fn an_import_in_the_body_of_a_function_is_caught() {
    is_caught(
        "
fn run() {
    use crate::observe::span; //~ observe/span.rs
    let open = || {
        use crate::observe::Kind; //~ observe/span.rs
        Kind::Root
    };
    span::open(); //~ observe/span.rs
}
",
    );
}

#[test]
fn a_path_in_the_argument_of_an_attribute_is_caught() {
    is_caught(
        r#"
#[derive(Clone, crate::observe::Span)] //~ observe/span.rs
struct Run {
    #[serde(with = "crate::observe::span")] //~ observe/span.rs
    span: (),
    #[cfg_attr(feature = "tracing", crate::observe::open)] //~ observe/span.rs
    other: (),
}
"#,
    );
}

#[test]
fn a_path_that_begins_with_the_name_of_the_crate_is_caught() {
    is_caught(
        "
extern crate self as this;
use process_runtime::observe::open; //~ observe/span.rs
use ::process_runtime::observe::close; //~ observe/span.rs
use this::observe::Kind; //~ observe/span.rs
",
    );
}

#[test]
fn a_macro_of_another_file_is_caught() {
    is_caught(
        "
//- observe/span.rs
pub struct Span;
pub fn open() {}
#[macro_export]
macro_rules! exported { () => {} }
macro_rules! textual { () => {} }
//- run/planted.rs
fn run() {
    crate::exported!(); //~ observe/span.rs
    textual!(); //~ observe/span.rs
}
",
    );
}

#[test]
fn a_module_in_a_file_of_another_name_and_one_of_two_by_cfg_are_followed() {
    is_caught(
        r#"
//- run/mod.rs
#[path = "elsewhere/moved.rs"]
pub mod planted;
#[cfg_attr(loom, path = "model.rs")]
mod table;
mod inline {
    mod deep;
}
//- run/elsewhere/moved.rs
mod beside;
use crate::observe::open; //~ observe/span.rs
//- run/elsewhere/beside.rs
use crate::observe::open; //~ observe/span.rs
//- run/model.rs
use crate::observe::open; //~ observe/span.rs
//- run/table.rs
use crate::observe::open; //~ observe/span.rs
//- run/inline/deep.rs
use super::super::super::observe::open; //~ observe/span.rs
"#,
    );
}

#[test]
fn an_item_of_lib_is_not_for_any_folder() {
    is_caught("use crate::in_lib; //~ lib.rs");
}

#[test]
fn a_feature_does_not_import_another() {
    is_caught(
        "
//- health/mod.rs
use crate::testing::Domain; //~ testing/mod.rs
pub struct Check;
//- testing/mod.rs
use crate::base::Clock;
pub struct Domain;
",
    );
    is_caught(
        "
//- testing/mod.rs
use crate::health::Check; //~ health/mod.rs
pub struct Domain;
",
    );
}

#[test]
fn a_layer_does_not_import_a_feature() {
    is_caught("use crate::health::Check; //~ health/mod.rs");
}

#[test]
fn product_code_does_not_name_what_is_for_expansions() {
    let sources = house("use crate::__private::Span;");
    assert_eq!(
        messages_with(&sources, "__private"),
        "a path through `__private`, which is for expansions alone: name the item where it is defined\n    \
         run/planted.rs:1  crate::__private::Span"
    );
}

#[test]
fn a_macro_for_users_may_name_what_is_for_expansions() {
    is_allowed("#[macro_export] macro_rules! site { () => { $crate::__private::Span } }");
}

#[test]
fn a_macro_for_users_that_the_product_expands_too_counts_for_its_file() {
    let sources = house(
        "
#[macro_export]
macro_rules! site {
    () => { $crate::__private::Span };
}
fn run() {
    crate::site!();
}
",
    );
    let line = "run/planted.rs:3  crate::__private::Span";
    assert!(messages_with(&sources, "__private").ends_with(line));
    assert!(messages_with(&sources, "against the order").contains(line));
}

#[test]
fn test_code_visibilities_links_and_texts_are_not_imports() {
    is_allowed(
        r#"
//! [`crate::observe::Span`]
/// [`crate::observe::Span`]
pub(in crate::run) struct Run;
const TEXT: &str = "crate::observe::Span";
#[cfg(test)]
mod tests {
    use crate::observe::Span;
}
#[cfg(all(test, loom))]
use crate::observe::Span;
impl Run {
    #[cfg(test)]
    fn open() {
        crate::observe::open();
    }
}
"#,
    );
}

#[test]
fn a_path_that_leads_nowhere_is_not_passed_over() {
    let sources = house("use crate::run::missing;");
    assert!(messages_with(&sources, "cannot follow").ends_with("run/planted.rs:1  crate::run::missing"));
}

#[test]
fn a_file_in_no_folder_of_the_order_is_reported() {
    let sources = house("//- run/mod.rs\npub mod planted;\n//- lib.rs\nmod run;\nmod other;\n//- other.rs\n");
    assert!(messages_with(&sources, "in no folder of the order").contains("other.rs"));
}

#[test]
fn a_file_that_no_mod_item_names_is_reported_unless_it_is_for_tests() {
    let sources = house(
        "
//- run/mod.rs
pub mod planted;
#[cfg(test)]
mod tests;
generate! {
    mod hidden;
}
//- run/tests.rs
mod deep;
//- run/tests/deep.rs
//- run/hidden.rs
",
    );
    assert!(messages_with(&sources, "no `mod` item names").ends_with("\n    run/hidden.rs  "));
}

#[test]
fn base_names_no_other_crate() {
    let sources = house("//- base/mod.rs\nuse std::fmt;\nuse tracing::Span;\npub struct Clock(u64);\n");
    assert!(messages_with(&sources, "std alone").ends_with("base/mod.rs:2  tracing::Span"));
    let sources =
        house("//- base/mod.rs\npub struct Clock;\nfn now() { u64::MAX; Clock::new(); tracing::warn!(); }\n");
    assert!(messages_with(&sources, "std alone").ends_with("base/mod.rs:2  tracing::warn"));
}

#[test]
fn a_circle_of_folders_is_caught() {
    let sources = house(
        "
//- run/planted.rs
use crate::observe::Span;
//- observe/span.rs
use crate::run::planted;
pub struct Span;
pub fn open() {}
",
    );
    assert_eq!(
        messages_with(&sources, "circle"),
        "a circle of folders: observe/, run/: cut the arrows against the order\n    \
         run/planted.rs:1  crate::observe::Span → observe/span.rs  (observe is not below run)"
    );
}

#[test]
fn a_circle_of_a_folder_with_a_room_in_it_is_caught() {
    is_caught(
        "
//- run/mod.rs
pub mod planted;
pub mod room;
//- run/planted.rs
use super::room::deep::Deep; //~ run/room/deep.rs
pub struct Planted;
//- run/room.rs
pub mod deep;
//- run/room/deep.rs
use crate::run::planted::Planted; //~ run/planted.rs
pub struct Deep;
",
    );
}

/// Returns a crate whose folder `run` has this number of files. Two of them import each other.
fn circle_among(files: usize) -> Sources {
    let mut sources = house("use super::one::One;");
    let mut modules = String::from("pub mod planted;\npub mod one;\n");
    sources.add("run/one.rs", "use super::planted;\npub struct One;\n");
    for file in 3..files {
        modules.push_str(&format!("mod file{file};\n"));
        sources.add(&format!("run/file{file}.rs"), "");
    }
    sources.add("run/mod.rs", &modules);
    sources
}

#[test]
fn a_circle_in_a_folder_of_more_than_six_files_is_caught() {
    let expected = [("run/one.rs", "run/planted.rs"), ("run/planted.rs", "run/one.rs")];
    let expected: Caught =
        expected.iter().map(|(from, to)| ((*from).to_owned(), 1, (*to).to_owned())).collect();
    assert_eq!(caught(&circle_among(7)), expected);
    assert_eq!(caught(&circle_among(6)), Caught::new());
}

#[test]
fn the_arrows_that_it_takes_least_to_cut_are_marked() {
    let mut sources = circle_among(7);
    sources.add("run/planted.rs", "use super::file3::Three;\nuse super::one::One;\npub struct Planted;\n");
    sources.add("run/one.rs", "use super::file3::Three;\npub struct One;\n");
    sources.add("run/file3.rs", "use super::planted::Planted;\npub struct Three;\n");
    let message = messages_with(&sources, "a circle of files");
    let cut: Vec<&str> = message.lines().filter(|line| line.ends_with("(cut)")).map(str::trim).collect();
    assert_eq!(cut, ["run/file3.rs:1  super::planted::Planted → run/planted.rs  (cut)"]);
}

#[test]
fn a_recursion_is_allowed_by_the_names_of_its_files_and_only_while_it_exists() {
    const LISTED: &[Recursion] =
        &[Recursion { files: &["run/one.rs", "run/planted.rs"], reason: "each has the other in a field" }];
    const MORE: &[Recursion] =
        &[Recursion { files: &["run/file3.rs", "run/one.rs", "run/planted.rs"], reason: "" }];
    let violations = |sources: &Sources, recursions| {
        messages(&House::new(sources, &BTreeMap::new()).allowing(recursions).violations())
    };
    assert_eq!(violations(&circle_among(7), LISTED), "");
    let more = violations(&circle_among(7), MORE);
    assert!(more.contains("a circle of files") && more.contains("listed and does not exist"), "{more}");
    assert!(violations(&house(""), LISTED).contains("listed and does not exist"));
}

#[test]
fn a_folder_of_more_than_fifteen_files_is_caught() {
    let with = |files: usize| {
        let mut sources = house("");
        let modules: Vec<String> = (2..files).map(|file| format!("mod file{file};")).collect();
        for file in 2..files {
            sources.add(&format!("run/file{file}.rs"), "");
        }
        sources.add("run/mod.rs", &format!("pub mod planted;\n{}", modules.join("\n")));
        messages_with(&sources, "make rooms")
    };
    assert!(with(16).starts_with("a folder with 16 files") && with(16).contains("run/"));
    assert_eq!(with(15), "");
}

#[test]
fn a_folder_of_more_than_2500_lines_is_caught() {
    let with = |lines: usize| messages_with(&house(&"\n//".repeat(lines)[1..]), "make rooms");
    assert!(with(2_500).contains("2501 lines"));
    assert_eq!(with(2_499), "");
}

#[test]
fn more_than_twenty_cfgs_of_features_in_the_layers_are_caught() {
    let with = |cfgs: usize| {
        let planted = format!(
            "{}fn run() {{ if cfg!(feature = \"health\") {{}} }}",
            "#[cfg(feature = \"testing\")]\nfn run() {}\n".repeat(cfgs - 1)
        );
        messages_with(&house(&planted), "more than 20 times")
    };
    assert!(with(21).contains("run/planted.rs:1 "));
    assert_eq!(with(20), "");
}
