//! Environment variables as typed values. A value that is not valid is recorded as a problem, and the caller receives
//! what applies instead. The names of variables and their meaning do not belong here, except for those that no part
//! of the program reads.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use process_model::nearest;

use super::tls::{Pem, file};
use crate::base::foreign::{limits, quote, text};

/// The maximum number of invalid entries of one variable that are reported one by one.
const MOST_ENTRIES: usize = 8;
/// The unit in messages about a variable that is a duration.
const MILLIS: &str = " of milliseconds";
/// The maximum number of variables without an effect that are reported one by one.
const MOST_UNREAD: usize = 16;
/// The longest duration that a variable can configure.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The environment variables of a program, and the problems that reading them has found.
#[derive(Debug)]
pub(super) struct Variables {
    /// The value of each variable, or `None` if it is not valid UTF-8.
    values: BTreeMap<String, Option<String>>,
    /// The names of the variables that were read, whether they are set or not.
    read: BTreeSet<String>,
    problems: Vec<String>,
    /// The invalid entries of variables that contain a list: the name of the variable and the number of the entry.
    entries: BTreeSet<(String, usize)>,
    /// The files that were read, by their paths.
    files: BTreeMap<String, Result<Pem, String>>,
}

impl Variables {
    pub(super) fn of_this_program() -> Variables {
        let variables = env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            // Names on Windows do not depend on case.
            let name = if cfg!(windows) { name.to_ascii_uppercase() } else { name };
            Some((name, value.into_string().ok()))
        });
        Variables::new(variables)
    }

    pub(super) fn new(variables: impl IntoIterator<Item = (String, Option<String>)>) -> Variables {
        Variables {
            values: variables.into_iter().collect(),
            read: BTreeSet::new(),
            problems: Vec::new(),
            entries: BTreeSet::new(),
            files: BTreeMap::new(),
        }
    }

    /// Records a problem with a variable. A problem that several signals find is recorded once.
    pub(super) fn problem(&mut self, problem: String) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Records that a value is invalid. `expected` follows “use”, and `assumed` says what applies instead.
    pub(super) fn invalid(&mut self, name: &str, value: &str, expected: impl Display, assumed: impl Display) {
        self.problem(format!("invalid {name} `{}`: use {expected}; {assumed}", shown(value)));
    }

    /// Records a problem with the entry `number` of a variable that contains a list. Only the first problem of an
    /// entry is recorded, and only those of the first entries.
    pub(super) fn invalid_entry(&mut self, name: &str, number: usize, problem: impl Display) {
        if !self.entries.insert((name.to_owned(), number)) {
            return;
        }
        if self.entries.iter().filter(|(of, _)| of == name).count() <= MOST_ENTRIES {
            self.problem(format!("invalid {name}, entry {number}: {problem}"));
        }
    }

    /// Declares that the program knows a variable, although the current configuration does not need its value.
    pub(super) fn knows(&mut self, name: &str) {
        self.read.insert(name.to_owned());
    }

    /// Returns the value of a variable, or `None` if the variable is not set. An empty value counts as not set, as the
    /// specification requires. A value that is not valid UTF-8 also counts as not set, and is recorded as a problem.
    pub(super) fn get(&mut self, name: &str) -> Option<String> {
        self.knows(name);
        match self.values.get(name)? {
            Some(value) => Some(value.trim().to_owned()).filter(|value| !value.is_empty()),
            None => {
                self.problem(format!(
                    "invalid {name}: its value must be valid UTF-8; the variable is ignored"
                ));
                None
            }
        }
    }

    /// Returns whether a variable has any value except for the empty one, also a value that is not text.
    pub(super) fn has_value(&mut self, name: &str) -> bool {
        self.knows(name);
        self.values.get(name).is_some_and(|value| value.as_deref() != Some(""))
    }

    /// Returns the content of the file at this path. Each file is read once, because reading may take long.
    pub(super) fn file(&mut self, path: &str) -> Result<Pem, String> {
        let read = || file::read(path).map(Pem::new).map_err(|error| error.to_string());
        self.files.entry(path.to_owned()).or_insert_with(read).clone()
    }

    /// Returns the value of a variable that must be one of these values. Any other value is recorded as a problem, and
    /// `instead` applies.
    pub(super) fn one_of(
        &mut self,
        name: &str,
        values: &[&'static str],
        instead: &str,
    ) -> Option<&'static str> {
        let value = self.get(name)?;
        let known = known(&value, values);
        if known.is_none() {
            let assumed = format_args!("this value is ignored, and {instead} applies");
            self.invalid(name, &value, format_args!("one of {}", values.join(", ")), assumed);
        }
        known
    }

    /// Returns the known values of a variable that is a list, separated by commas. Empty entries are skipped, and a
    /// repeated entry counts once. An unknown entry is recorded as a problem and ignored.
    pub(super) fn some_of(&mut self, name: &str, values: &[&'static str]) -> Vec<&'static str> {
        let written = self.get(name).unwrap_or_default();
        let mut chosen = Vec::new();
        for (number, entry) in entries(&written) {
            match known(entry, values) {
                Some(known) if chosen.contains(&known) => {}
                Some(known) => chosen.push(known),
                None => {
                    let (entry, values) = (shown(entry), values.join(", "));
                    // A variable with one entry is usually not meant as a list.
                    if number == 1 && entries(&written).count() == 1 {
                        self.problem(format!(
                            "invalid {name} `{entry}`: use one of {values}; this value is ignored, and the default applies"
                        ));
                    } else {
                        let problem =
                            format_args!("`{entry}` is unknown; use {values}; this entry is ignored");
                        self.invalid_entry(name, number, problem);
                    }
                }
            }
        }
        chosen
    }

    /// Returns the value of a variable that is a Boolean. The specification takes any value except for `true` as
    /// false, and asks for a report.
    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        let value = self.get(name)?;
        let boolean = known(&value, &["true", "false"]);
        if boolean.is_none() {
            self.invalid(name, &value, "`true` or `false`", "this value is ignored, and `false` applies");
        }
        Some(boolean == Some("true"))
    }

    /// Returns the value of a variable that is a whole number in this range. Any other value is recorded as a problem,
    /// and `instead` applies.
    pub(super) fn number(
        &mut self,
        name: &str,
        range: RangeInclusive<u64>,
        instead: impl Display,
    ) -> Option<u64> {
        self.number_of("", name, range, instead)
    }

    fn number_of(
        &mut self,
        unit: &str,
        name: &str,
        range: RangeInclusive<u64>,
        instead: impl Display,
    ) -> Option<u64> {
        let value = self.get(name)?;
        let number = value.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = range.into_inner();
            let expected = format_args!("a whole number{unit} from {least} to {most}");
            let assumed = format_args!("the variable is ignored, and {instead} applies");
            self.invalid(name, &value, expected, assumed);
        }
        number
    }

    /// Returns the value of a variable that is a duration in milliseconds.
    pub(super) fn millis(&mut self, name: &str, instead: impl Display) -> Option<Duration> {
        self.number_of(MILLIS, name, 1..=DAY.as_millis() as u64, instead).map(Duration::from_millis)
    }

    /// Returns the value of a variable that is a timeout in milliseconds. The specification takes 0 as no limit, which
    /// is a day here.
    pub(super) fn timeout(&mut self, name: &str, instead: impl Display) -> Option<Duration> {
        let millis = self.number_of(MILLIS, name, 0..=DAY.as_millis() as u64, instead)?;
        Some(if millis == 0 { DAY } else { Duration::from_millis(millis) })
    }

    /// Returns the value of a variable that must be a number from 0 to 1. Returns `default` if the variable is not set
    /// or its value is invalid.
    pub(super) fn share(&mut self, name: &str, default: f64) -> f64 {
        let Some(value) = self.get(name) else { return default };
        let share = value.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        share.unwrap_or_else(|| {
            self.invalid(name, &value, "a number from 0 to 1", format_args!("{default} is used instead"));
            default
        })
    }

    /// Records each variable of OpenTelemetry and Sentry that was set and not read, and returns all problems.
    pub(super) fn into_problems(mut self) -> Vec<String> {
        self.count_further_entries();
        // An empty value counts as not set.
        let is_set = |value: &Option<String>| value.as_ref().is_none_or(|value| !value.trim().is_empty());
        let is_unread = |name: &String| !self.read.contains(name) && is_of_telemetry(name);
        let unread = self.values.iter().filter(|(name, value)| is_unread(name) && is_set(value));
        let unread: Vec<_> = unread.map(|(name, _)| name.clone()).collect();
        for name in unread.iter().take(MOST_UNREAD) {
            // A name with a mistake in it may be that of a variable with a secret.
            let value = self.values.get(name).and_then(Option::as_deref).filter(|_| is_harmless(name));
            let value = value.map(|value| format!(" `{}`", shown(value))).unwrap_or_default();
            let remedy = match nearest(name, self.read.iter().map(|known| &**known)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "remove it, or check its name".to_owned(),
            };
            self.problem(format!(
                "unknown variable {}{value}: telemetry does not support it, and it has no effect; {remedy}",
                shown(name)
            ));
        }
        if let Some(next) = unread.get(MOST_UNREAD) {
            let further = unread.len() - MOST_UNREAD;
            self.problem(format!(
                "unknown variable {}, and {} more: telemetry does not support them, and they have no effect",
                shown(next),
                further - 1
            ));
        }
        self.problems
    }

    fn count_further_entries(&mut self) {
        let mut counts = BTreeMap::<_, usize>::new();
        self.entries.iter().for_each(|(name, _)| *counts.entry(name.clone()).or_default() += 1);
        for (name, count) in counts.into_iter().filter(|(_, count)| *count > MOST_ENTRIES) {
            let further = count - MOST_ENTRIES;
            self.problem(format!("invalid {name}: {further} more of its entries are invalid in these ways"));
        }
    }
}

