//! The filter of the log, from `RUST_LOG`. Writing the log does not belong here.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use super::variables::{Variables, shown};
use crate::catalog::registry;

const NAME: &str = "RUST_LOG";
/// The filter that applies without a valid directive.
const DEFAULT: LevelFilter = LevelFilter::INFO;
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// A directive of the filter.
#[derive(Debug, PartialEq, Eq)]
enum Directive<'d> {
    /// A level for every target without a directive of its own.
    Default(LevelFilter),
    Target(&'d str, LevelFilter),
    /// A target without a level, whose name may be a level with a mistake in it.
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
                        "it is not a level ({}), so it is taken as a target at level trace; if it is meant as a \
                         target, add `=trace` to it",
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
        return Ok(match is_surely_a_target(directive) {
            true => Directive::Target(directive, LevelFilter::TRACE),
            false => Directive::Doubtful(directive),
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
    text.contains(char::is_alphanumeric) && text.replace("::", "").chars().all(is_plain)
}

/// Returns whether a text without a level is surely a target, and not a level with a mistake in it. It is if it is the
/// path of a module, has several words joined by `_`, or names a crate of this program that contains processes.
fn is_surely_a_target(text: &str) -> bool {
    let is_name = |name: &str| {
        let is_plain = |character: char| character.is_alphanumeric() || character == '_';
        name.starts_with(|first: char| first.is_alphabetic() || first == '_') && name.chars().all(is_plain)
    };
    let words = text.split('_').filter(|word| !word.is_empty()).count();
    let is_crate = || registry::all().any(|process| process.handler().split("::").next() == Some(text));
    text.split("::").all(is_name) && (text.contains("::") || words > 1 || is_crate())
}

/// Returns the level with this name or with this number, from 0 for `off` to 5 for `trace`.
fn level_of(name: &str) -> Option<LevelFilter> {
    // An empty text parses as a level.
    name.parse().ok().filter(|_| !name.is_empty())
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
            ("5x", "5x=trace,info"),
            ("warnings", "info,warnings=trace"),
            ("informational", "info,informational=trace"),
            ("emergency", "emergency=trace,info"),
            ("disabled", "disabled=trace,info"),
            ("tracing", "info,tracing=trace"),
            ("info_", "info,info_=trace"),
            ("hyper", "hyper=trace,info"),
            ("::", "info"),
            (".", "info"),
            ("-", "info"),
            ("::=debug", "info"),
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
