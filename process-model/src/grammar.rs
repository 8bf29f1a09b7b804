//! The grammars of the values in attributes. The macros and the decoder of records call the same functions, so both
//! accept the same values. The grammar of durations is in [`crate::duration`]. The place of a value in the source
//! does not belong here.
//!
//! A [`GrammarError`] has a problem, for example "invalid id `PlaceOrder`", and a help with the expected form and an
//! example.

use std::fmt;
use std::str::FromStr;

/// The maximum length of an id, in bytes.
pub const MAX_ID: usize = 64;

/// The reason why a value is invalid, and advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrammarError {
    problem: String,
    help: String,
    /// The expected form and an example of it, if the help consists of these.
    example: Option<(String, String)>,
}

impl GrammarError {
    pub(crate) fn new(problem: impl Into<String>, help: impl Into<String>) -> Self {
        GrammarError { problem: problem.into(), help: help.into(), example: None }
    }

    /// Creates an error whose help is the expected form with an example.
    pub(crate) fn with_example(problem: String, form: impl Into<String>, example: impl Into<String>) -> Self {
        let (form, example) = (form.into(), example.into());
        let help = format!("{form}, for example `{example}`");
        GrammarError { problem, help, example: Some((form, example)) }
    }

    /// Returns the problem: the value and what is wrong with it.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Returns the advice: the expected form, mostly with an example.
    pub fn help(&self) -> &str {
        &self.help
    }

    /// Returns the expected form and the example, which are parts of the advice. Returns `None` without an example.
    pub fn example(&self) -> Option<(&str, &str)> {
        self.example.as_ref().map(|(form, example)| (form.as_str(), example.as_str()))
    }
}

impl fmt::Display for GrammarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.help)
    }
}

impl std::error::Error for GrammarError {}

/// Accepts an id, which matches `[a-z][a-z0-9_]*` and has at most [`MAX_ID`] bytes.
///
/// # Errors
/// Returns an error for any other text. Unless the text is too long, the error has an example: a similar valid id if
/// one can be derived, otherwise `place_order`.
pub fn check_id(id: &str) -> Result<(), GrammarError> {
    check_name(id, "id")
}

/// Accepts a text in the form of an id. Error messages call it `noun`.
fn check_name(id: &str, noun: &str) -> Result<(), GrammarError> {
    let starts = id.starts_with(|c: char| c.is_ascii_lowercase());
    let continues = id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if starts && continues && id.len() <= MAX_ID {
        return Ok(());
    }
    let problem = if id.is_empty() {
        format!("invalid {noun}: it is empty")
    } else if id.len() > MAX_ID {
        format!("invalid {noun}: it has {} bytes, and at most {MAX_ID} are allowed", id.len())
    } else {
        format!("invalid {noun} `{id}`")
    };
    if id.len() > MAX_ID {
        let help = format!("use at most {MAX_ID} lower-case letters, digits and `_`, starting with a letter");
        return Err(GrammarError::new(problem, help));
    }
    let proposal = proposed_id(id);
    let example = if is_proposable(&proposal) { &proposal } else { "place_order" };
    let form = "use lower-case letters, digits and `_`, starting with a letter";
    Err(GrammarError::with_example(problem, form, example))
}

/// The names that this toolkit or a telemetry convention already uses. A context value is also a Sentry tag, so the
/// names of all other tags must be here.
const RESERVED_CONTEXT_KEYS: [&str; 7] =
    ["critical_process", "error", "otel", "code", "process_id", "process_version", "process_outcome"];

/// Accepts the name of a context key, which is an id that is not reserved. The reserved names are `critical_process`,
/// `error`, `otel`, `code`, and the names of a run's Sentry tags.
///
/// # Errors
/// Returns an error for a text that is not an id, and for a reserved name.
pub fn check_context_key(key: &str) -> Result<(), GrammarError> {
    check_name(key, "context key")?;
    if RESERVED_CONTEXT_KEYS.contains(&key) {
        return Err(GrammarError::with_example(
            format!("invalid context key `{key}`: the name is reserved for telemetry"),
            "use a name from the business domain",
            format!("order_{key}"),
        ));
    }
    Ok(())
}