/// Returns the entries of a list that are not empty, each with its number, which starts at 1.
pub(super) fn entries(list: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = list.split(',').enumerate().map(|(at, entry)| (at + 1, entry.trim()));
    numbered.filter(|(_, entry)| !entry.is_empty())
}

fn known(value: &str, values: &[&'static str]) -> Option<&'static str> {
    values.iter().find(|known| known.eq_ignore_ascii_case(value)).copied()
}

/// Returns a value as it can be part of a line: cut at a limit, with its invisible characters escaped, and without the
/// rest of a URL that may contain a user name and a password.
pub(super) fn shown(value: &str) -> String {
    let value = match value.split_once("://") {
        Some((before, rest)) if has_user(rest) => &format!("{before}://…"),
        _ => value,
    };
    quote::line(&text::cut(value, limits::header_text())).into_owned()
}

/// Returns whether a text may contain a user name and a password, as in `user:password@host`. The `@` may be encoded,
/// also more than once.
pub(super) fn has_user(url: &str) -> bool {
    let is_at = |after: &str| after.trim_start_matches("25").starts_with("40");
    url.contains('@') || url.split('%').skip(1).any(is_at)
}

/// Returns whether a variable configures OpenTelemetry or Sentry in this program. The names of other languages, of
/// Kubernetes' operator for OpenTelemetry and of Sentry's command line also start with `OTEL_` and `SENTRY_`.
fn is_of_telemetry(name: &str) -> bool {
    const OTHER_PROGRAMS: [&str; 20] = [
        "AUTO_",
        "CPP_",
        "DOTNET_",
        "ELIXIR_",
        "ERLANG_",
        "GO_",
        "INJECTOR_",
        "INSTRUMENTATION_",
        "JAVAAGENT_",
        "JAVA_",
        "JS_",
        "LUA_",
        "NODE_",
        "PERL_",
        "PHP_",
        "POD_",
        "PYTHON_",
        "RESOURCE_ATTRIBUTES_",
        "RUBY_",
        "SWIFT_",
    ];
    const COMMAND_LINE: [&str; 8] = [
        "AUTH_TOKEN",
        "CLI_",
        "HTTP_MAX_RETRIES",
        "LOG_LEVEL",
        "NO_PROGRESS_BAR",
        "ORG",
        "PROJECT",
        "PROPERTIES",
    ];
    if let Some(rest) = name.strip_prefix("OTEL_") {
        return !OTHER_PROGRAMS.iter().any(|prefix| rest.starts_with(prefix));
    }
    let rest = name.strip_prefix("SENTRY_");
    rest.is_some_and(|rest| rest != "URL" && !COMMAND_LINE.iter().any(|prefix| rest.starts_with(prefix)))
}

/// Returns whether this is exactly the name of a variable that telemetry does not support and that contains no secret.
fn is_harmless(name: &str) -> bool {
    const HARMLESS: [&str; 8] = [
        "OTEL_LOG_LEVEL",
        "OTEL_METRICS_EXEMPLAR_FILTER",
        "OTEL_SEMCONV_STABILITY_OPT_IN",
        "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN",
        "SENTRY_DEBUG",
        "SENTRY_PROFILES_SAMPLE_RATE",
        "SENTRY_SAMPLE_RATE",
        "SENTRY_SEND_DEFAULT_PII",
    ];
    HARMLESS.contains(&name)
}
