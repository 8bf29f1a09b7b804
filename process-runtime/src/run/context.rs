//! Values of business context: their types, the functions that make a value safe to record, and the names that the
//! program declares. Scopes do not belong here; they are in `scope`.

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::base::foreign::guard::attempt;
use crate::base::foreign::limits;
use crate::base::foreign::text::{bounded, cut, cut_again};
use crate::base::lock::lock;
use crate::base::notices;

/// A value of business context, as it is recorded.
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

impl Value {
    /// Returns the text of a value, cut at the limit for context. The value is stopped at the limit, so it costs the
    /// limit and not its size.
    pub(crate) fn text(value: &dyn fmt::Display) -> Value {
        Value::Text(bounded(value, limits::context_value()).into())
    }

    /// Cuts the value at the limit for context if it is a longer text.
    #[inline]
    pub(crate) fn bound(&mut self) {
        if let Value::Text(text) = self
            && text.len() > limits::context_value()
        {
            *text = cut_again(text, limits::context_value()).into();
        }
    }
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

/// A type that defines how its values are recorded.
///
/// A value of any other type is recorded as text if the type implements `Display`. `None` is not recorded.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded as business context",
    label = "not a number, a Boolean, a string or a type that implements `Display`",
    note = "record a part of it, `key = value.part`, or its `Debug` form, `key = ?value`"
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
        // OpenTelemetry has only signed integers.
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
        Some(Value::Text(cut(self, limits::context_value()).into()))
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

/// The text instead of a value, or of the rest of a value, whose `Display` panics.
const PANICKED: &str = "[its `Display` panicked]";
/// The maximum number of bytes of a value that is read as a whole.
const LONGEST: usize = 64 << 10;

/// Returns the first `most` characters of a value, followed by an ellipsis if the value is longer. If its `Display`
/// panics, a remark about this follows what it wrote until then.
///
/// ```
/// # use process_runtime::context::truncate;
/// assert_eq!(truncate("déjà vu", 4), "déjà…");
/// assert_eq!(truncate("short", 100), "short");
/// ```
pub fn truncate(value: impl fmt::Display, most: usize) -> String {
    let mut kept = First { text: String::new(), room: most };
    // The writer fails as soon as a character does not fit, so a long value is not formatted further.
    match attempt(|| write!(kept, "{value}")) {
        Ok(Ok(())) => {}
        Ok(Err(_)) => kept.text.push('…'),
        Err(_) => kept.text.push_str(PANICKED),
    }
    kept.text
}

/// Keeps the first characters that are written, and fails at the next one.
struct First {
    text: String,
    room: usize,
}

impl fmt::Write for First {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let end = more.char_indices().nth(self.room).map_or(more.len(), |(end, _)| end);
        self.text.push_str(&more[..end]);
        self.room -= more[..end].chars().count();
        if end < more.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Returns `****` and the last four characters of a value. If the value has fewer than twelve characters or more than
/// 64 KiB, or if its `Display` fails or panics, returns only `****`.
///
/// ```
/// # use process_runtime::context::mask;
/// assert_eq!(mask("4111111111111111"), "****1111");
/// assert_eq!(mask("secret"), "****");
/// ```
pub fn mask(value: impl fmt::Display) -> String {
    let mut kept = Last::default();
    let is_whole = matches!(attempt(|| write!(kept, "{value}")), Ok(Ok(())));
    let shown = if is_whole && kept.count >= 12 { kept.last.iter().collect() } else { String::new() };
    format!("****{shown}")
}

/// Keeps the last four characters that are written, and counts all. Fails if they are more than [`LONGEST`].
#[derive(Default)]
struct Last {
    last: [char; 4],
    count: u64,
    bytes: usize,
}

impl fmt::Write for Last {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        self.bytes = self.bytes.saturating_add(more.len());
        if self.bytes > LONGEST {
            return Err(fmt::Error);
        }
        for letter in more.chars() {
            self.last.rotate_left(1);
            self.last[3] = letter;
            self.count += 1;
        }
        Ok(())
    }
}

/// The environment variable that holds the key of [`hash`].
pub const HASH_KEY_VARIABLE: &str = "CRITICAL_PROCESS_HASH_KEY";

/// Returns a pseudonym of a value: the first 16 bytes of its HMAC-SHA-256 (RFC 2104), as hexadecimal digits. The key
/// is the text of the environment variable [`HASH_KEY_VARIABLE`].
///
/// If the variable is not set or is empty, the function returns `[unkeyed]`. A hash without a key would be easy to
/// reverse, for example the hash of an e-mail address. Nothing else reports the missing key. Spaces and line feeds
/// around the key are not part of it. A value that is not valid UTF-8, or has only spaces, is not a key; this is
/// reported once. The variable is read once, at the first call.
///
/// A value of more than 64 KiB is not hashed, and the function returns `[too long]`. If the `Display` of the value
/// fails or panics, the function returns a remark about this.
pub fn hash(value: impl fmt::Display) -> String {
    static KEY: OnceLock<Option<String>> = OnceLock::new();
    let key = KEY.get_or_init(|| match key_of(std::env::var_os(HASH_KEY_VARIABLE)) {
        Ok(key) => key,
        Err(problem) => {
            notices::once(format!(
                "invalid {HASH_KEY_VARIABLE}: {problem}; the variable is ignored, and hashed values are `[unkeyed]`"
            ));
            None
        }
    });
    match key {
        Some(key) => keyed_hash(key, &value),
        None => "[unkeyed]".to_owned(),
    }
}

/// Returns the key in the value of the variable.
fn key_of(value: Option<OsString>) -> Result<Option<String>, &'static str> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    let value = value.into_string().map_err(|_| "its value must be valid UTF-8")?;
    match value.trim() {
        "" => Err("its value must have a character that is not white space"),
        key => Ok(Some(key.to_owned())),
    }
}

