//! Durations in the form in which attributes write them. [`Millis`] is any duration, and [`Sla`] is the SLA of a
//! process or stage.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::grammar::GrammarError;

/// The words with which an error describes one kind of duration, for example an SLA.
pub(crate) struct Noun {
    pub(crate) name: &'static str,
    /// The advice for a duration that is too short or too long.
    pub(crate) help: &'static str,
    pub(crate) example: &'static str,
    /// The shortest duration that an error may propose.
    pub(crate) least: Millis,
    /// The longest duration that an error may propose.
    pub(crate) most: Millis,
}

/// A duration in whole milliseconds. It is more than zero and at most a year.
///
/// Its text is one whole number followed by `ms`, `s`, `m` or `h`. The unit is required, because a bare `120` means
/// seconds to one reader and milliseconds to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(u64);

impl Millis {
    /// The shortest duration.
    pub(crate) const MIN: Millis = Millis(1);

    /// The longest duration, which is a year of 365 days.
    pub const MAX: Millis = Millis(365 * 24 * 3_600_000);

    const UNITS: [(&'static str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

    /// Creates a duration from milliseconds. Returns `None` for zero and for more than [`Millis::MAX`].
    pub const fn new(millis: u64) -> Option<Millis> {
        if millis == 0 || millis > Millis::MAX.0 { None } else { Some(Millis(millis)) }
    }

    /// Creates a duration from seconds. Nothing is checked here: the caller must pass at least 1 and at most a year.
    pub(crate) const fn seconds(seconds: u64) -> Millis {
        Millis(seconds * 1_000)
    }

    /// Parses a duration. Error messages describe the duration with `noun`.
    pub(crate) fn parse_as(text: &str, noun: &Noun) -> Result<Millis, GrammarError> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let factor = Self::UNITS.iter().find(|(name, _)| *name == unit && !number.is_empty());
        let Some(&(_, factor)) = factor else {
            return Err(Self::malformed(text, unit, noun));
        };
        let millis = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        match millis {
            Some(0) => Err(GrammarError::new(
                format!("invalid {} `{text}`: it must be more than zero", noun.name),
                noun.help,
            )),
            Some(millis) if millis <= Self::MAX.0 => Ok(Millis(millis)),
            _ => Err(GrammarError::new(
                format!("invalid {} `{text}`: it must not be longer than a year", noun.name),
                noun.help,
            )),
        }
    }

    /// Returns the error for a text that is not one number and one unit.
    fn malformed(text: &str, unit: &str, noun: &Noun) -> GrammarError {
        let closed: String = text.split_whitespace().collect();
        let reason = if closed.is_empty() {
            ": it is empty".to_owned()
        } else if unit.is_empty() {
            ": the unit is missing".to_owned()
        } else if closed != text && Self::parse_as(&closed, noun).is_ok() {
            ": spaces are not allowed".to_owned()
        } else if Self::UNITS.iter().any(|(name, _)| *name == closed) {
            ": the number is missing".to_owned()
        } else if !closed.starts_with(|c: char| c.is_ascii_digit()) {
            String::new()
        } else if unit.starts_with(['.', ',', '_']) {
            ": the number must be whole and consist of digits".to_owned()
        } else if unit.contains(|c: char| c.is_ascii_digit()) {
            ": it must be one number and one unit".to_owned()
        } else {
            format!(": unknown unit `{}`", unit.trim())
        };
        let form = "use one whole number and `ms`, `s`, `m` or `h`";
        let (form, example) = match meant(text).and_then(|nanos| Self::nearest(text, nanos, noun)) {
            Some((proposal, Rounded::No)) => (form, proposal),
            Some((proposal, Rounded::Up)) => ("the smallest unit is `ms`", proposal),
            None => (form, noun.example.to_owned()),
        };
        GrammarError::with_example(format!("invalid {} `{text}`{reason}", noun.name), form, example)
    }

    /// Rounds `nanos` up to a duration in whole milliseconds. Returns the text of this duration, and whether it is
    /// longer than `nanos`. The text keeps the number in `text` if a unit allows that: the proposal for `120` is
    /// `120s` and not `2m`. Returns `None` if the duration is outside the limits of `noun`.
    fn nearest(text: &str, nanos: u64, noun: &Noun) -> Option<(String, Rounded)> {
        let millis = Millis::new(nanos.div_ceil(NANOS_PER_MILLI))?;
        if millis < noun.least || millis > noun.most {
            return None;
        }
        let number = text.trim().split(|c: char| !c.is_ascii_digit()).next()?;
        let whole = number.parse::<u64>().unwrap_or_default();
        let as_written = Self::UNITS.iter().find(|(_, factor)| whole.checked_mul(*factor) == Some(millis.0));
        let text = as_written.map_or_else(|| millis.to_string(), |(unit, _)| format!("{whole}{unit}"));
        Some((text, if nanos.is_multiple_of(NANOS_PER_MILLI) { Rounded::No } else { Rounded::Up }))
    }

    /// Returns the number of milliseconds.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the duration as the standard library's type.
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &(unit, factor) =
            Self::UNITS.iter().rev().find(|(_, factor)| self.0.is_multiple_of(*factor)).expect("1 divides");
        f.pad(&format!("{}{unit}", self.0 / factor))
    }
}

/// The SLA of a process or stage: the longest time that a good run may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sla(Millis);

impl Sla {
    /// The longest SLA.
    pub const MAX: Sla = Sla(Millis::MAX);

    /// Creates an SLA from milliseconds. Returns `None` for zero and for more than [`Sla::MAX`].
    pub const fn from_millis(millis: u64) -> Option<Sla> {
        match Millis::new(millis) {
            Some(millis) => Some(Sla(millis)),
            None => None,
        }
    }

    /// Returns the number of milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0.get()
    }

    /// Returns the duration as the standard library's type.
    pub const fn as_duration(self) -> Duration {
        self.0.as_duration()
    }
}

impl FromStr for Sla {
    type Err = GrammarError;

    /// Parses an SLA, for example `120s`.
    fn from_str(text: &str) -> Result<Sla, GrammarError> {
        const SLA: Noun = Noun {
            name: "SLA",
            help: "write the longest time that a good run may take",
            example: "120s",
            least: Millis::MIN,
            most: Millis::MAX,
        };
        Millis::parse_as(text, &SLA).map(Sla)
    }
}

impl fmt::Display for Sla {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const NANOS_PER_MILLI: u64 = 1_000_000;

/// Whether a proposed duration is longer than the one that the user wrote.
enum Rounded {
    No,
    Up,
}

/// Returns the nanoseconds that a person probably means by a text such as `1.5 s`, `1m30s` or `2 days`. Returns
/// `None` for a text without such a meaning. The result is used only for proposals; [`Millis::parse_as`] decides
/// which texts are valid.
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
        // A bare number usually means seconds.
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
