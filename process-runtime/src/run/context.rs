//! Values of business context: their types, the functions that make a value safe to record, and the names that the
//! program declares. Scopes must not go in here; they are in `scope`.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::base::lock::lock;

/// A recorded value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A Boolean.
    Bool(bool),
    /// An integer.
    I64(i64),
    /// An integer that is too large for `i64`.
    U64(u64),
    /// A floating-point number.
    F64(f64),
    /// The text of any other value.
    Text(Box<str>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(value) => value.fmt(f),
            Value::I64(value) => value.fmt(f),
            Value::U64(value) => value.fmt(f),
            Value::F64(value) => value.fmt(f),
            Value::Text(value) => value.fmt(f),
        }
    }
}

/// A type whose values can be recorded without conversion.
///
/// Every type that implements `Display` can be recorded too, as text. `None` is not recorded.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded as business context",
    label = "not a number, a Boolean, a string or a type that implements `Display`",
    note = "write `?` before the value to record its `Debug` form, or record a part of it: `key = value.part`"
)]
pub trait ContextValue {
    /// Returns the value to record; `None` if there is nothing to record.
    fn to_value(&self) -> Option<Value>;
}

macro_rules! numbers {
    ($($variant:ident: $wide:ty = $($number:ty),+;)+) => {$($(
        impl ContextValue for $number {
            fn to_value(&self) -> Option<Value> {
                Some(Value::$variant(<$wide>::from(*self)))
            }
        }
    )+)+};
}

numbers! {
    Bool: bool = bool;
    I64: i64 = i8, i16, i32, i64, u8, u16, u32;
    F64: f64 = f32, f64;
}

impl ContextValue for isize {
    fn to_value(&self) -> Option<Value> {
        Some(Value::I64(*self as i64))
    }
}

impl ContextValue for u64 {
    fn to_value(&self) -> Option<Value> {
        // Integers of OpenTelemetry are signed.
        Some(i64::try_from(*self).map_or(Value::U64(*self), Value::I64))
    }
}

impl ContextValue for usize {
    fn to_value(&self) -> Option<Value> {
        (*self as u64).to_value()
    }
}

impl ContextValue for str {
    fn to_value(&self) -> Option<Value> {
        Some(Value::Text(self.into()))
    }
}

impl ContextValue for String {
    fn to_value(&self) -> Option<Value> {
        self.as_str().to_value()
    }
}

impl ContextValue for Value {
    fn to_value(&self) -> Option<Value> {
        Some(self.clone())
    }
}

impl<T: ContextValue> ContextValue for Option<T> {
    fn to_value(&self) -> Option<Value> {
        self.as_ref()?.to_value()
    }
}

macro_rules! pointers {
    ($($pointer:ty),+) => {$(
        impl<T: ContextValue + ?Sized> ContextValue for $pointer {
            fn to_value(&self) -> Option<Value> {
                (**self).to_value()
            }
        }
    )+};
}

pointers!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

impl<T: ContextValue + ToOwned + ?Sized> ContextValue for Cow<'_, T> {
    fn to_value(&self) -> Option<Value> {
        (**self).to_value()
    }
}

