//! The grammars of the attributes' values. The macros and the decoder call the same functions, so both accept the same
//! values. Nothing here knows where a value is written.
//!
//! An error has a problem, for example "invalid id `PlaceOrder`", and a help with the expected form and an example.

use std::fmt;
use std::time::Duration;

/// The longest id.
pub const MAX_ID: usize = 64;

/// The reason for which a value is refused, and advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrammarError {
    problem: String,
    help: String,
}

impl GrammarError {
    pub(crate) fn new(problem: impl Into<String>, help: impl Into<String>) -> Self {
        GrammarError { problem: problem.into(), help: help.into() }
    }

    /// Returns the problem: the value and what is wrong with it.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Returns the advice: the expected form, with an example.
    pub fn help(&self) -> &str {
        &self.help
    }
}

impl fmt::Display for GrammarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.help)
    }
}

impl std::error::Error for GrammarError {}

/// Accepts an id: `[a-z][a-z0-9_]*`, at most [`MAX_ID`] bytes.
///
/// # Errors
/// Returns an error for any other text, with a similar valid id as the example.
pub fn check_id(id: &str) -> Result<(), GrammarError> {
    let starts = id.starts_with(|c: char| c.is_ascii_lowercase());
    let continues = id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if starts && continues && id.len() <= MAX_ID {
        return Ok(());
    }
    let problem = if id.is_empty() {
        "invalid id: it is empty".to_owned()
    } else if id.len() > MAX_ID {
        format!("invalid id: it has {} bytes, and at most {MAX_ID} are allowed", id.len())
    } else {
        format!("invalid id `{id}`")
    };
    let proposal = proposed_id(id);
    let help = if id.len() > MAX_ID {
        format!("use at most {MAX_ID} lower-case letters, digits and `_`, starting with a letter")
    } else {
        let example = if check_id_quietly(&proposal) { &proposal } else { "place_order" };
        format!("use lower-case letters, digits and `_`, starting with a letter, for example `{example}`")
    };
    Err(GrammarError::new(problem, help))
}

/// Names that the toolkit or a convention of telemetry already uses.
const RESERVED_CONTEXT_KEYS: [&str; 7] =
    ["critical_process", "error", "otel", "code", "process_id", "process_version", "process_outcome"];

/// Accepts the name of a context key: an id that is not reserved. Reserved are `critical_process`, `error`, `otel`,
/// `code`, and the Sentry tags of a run.
///
/// # Errors
/// Returns an error for a text that is not an id, and for a reserved name.
pub fn check_context_key(key: &str) -> Result<(), GrammarError> {
    check_id(key)?;
    if RESERVED_CONTEXT_KEYS.contains(&key) {
        return Err(GrammarError::new(
            format!("invalid context key `{key}`: the name is reserved for telemetry"),
            format!("use a name from the business domain, for example `order_{key}`"),
        ));
    }
    Ok(())
}

