//! What a contract says: which process, and which way of ending it proves. A way is a [`Case`], which has one form in
//! attributes, records, evidence, `process.toml` and reports: `happy`, `error("card_declined")`.

use std::fmt;

use crate::grammar::{GrammarError, check_id};
use crate::nearest::nearest;

/// A contract as its attribute said it, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractRecord {
    /// Id of the process.
    pub process: String,
    /// What is proven of it.
    pub case: Case,
    /// Path of the test function.
    pub handler: String,
    /// Source file, as the compiler names it.
    pub file: String,
    /// Line of the function's name in that file; 0 where the compiler would not tell.
    pub line: u32,
}

/// A way in which a run of a process can go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Case {
    /// A success on time.
    Happy,
    /// A failure or rejection with this `error.type`.
    Error(String),
    /// An injected hang was reached, and the run ended without the test ending it.
    Timeout,
    /// A fault at this dependency was reached.
    Dependency(String),
    /// The run was cancelled.
    Cancelled,
    /// The run panicked.
    Panic,
    /// Whatever the test says; never required.
    Edge,
    /// The run was late, under an injected delay.
    Sla,
    /// Many runs held their bounds.
    Load,
    /// The required keys of business context were on every span and event.
    Context,
}

/// The words of cases, each with what stands in its parentheses.
const WORDS: [(&str, Option<&str>); 10] = [
    ("happy", None),
    ("error", Some("an `error.type`, for example `error(\"card_declined\")`")),
    ("timeout", None),
    ("dependency", Some("the id of a dependency, for example `dependency(\"payment_api\")`")),
    ("cancelled", None),
    ("panic", None),
    ("edge", None),
    ("sla", None),
    ("load", None),
    ("context", None),
];

impl Case {
    /// The words that a case starts with.
    pub fn words() -> impl Iterator<Item = &'static str> {
        WORDS.iter().map(|(word, _)| *word)
    }

    /// A case from its word and what stands in parentheses behind it.
    ///
    /// # Errors
    /// For an unknown word, with the nearest; for an argument that is missing, superfluous or malformed.
    pub fn new(word: &str, argument: Option<&str>) -> Result<Case, GrammarError> {
        let Some((_, wanted)) = WORDS.iter().find(|(known, _)| *known == word) else {
            let list = Vec::from_iter(Case::words()).join("`, `");
            let help = match nearest(word, Case::words()) {
                Some(near) => format!("did you mean `{near}`? valid values are `{list}`"),
                None => format!("valid values are `{list}`"),
            };
            return Err(GrammarError::new(format!("invalid case `{word}`"), help));
        };
        let argument = match (wanted, argument) {
            (None, None) => "",
            (None, Some(_)) => {
                return Err(GrammarError::new(
                    format!("case `{word}` takes no argument"),
                    format!("write `{word}`"),
                ));
            }
            (Some(what), None | Some("")) => {
                return Err(GrammarError::new(
                    format!("case `{word}` requires an argument"),
                    format!("write {what}"),
                ));
            }
            (Some(what), Some(argument)) => {
                let is_open = |c: char| c.is_control() || c == '"';
                if argument.trim() != argument || argument.contains(is_open) {
                    let problem = format!("invalid argument `{argument}` of case `{word}`");
                    return Err(GrammarError::new(problem, format!("write {what}")));
                }
                argument
            }
        };
        Ok(match word {
            "happy" => Case::Happy,
            "error" => Case::Error(argument.to_owned()),
            "timeout" => Case::Timeout,
            "dependency" => {
                check_id(argument)?;
                Case::Dependency(argument.to_owned())
            }
            "cancelled" => Case::Cancelled,
            "panic" => Case::Panic,
            "edge" => Case::Edge,
            "sla" => Case::Sla,
            "load" => Case::Load,
            _ => Case::Context,
        })
    }

    /// A case from its one form: what [`Display`](fmt::Display) writes.
    ///
    /// # Errors
    /// As [`Case::new`].
    pub fn parse(text: &str) -> Result<Case, GrammarError> {
        let Some((word, rest)) = text.split_once('(') else { return Case::new(text, None) };
        match rest.strip_prefix('"').and_then(|rest| rest.strip_suffix("\")")) {
            Some(argument) => Case::new(word, Some(argument)),
            None => Err(GrammarError::new(
                format!("invalid case `{text}`"),
                format!("write `{word}` or, with an argument, `{word}(\"…\")`"),
            )),
        }
    }

    /// The word.
    pub fn word(&self) -> &'static str {
        match self {
            Case::Happy => "happy",
            Case::Error(_) => "error",
            Case::Timeout => "timeout",
            Case::Dependency(_) => "dependency",
            Case::Cancelled => "cancelled",
            Case::Panic => "panic",
            Case::Edge => "edge",
            Case::Sla => "sla",
            Case::Load => "load",
            Case::Context => "context",
        }
    }

    /// What stands in the parentheses.
    pub fn argument(&self) -> Option<&str> {
        match self {
            Case::Error(argument) | Case::Dependency(argument) => Some(argument),
            _ => None,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.argument() {
            Some(argument) => write!(f, "{}(\"{argument}\")", self.word()),
            None => f.write_str(self.word()),
        }
    }
}