fn is_proposable(id: &str) -> bool {
    id.len() <= MAX_ID && id.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Turns `PlaceOrder`, `place-order` and `Place order` into `place_order`.
fn proposed_id(id: &str) -> String {
    let mut proposal = String::new();
    let mut after_lower = false;
    for c in id.chars() {
        if c.is_ascii_alphanumeric() {
            if c.is_ascii_uppercase() && after_lower {
                proposal.push('_');
            }
            after_lower = !c.is_ascii_uppercase();
            proposal.push(c.to_ascii_lowercase());
        } else {
            after_lower = false;
            if !proposal.is_empty() && !proposal.ends_with('_') {
                proposal.push('_');
            }
        }
    }
    proposal.trim_end_matches('_').to_owned()
}

/// Returns the default name of a process or stage, for example "Place order" for `place_order`.
pub fn name_from_id(id: &str) -> String {
    let words = id.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or(String::new(), |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// Accepts a semantic version (semver.org 2.0.0).
///
/// # Errors
/// Returns an error for any other text. For a text such as `2`, `2.1` or `v2.1.0`, the example in the error is the
/// version that is probably meant.
pub fn check_version(version: &str) -> Result<(), GrammarError> {
    let Err(error) = semver::Version::parse(version) else {
        return Ok(());
    };
    let bare = version.trim().trim_start_matches(['v', 'V']);
    let proposal = ["", ".0", ".0.0"]
        .iter()
        .map(|rest| format!("{bare}{rest}"))
        .find(|proposal| semver::Version::parse(proposal).is_ok());
    let example = proposal.as_deref().unwrap_or("1.0.0");
    Err(GrammarError::with_example(
        format!("invalid version `{version}`: {error}"),
        "use a semantic version of major, minor and patch",
        example,
    ))
}

/// The percentage of runs that must be good. It is between 0 and 100, both excluded, and has at most six decimals. It
/// is stored without rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Objective(u32);

impl Objective {
    const DECIMALS: usize = 6;
    const SCALE: u32 = 10u32.pow(Self::DECIMALS as u32);

    /// Returns the objective as a ratio, for example 0.999 for 99.9.
    pub fn as_ratio(self) -> f64 {
        f64::from(self.0) / f64::from(100 * Self::SCALE)
    }

    /// Returns the share of runs that may be bad, for example 0.001 for 99.9.
    pub fn error_budget(self) -> f64 {
        f64::from(100 * Self::SCALE - self.0) / f64::from(100 * Self::SCALE)
    }
}

impl FromStr for Objective {
    type Err = GrammarError;

    /// Parses a percentage, for example `99.9`.
    fn from_str(text: &str) -> Result<Objective, GrammarError> {
        let invalid = |reason| {
            let help = "write the percentage of runs that must be good, for example `99.9`";
            GrammarError::new(format!("invalid objective `{text}`: {reason}"), help)
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return Err(invalid("it must be a number between 0 and 100"));
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > Self::DECIMALS {
            return Err(invalid("it must have at most six decimals"));
        }
        let scaled = format!("{whole}{fraction:0<width$}", width = Self::DECIMALS).parse::<u32>().ok();
        match scaled.filter(|&scaled| scaled > 0 && scaled < 100 * Self::SCALE) {
            Some(scaled) => Ok(Objective(scaled)),
            None => Err(invalid("it must be between 0 and 100 percent, both excluded")),
        }
    }
}

impl Default for Objective {
    fn default() -> Self {
        Objective(99_900_000)
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / Self::SCALE, self.0 % Self::SCALE);
        let fraction = format!("{fraction:06}");
        let fraction = fraction.trim_end_matches('0');
        let dot = if fraction.is_empty() { "" } else { "." };
        f.pad(&format!("{whole}{dot}{fraction}"))
    }
}

/// Defines an enum with one variant for each word that a value can be.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $noun:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// The words, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// Returns the word of this variant.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }
        }

        impl FromStr for $name {
            type Err = GrammarError;

            /// Parses one of the words.
            fn from_str(text: &str) -> Result<Self, GrammarError> {
                match text {
                    $($word => Ok($name::$variant),)+
                    _ => Err(unknown_word(text, $noun, Self::WORDS)),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

fn unknown_word(text: &str, noun: &str, words: &[&str]) -> GrammarError {
    let list = words.join("`, `");
    let help = match crate::nearest(text, words.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? valid values are `{list}`"),
        None => format!("valid values are `{list}`"),
    };
    GrammarError::new(format!("invalid {noun} `{text}`"), help)
}

words! {
    /// The harm that a failure of the process does.
    Criticality, "criticality" {
        /// The organisation stops.
        Critical = "critical",
        /// Many users are affected.
        #[default]
        High = "high",
        /// Some users are affected.
        Medium = "medium",
        /// No one notices on the same day.
        Low = "low",
    }
}

words! {
    /// The destination of the texts of errors and panics.
    ErrorText, "error-text destination" {
        /// Sentry, or standard error without a Sentry client.
        #[default]
        Sentry = "sentry",
        /// The same destination as with `Sentry`, and also the span.
        Everywhere = "everywhere",
        /// No destination.
        Never = "never",
    }
}

words! {
    /// The shape of a run: the call of the function, or the future that the function returns.
    ///
    /// A future can be stopped while it waits; a call cannot.
    Shape, "shape" {
        /// A run is a call.
        #[default]
        Call = "call",
        /// A run is a future. The variant is not called `Future`, because rustc would then print
        /// `std::future::Future` in full in the errors of every crate that uses this one.
        Awaited = "future",
        /// The compiler decides by the return type whether a run is a call or a future. The tokens of the type do not
        /// show whether the type is an alias of a boxed future.
        ByType = "by_type",
    }
}