fn keyed_hash(key: &str, value: &dyn fmt::Display) -> String {
    struct Hashed {
        mac: Hmac<Sha256>,
        bytes: usize,
    }
    impl fmt::Write for Hashed {
        fn write_str(&mut self, more: &str) -> fmt::Result {
            self.bytes = self.bytes.saturating_add(more.len());
            if self.bytes > LONGEST {
                return Err(fmt::Error);
            }
            self.mac.update(more.as_bytes());
            Ok(())
        }
    }
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return "[unkeyed]".to_owned() };
    let mut hashed = Hashed { mac, bytes: 0 };
    let written = attempt(|| write!(hashed, "{value}"));
    let problem = match written {
        _ if hashed.bytes > LONGEST => Some("[too long]"),
        Ok(Ok(())) => None,
        Ok(Err(_)) => Some("[its `Display` failed]"),
        Err(_) => Some(PANICKED),
    };
    if let Some(problem) = problem {
        return problem.to_owned();
    }
    let bytes = hashed.mac.finalize().into_bytes();
    bytes[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Named values that are being collected for [`Values`].
pub(crate) type NamedValues = Vec<(&'static str, Value)>;

/// Named values. Scopes with the same values share them, so they are not copied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(Option<Arc<NamedValues>>);

impl Values {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().flat_map(|values| values.iter()).map(|(name, value)| (*name, value))
    }

    /// Returns these values and those of `over`. A value of `over` replaces the value of the same name.
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
        // `get_mut` always succeeds, because `let_go` keeps memory only if the memory has no other owner.
        if let Some(room) = Arc::get_mut(&mut spare) {
            *room = values;
        }
        Values(Some(spare))
    }

    /// Returns an empty list for new values. If [`Values::let_go`] has kept memory for this thread, the list uses
    /// this memory.
    pub(crate) fn room() -> NamedValues {
        let Some(mut spare) = SPARE.try_with(Cell::take).ok().flatten() else { return Vec::new() };
        let room = Arc::get_mut(&mut spare).map(std::mem::take).unwrap_or_default();
        let _ = SPARE.try_with(|own| own.set(Some(spare)));
        room
    }

    /// Drops the values, and keeps their memory for the thread's next values. If the values have another owner, keeps
    /// nothing.
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

/// Declares the names of context values that only an outer scope sets, such as the `request_id` of an HTTP layer. The
/// spans of runs then have fields for these names.
///
/// Sinks and Sentry receive the values even if their names are not declared. Names in a `context(…)` of the program,
/// including `inherit(…)`, need no declaration. Call this function before [`Install`](crate::Install) starts and
/// before the first run, because the start and the first run fix the fields of spans.
pub fn declare(names: impl IntoIterator<Item = &'static str>) {
    // The iterator is foreign code, so it runs before the lock is taken.
    let names: Vec<_> = names.into_iter().collect();
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

/// The names of the values that features of this crate set. Every span has a field for each of them.
#[cfg(feature = "tracing")]
pub(crate) const RESERVED: &[&str] = if cfg!(feature = "health") { &[SYNTHETIC] } else { &[] };

/// Returns every context name that an attribute or [`declare`] declares or that is in [`RESERVED`], sorted.
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
        assert_eq!(keyed_hash("Jefe", &"what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c7");
    }

    #[test]
    fn spaces_around_a_key_are_not_part_of_it() {
        for value in ["key", " key ", "key\n", "\tkey\r\n"] {
            assert_eq!(key_of(Some(value.into())), Ok(Some("key".to_owned())), "{value:?}");
        }
        assert_eq!((key_of(None), key_of(Some("".into()))), (Ok(None), Ok(None)));
        assert!(key_of(Some(" \n".into())).is_err());
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStringExt as _;
            assert!(key_of(Some(OsString::from_vec(vec![0xff]))).is_err());
        }
    }
}