fn check_id_quietly(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_ID && id.starts_with(|c: char| c.is_ascii_lowercase())
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

/// Returns the default name of a process or stage: "Place order" for `place_order`.
pub fn name_from_id(id: &str) -> String {
    let words = id.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or(String::new(), |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// Accepts a semantic version (semver.org 2.0.0).
///
/// # Errors
/// Returns an error for any other text. For `2`, `2.1` or `v2.1.0`, its example is the version that is probably meant.
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
    Err(GrammarError::new(
        format!("invalid version `{version}`: {error}"),
        format!("use a semantic version of major, minor and patch, for example `{example}`"),
    ))
}

/// The words for a kind of time in errors about it.
pub(crate) struct Noun {
    pub(crate) name: &'static str,
    /// What to write instead.
    pub(crate) help: &'static str,
    pub(crate) example: &'static str,
}

/// The longest time a good run may take: a whole number of milliseconds, more than zero.
///
/// Its text is one whole number and `ms`, `s`, `m` or `h`. The unit is required, because a bare `120` means seconds to
/// one reader and milliseconds to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sla(u64);

impl Sla {
    /// The longest SLA: a year of 365 days.
    pub const MAX: Sla = Sla(365 * 24 * 3_600_000);

    const UNITS: [(&'static str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

    /// From milliseconds; `None` for zero and for more than [`Sla::MAX`].
    pub const fn from_millis(millis: u64) -> Option<Sla> {
        if millis == 0 || millis > Sla::MAX.0 { None } else { Some(Sla(millis)) }
    }

    /// From seconds, of which there are some and less than a year.
    pub(crate) const fn seconds(seconds: u64) -> Sla {
        Sla(seconds * 1_000)
    }

    /// Reads `"120s"`.
    ///
    /// # Errors
    /// For anything else, with what was probably meant.
    pub fn parse(text: &str) -> Result<Sla, GrammarError> {
        const SLA: Noun =
            Noun { name: "SLA", help: "write the longest time that a good run may take", example: "120s" };
        Sla::parse_as(text, &SLA)
    }

    /// Reads a time that is written like an SLA and called otherwise.
    pub(crate) fn parse_as(text: &str, noun: &Noun) -> Result<Sla, GrammarError> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let factor = Self::UNITS.iter().find(|(name, _)| *name == unit && !number.is_empty());
        let Some(&(_, factor)) = factor else {
            return Err(Self::no_time(text, unit, noun));
        };
        let millis = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        match millis {
            Some(0) => Err(GrammarError::new(
                format!("invalid {} `{text}`: it must be more than zero", noun.name),
                noun.help,
            )),
            Some(millis) if millis <= Self::MAX.0 => Ok(Sla(millis)),
            _ => Err(GrammarError::new(
                format!("invalid {} `{text}`: it must not be longer than a year", noun.name),
                noun.help,
            )),
        }
    }

    /// Returns the error for a text that is not one number and one unit.
    fn no_time(text: &str, unit: &str, noun: &Noun) -> GrammarError {
        let closed: String = text.split_whitespace().collect();
        let reason = if closed.is_empty() {
            ": it is empty".to_owned()
        } else if unit.is_empty() {
            ": the unit is missing".to_owned()
        } else if closed != text && Self::parse(&closed).is_ok() {
            ": spaces are not allowed".to_owned()
        } else if Self::UNITS.iter().any(|(name, _)| *name == closed) {
            ": the number is missing".to_owned()
        } else if !closed.starts_with(|c: char| c.is_ascii_digit()) {
            String::new()
        } else if unit.starts_with(['.', ',', '_']) {
            ": the number must be whole and consist of digits".to_owned()
        } else if unit.contains(|c: char| c.is_ascii_digit()) {
            ": it has more than one number and unit".to_owned()
        } else {
            format!(": unknown unit `{}`", unit.trim())
        };
        let form = "use one whole number and `ms`, `s`, `m` or `h`";
        let help = match meant(text).and_then(|nanos| Self::nearest(text, nanos)) {
            Some((sla, Rounded::No)) => format!("{form}, for example `{sla}`"),
            Some((sla, Rounded::Up)) => format!("the smallest unit is `ms`, for example `{sla}`"),
            None => format!("{form}, for example `{}`", noun.example),
        };
        GrammarError::new(format!("invalid {} `{text}`{reason}", noun.name), help)
    }

    /// The text of the shortest SLA of at least `nanos`: in the unit of `text`, where its number is whole.
    fn nearest(text: &str, nanos: u64) -> Option<(String, Rounded)> {
        let sla = Sla::from_millis(nanos.div_ceil(NANOS_PER_MILLI))?;
        let number = text.trim().split(|c: char| !c.is_ascii_digit()).next()?;
        let whole = number.parse::<u64>().unwrap_or_default();
        let as_written = Self::UNITS.iter().find(|(_, factor)| whole.checked_mul(*factor) == Some(sla.0));
        let text = as_written.map_or_else(|| sla.to_string(), |(unit, _)| format!("{whole}{unit}"));
        Some((text, if nanos.is_multiple_of(NANOS_PER_MILLI) { Rounded::No } else { Rounded::Up }))
    }

    /// In milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// As a duration.
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// In seconds, as a histogram's boundary has it.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1_000.0
    }
}

impl fmt::Display for Sla {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &(unit, factor) =
            Self::UNITS.iter().rev().find(|(_, factor)| self.0.is_multiple_of(*factor)).expect("1 divides");
        f.pad(&format!("{}{unit}", self.0 / factor))
    }
}

const NANOS_PER_MILLI: u64 = 1_000_000;

/// Whether a proposed time is longer than the written one.
enum Rounded {
    No,
    Up,
}

/// Returns the nanoseconds that a person means by a text such as `1.5 s`, `1m30s` or `2 days`. Use it for proposals
/// only: it accepts more than the grammar of times.
fn meant(text: &str) -> Option<u64> {
    const UNITS: [(&[&str], f64); 8] = [
        (&["ns", "nano", "nanos", "nanosecond", "nanoseconds"], 1e0),
        (&["us", "\u{b5}s", "\u{3bc}s", "usec", "usecs", "micros", "microsecond", "microseconds"], 1e3),
        (&["ms", "msec", "msecs", "millis", "millisecond", "milliseconds"], 1e6),
        (&["s", "sec", "secs", "second", "seconds"], 1e9),
        (&["m", "min", "mins", "minute", "minutes"], 60e9),
        (&["h", "hr", "hrs", "hour", "hours"], 3_600e9),
        (&["d", "day", "days"], 86_400e9),
        (&["w", "week", "weeks"], 604_800e9),
    ];
    let text = text.to_lowercase().replace('_', "");
    let mut rest = text.trim();
    if rest.parse::<f64>().is_ok() {
        // A bare number is most often one of seconds.
        return meant(&format!("{rest}s"));
    }
    let mut nanos = 0.0;
    while !rest.is_empty() {
        let (number, after) = split_after(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split_after(after.trim_start(), char::is_alphabetic);
        let (_, factor) = UNITS.iter().find(|(names, _)| names.contains(&unit))?;
        nanos += number.parse::<f64>().ok()? * factor;
        rest = after.trim_start();
    }
    Some(nanos.round() as u64)
}

fn split_after(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// The percentage of runs that must be good: between 0 and 100, both excluded, with at most six decimals. It is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Objective(u32);

impl Objective {
    const DECIMALS: usize = 6;
    const SCALE: u32 = 10u32.pow(Self::DECIMALS as u32);

    /// Reads `99.9`.
    ///
    /// # Errors
    /// Returns an error for anything but a number between 0 and 100, both excluded, with at most six decimals.
    pub fn parse(text: &str) -> Result<Objective, GrammarError> {
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

    /// Returns the objective as a ratio: 0.999 for 99.9.
    pub fn as_ratio(self) -> f64 {
        f64::from(self.0) / f64::from(100 * Self::SCALE)
    }

    /// Returns the share of runs that may be bad: 0.001 for 99.9.
    pub fn error_budget(self) -> f64 {
        f64::from(100 * Self::SCALE - self.0) / f64::from(100 * Self::SCALE)
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

/// A closed set of bare words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// The words, in their order.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// Returns the word.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }

            pub(crate) fn from_name(text: &str) -> Option<Self> {
                match text { $($word => Some($name::$variant),)+ _ => None }
            }

            /// Reads one of the words.
            ///
            /// # Errors
            /// Returns an error for any other text, with the nearest word and the list of all words.
            pub fn parse(text: &str) -> Result<Self, GrammarError> {
                Self::from_name(text).ok_or_else(|| {
                    let list = Self::WORDS.join("`, `");
                    let help = match crate::nearest(text, Self::WORDS.iter().copied()) {
                        Some(near) => format!("did you mean `{near}`? valid values are `{list}`"),
                        None => format!("valid values are `{list}`"),
                    };
                    GrammarError::new(format!("invalid {} `{text}`", $what), help)
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
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
        /// No one notices today.
        Low = "low",
    }
}

words! {
    /// The destination of the texts of errors and panics.
    ErrorText, "destination of error text" {
        /// Sentry alone.
        #[default]
        Sentry = "sentry",
        /// Sentry and the span.
        Everywhere = "everywhere",
        /// No destination.
        Never = "never",
    }
}