/// Returns the first `most` characters of a value, followed by an ellipsis if the value is longer.
///
/// ```
/// # use process_runtime::context::truncate;
/// assert_eq!(truncate("déjà vu", 4), "déjà…");
/// assert_eq!(truncate("short", 100), "short");
/// ```
pub fn truncate(value: impl fmt::Display, most: usize) -> String {
    let mut text = value.to_string();
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Returns `****` and the last four characters of a value. For a value of fewer than twelve characters it returns
/// `****` alone.
///
/// ```
/// # use process_runtime::context::mask;
/// assert_eq!(mask("4111111111111111"), "****1111");
/// assert_eq!(mask("secret"), "****");
/// ```
pub fn mask(value: impl fmt::Display) -> String {
    let text = value.to_string();
    let shown = match text.chars().count() {
        12.. => text.char_indices().rev().nth(3).map_or("", |(start, _)| &text[start..]),
        _ => "",
    };
    format!("****{shown}")
}

/// The environment variable that holds the key of [`hash`].
pub const HASH_KEY_VARIABLE: &str = "CRITICAL_PROCESS_HASH_KEY";

/// Returns a pseudonym of a value: the first 16 bytes, as hexadecimal digits, of its HMAC-SHA-256 (RFC 2104) with the
/// key in the environment variable [`HASH_KEY_VARIABLE`].
///
/// Without a key it returns `[unkeyed]`, because a hash without a key is easily reversed, for example that of an e-mail
/// address. The missing key is not reported elsewhere. The variable is read once.
pub fn hash(value: impl fmt::Display) -> String {
    static KEY: OnceLock<Option<String>> = OnceLock::new();
    let key = KEY.get_or_init(|| std::env::var(HASH_KEY_VARIABLE).ok().filter(|key| !key.is_empty()));
    match key {
        Some(key) => keyed_hash(key, &value.to_string()),
        None => "[unkeyed]".to_owned(),
    }
}

fn keyed_hash(key: &str, value: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC accepts a key of any length");
    mac.update(value.as_bytes());
    let bytes = mac.finalize().into_bytes();
    bytes[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Named values that are being collected for [`Values`].
pub(crate) type NamedValues = Vec<(&'static str, Value)>;

/// Named values, shared by all scopes that have the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(Option<Arc<NamedValues>>);

impl Values {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().flat_map(|values| values.iter()).map(|(name, value)| (*name, value))
    }

    /// Returns these values with those of `over`, which replace values of the same name.
    pub(crate) fn with(self, over: NamedValues) -> Values {
        if over.is_empty() {
            return self;
        }
        let kept = self.iter().filter(|(name, _)| over.iter().all(|(other, _)| other != name));
        let mut all: Vec<_> = kept.map(|(name, value)| (name, value.clone())).collect();
        if all.is_empty() {
            return Values::of(over);
        }
        all.extend(over);
        Values::of(all)
    }

    fn of(values: NamedValues) -> Values {
        let mut spare = SPARE.try_with(Cell::take).ok().flatten().unwrap_or_default();
        // This always succeeds: `let_go` keeps only memory without another owner.
        if let Some(room) = Arc::get_mut(&mut spare) {
            *room = values;
        }
        Values(Some(spare))
    }

    /// Returns an empty list for new values, in the memory that the thread keeps for them.
    pub(crate) fn room() -> NamedValues {
        let Some(mut spare) = SPARE.try_with(Cell::take).ok().flatten() else { return Vec::new() };
        let room = Arc::get_mut(&mut spare).map(std::mem::take).unwrap_or_default();
        let _ = SPARE.try_with(|own| own.set(Some(spare)));
        room
    }

    /// Drops the values. Their memory is kept for the thread's next values, unless they have another owner.
    pub(crate) fn let_go(self) {
        if let Some(mut values) = self.0
            && let Some(room) = Arc::get_mut(&mut values)
        {
            room.clear();
            let _ = SPARE.try_with(|spare| spare.set(Some(values)));
        }
    }
}

thread_local! {
    /// Memory for the next values of this thread.
    static SPARE: Cell<Option<Arc<NamedValues>>> = const { Cell::new(None) };
}

static DECLARED: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

/// Declares names that only an outer scope sets, such as an HTTP layer's `request_id`, so that the spans of runs have
/// fields for them.
///
/// Sinks and Sentry receive these values in any case. The names in any `context(…)` of the program, including
/// `inherit(…)`, need no declaration. Call this function before [`Install`](crate::Install) starts and before the first
/// run, because both fix the fields of spans.
pub fn declare(names: impl IntoIterator<Item = &'static str>) {
    let mut declared = lock(&DECLARED);
    for name in names {
        if !declared.contains(&name) {
            declared.push(name);
        }
    }
}

/// The name of a value that every run of a health check inherits.
#[allow(dead_code, reason = "health checks set it and spans have a field for it; a program may have neither")]
pub(crate) const SYNTHETIC: &str = "critical_process.synthetic";

/// The names that features set, for which every span has a field.
#[cfg(feature = "tracing")]
pub(crate) const RESERVED: &[&str] = if cfg!(feature = "health") { &[SYNTHETIC] } else { &[] };

/// Returns every name that can appear in a context, sorted.
#[cfg(feature = "tracing")]
pub(crate) fn names() -> Vec<&'static str> {
    let units = crate::catalog::registry::all().map(|process| process.common());
    let stages = crate::catalog::registry::stages().map(|stage| stage.common());
    let keys = units.chain(stages).flat_map(|common| &common.context).map(|key| key.name.as_str());
    let declared = lock(&DECLARED);
    let mut names: Vec<_> = keys.chain(declared.iter().copied()).collect();
    names.extend(RESERVED);
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_hmac_sha_256_of_rfc_4231() {
        // Test case 2 of RFC 4231.
        assert_eq!(keyed_hash("Jefe", "what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c7");
    }
}
