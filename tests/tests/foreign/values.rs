//! Hostile values that the application itself passes to functions of context: their `Display` or `to_value` panics,
//! fails, or never ends. No panic reaches the caller, and a value costs its limit.

use std::fmt;

use process_runtime::context::{ContextValue, HASH_KEY_VARIABLE, Scope, Value, hash, mask, truncate};
use process_runtime::testing::Domain;
use process_tests::isolated::child;

use super::innocent;

struct Writes(fn(&mut fmt::Formatter<'_>) -> fmt::Result);

impl fmt::Display for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

const ENDLESS: Writes = Writes(|f| {
    loop {
        f.write_str("and on ")?;
    }
});
const FAILING: Writes = Writes(|f| f.write_str("a long enough half").and(Err(fmt::Error)));
const PANICKING: Writes = Writes(|f| {
    f.write_str("a long enough half")?;
    panic!("in Display")
});

#[test]
fn a_hostile_value_is_truncated_and_masked() {
    assert_eq!(truncate(ENDLESS, 9), "and on an…");
    assert_eq!(truncate(FAILING, 99), "a long enough half…");
    assert_eq!(truncate(PANICKING, 99), "a long enough half[its `Display` panicked]");
    for value in [ENDLESS, FAILING, PANICKING] {
        assert_eq!(mask(value), "****");
    }
    assert_eq!(mask("x".repeat(64 << 10) + "1234"), "****");
    assert_eq!(mask("x".repeat(1 << 10) + "1234"), "****1234");
}

#[test]
fn a_hostile_value_is_hashed() {
    let output = child("values::a_hostile_value_is_hashed_in_a_child").env(HASH_KEY_VARIABLE, "key").output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "child of a_hostile_value_is_hashed"]
fn a_hostile_value_is_hashed_in_a_child() {
    assert_eq!(hash("a").len(), 32);
    assert_eq!(hash("a".repeat(64 << 10)).len(), 32);
    assert_eq!(hash(ENDLESS), "[too long]");
    assert_eq!(hash(FAILING), "[its `Display` failed]");
    assert_eq!(hash(PANICKING), "[its `Display` panicked]");
}

struct Hostile;

impl ContextValue for Hostile {
    fn to_value(&self) -> Option<Value> {
        panic!("in to_value")
    }
}

#[test]
fn a_value_that_panics_is_not_set() {
    let log = process_tests::sink::Log::default();
    let domain = Domain::builder().sink(std::sync::Arc::new(log.clone())).build();
    domain.call(|| {
        Scope::new().set("company", 7).set("hostile", Hostile).run(|| assert_eq!(innocent(1), 1));
    });
    let entry = &log.entries()[0];
    assert_eq!(entry.context, [("company", "7".to_owned()), ("n", "1".to_owned())]);
}
