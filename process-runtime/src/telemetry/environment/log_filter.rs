//! The filter of the log, from `RUST_LOG`. Writing the log does not belong here.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use super::variables::{Variables, shown};

const NAME: &str = "RUST_LOG";
/// The filter that applies without a valid directive.
const DEFAULT: LevelFilter = LevelFilter::INFO;
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// Words that mean a level in other programs.
const FOREIGN_LEVELS: [&str; 22] = [
    "all",
    "alert",
    "crit",
    "critical",
    "dbg",
    "emerg",
    "err",
    "fatal",
    "false",
    "fine",
    "information",
    "max",
    "min",
    "no",
    "none",
    "notice",
    "on",
    "quiet",
    "silent",
    "true",
    "verbose",
    "warning",
];

/// A directive of the filter.
#[derive(Debug, PartialEq, Eq)]
enum Directive<'d> {
    /// A level for every target without a directive of its own.
    Default(LevelFilter),
    Target(&'d str, LevelFilter),
    /// A target without a level, whose name is probably a level with a mistake in it.
    Doubtful(&'d str),
}

impl Variables {
    /// Returns the filter of the log. A directive that is not valid is recorded as a problem and ignored, and `info`
    /// then applies to every target that no other directive names.
    pub(super) fn log_filter(&mut self) -> Targets {
        let written = self.get(NAME).unwrap_or_default();
        let (mut targets, mut default, mut has_problem) = (Targets::new(), None, false);
        for (number, directive) in directives(&written) {
            let problem = match parsed(directive) {
                Ok(Directive::Default(level)) => {
                    default = Some(level);
                    continue;
                }
                Ok(Directive::Target(target, level)) => {
                    targets = targets.with_target(target, level);
                    continue;
                }
                Ok(Directive::Doubtful(target)) => {
                    targets = targets.with_target(target, LevelFilter::TRACE);
                    format!(
                        "it is not a level (use {}), and is taken as a target at level trace",
                        LEVELS.join(", ")
                    )
                }
                Err(problem) => format!("{problem}, as in `info,my_crate=debug`; this directive is ignored"),
            };
            has_problem = true;
            let assumed = "unless another directive applies, `info` does";
            self.invalid_entry(NAME, number, format_args!("`{}`: {problem}; {assumed}", shown(directive)));
        }
        let is_empty = targets.iter().next().is_none();
        match default {
            Some(level) => targets.with_default(level),
            None if has_problem || is_empty => targets.with_default(DEFAULT),
            None => targets,
        }
    }
}

/// Returns the directives that are not empty, each with its number, which starts at 1. A comma in brackets does not
/// separate directives.
fn directives(filter: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut depth = 0_usize;
    let split = filter.split(move |character| {
        match character {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    });
    let numbered = split.enumerate().map(|(at, directive)| (at + 1, directive.trim()));
    numbered.filter(|(_, directive)| !directive.is_empty())
}

fn parsed(directive: &str) -> Result<Directive<'_>, &'static str> {
    if directive.contains(['[', ']', '{', '}']) {
        return Err("a filter of spans or fields is not supported; use targets and levels");
    }
    let Some((target, level)) = directive.split_once('=') else {
        if let Some(level) = level_of(directive) {
            return Ok(Directive::Default(level));
        }
        if !is_target(directive) || directive.contains('/') {
            return Err("use targets and levels, separated by commas");
        }
        return Ok(match is_like_a_level(directive) {
            true => Directive::Doubtful(directive),
            false => Directive::Target(directive, LevelFilter::TRACE),
        });
    };
    let (target, level) = (target.trim(), level.trim());
    if !is_target(target) {
        return Err("it has no valid target before `=`");
    }
    let level =
        level_of(level).ok_or("its level does not exist; use off, error, warn, info, debug or trace")?;
    Ok(Directive::Target(target, level))
}

/// Returns whether a text is the path of a module, or a target that libraries choose in place of it.
fn is_target(text: &str) -> bool {
    let is_plain = |character: char| character.is_alphanumeric() || "_-./".contains(character);
    !text.is_empty() && text.replace("::", "").chars().all(is_plain)
}

/// Returns the level with this name or with this number, from 0 for `off` to 5 for `trace`.
fn level_of(name: &str) -> Option<LevelFilter> {
    // An empty text parses as a level.
    name.parse().ok().filter(|_| !name.is_empty())
}

/// Returns whether a word is probably meant as a level.
fn is_like_a_level(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    word.bytes().all(|byte| byte.is_ascii_digit())
        || FOREIGN_LEVELS.contains(&&*word)
        || LEVELS.iter().any(|level| differences(&word, level) <= if level.len() > 4 { 2 } else { 1 })
}

/// Returns the number of letters to insert, to remove, to replace or to swap with the next one, to make one word from
/// the other.
fn differences(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    // No level is longer than five letters.
    if one.len() > 8 {
        return usize::MAX;
    }
    let mut table = vec![vec![0; other.len() + 1]; one.len() + 1];
    for (i, j) in (0..=one.len()).flat_map(|i| (0..=other.len()).map(move |j| (i, j))) {
        if i == 0 || j == 0 {
            table[i][j] = i + j;
            continue;
        }
        let replaced = table[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
        let mut least = replaced.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
        if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
            least = least.min(table[i - 2][j - 2] + 1);
        }
        table[i][j] = least;
    }
    table[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::NAME;

    /// Returns the filter as it is written, and the number of problems.
    fn filter(written: &str) -> (String, usize) {
        let environment = read(&[(NAME, written)]);
        assert!(
            environment.problems.iter().all(|line| line.starts_with("invalid RUST_LOG")),
            "{environment:?}"
        );
        let mut directives: Vec<_> = environment.log.to_string().split(',').map(str::to_owned).collect();
        directives.sort();
        (directives.join(","), environment.problems.len())
    }

    #[test]
    fn a_valid_filter_means_what_it_says() {
        for (written, means) in [
            ("", "info"),
            (" , ", "info"),
            ("DEBUG", "debug"),
            ("2", "warn"),
            ("off", "off"),
            ("my_crate", "my_crate=trace"),
            ("my_crate::module", "my_crate::module=trace"),
            ("warn, my_crate = Debug ,", "my_crate=debug,warn"),
            ("my_crate=off", "my_crate=off"),
            ("hyper=info,sqlx=warn", "hyper=info,sqlx=warn"),
        ] {
            assert_eq!(filter(written), (means.to_owned(), 0), "{written}");
        }
    }

    #[test]
    fn a_directive_that_is_not_valid_costs_itself() {
        for (written, means) in [
            ("infoo", "info,infoo=trace"),
            ("inof", "info,inof=trace"),
            ("warning", "info,warning=trace"),
            ("6", "6=trace,info"),
            ("infoo,debug", "debug,infoo=trace"),
            ("my_crate=infoo", "info"),
            ("my_crate=", "info"),
            ("=debug", "info"),
            ("===", "info"),
            ("a=b=c", "info"),
            ("my_crate=debug=trace,sqlx=warn", "info,sqlx=warn"),
            ("info;my_crate=debug", "info"),
            ("info my_crate", "info"),
            ("my_crate:debug", "info"),
            ("my_crate=6", "info"),
            ("[span]=debug", "info"),
            ("my_crate[{a,b}]=debug,warn", "warn"),
            ("info/regex", "info"),
        ] {
            assert_eq!(filter(written), (means.to_owned(), 1), "{written}");
        }
    }
}
