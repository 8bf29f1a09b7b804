//! The cases that contracts prove. A contract is a test that proves one case of a process. A [`Case`] is written in
//! the same way in attributes, records, evidence, `process.toml` and reports, for example `happy` or
//! `error("card_declined")`.

use std::fmt;
use std::str::FromStr;

use crate::grammar::{GrammarError, check_id};
use crate::nearest::nearest;

/// Defines [`Case`], and everything that depends on the words of the cases, from one table. Each row has a word and a
/// variant, so no variant can lack a word.
macro_rules! cases {
    ($($(#[$doc:meta])* $word:literal => $case:ident $(($argument:ident))?;)*) => {
        /// What a contract proves about the runs of its process.
        ///
        /// ```
        /// use process_model::Case;
        ///
        /// let case: Case = r#"dependency("payment_api")"#.parse()?;
        /// assert_eq!(case, Case::Dependency("payment_api".to_owned()));
        /// assert_eq!((case.word(), case.argument()), ("dependency", Some("payment_api")));
        /// # Ok::<(), process_model::grammar::GrammarError>(())
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Case {
            $($(#[$doc])* $case $((cases!(@type $argument)))?,)*
        }

        const WORDS: &[&str] = &[$($word),*];

        impl Case {
            /// Returns the word of the case, which is the start of its text.
            pub fn word(&self) -> &'static str {
                match self {
                    $(Case::$case { .. } => $word,)*
                }
            }

            /// Creates the case with this word and argument. Returns `None` if no case has the word.
            fn of_word(word: &str, argument: Option<&str>) -> Option<Result<Case, GrammarError>> {
                Some(match word {
                    $($word => cases!(@make word argument $case $($argument)?),)*
                    _ => return None,
                })
            }
        }
    };
    (@type $argument:ident) => { String };
    (@make $word:ident $given:ident $case:ident) => {
        without_argument($word, $given).map(|()| Case::$case)
    };
    (@make $word:ident $given:ident $case:ident $argument:ident) => {
        $argument.checked($word, $given).map(Case::$case)
    };
}

// `testing/proof/case.rs` of process-runtime decides what each case means for a run, for evidence and for a report.
cases! {
    /// A run succeeds on time.
    "happy" => Happy;
    /// A run fails, or is rejected, with this `error.type`.
    "error" => Error(ERROR_TYPE);
    /// A run reaches an injected hang, and the timeout of the process ends the run before the test does.
    "timeout" => Timeout;
    /// A run reaches a fault that is injected at this dependency.
    "dependency" => Dependency(DEPENDENCY);
    /// A run is cancelled.
    "cancelled" => Cancelled;
    /// A run panics.
    "panic" => Panic;
    /// A run ends, and the test itself checks how. A policy cannot require a proof of this case.
    "edge" => Edge;
    /// A run is late because of an injected delay.
    "sla" => Sla;
    /// Many runs keep the bounds that the test sets.
    "load" => Load;
    /// A run sends a Sentry event, and each of its spans and events has the declared context, except the keys of
    /// `later(…)`.
    "context" => Context;
}

/// The kind of argument that a case takes in parentheses.
struct Argument {
    noun: &'static str,
    example: &'static str,
    check: fn(&str) -> Result<(), GrammarError>,
}

const ERROR_TYPE: Argument =
    Argument { noun: "the `error.type`", example: "error(\"card_declined\")", check: |_| Ok(()) };

const DEPENDENCY: Argument =
    Argument { noun: "the id of the dependency", example: "dependency(\"payment_api\")", check: check_id };

impl Argument {
    fn checked(&self, word: &str, argument: Option<&str>) -> Result<String, GrammarError> {
        let Some(argument) = argument.filter(|argument| !argument.is_empty()) else {
            return Err(GrammarError::with_example(
                format!("case `{word}` requires an argument"),
                format!("write {} in parentheses", self.noun),
                self.example,
            ));
        };
        let trimmed = argument.trim();
        let is_ambiguous = |c: char| c.is_control() || c == '"';
        let (reason, example) = if trimmed.contains(is_ambiguous) {
            ("it contains a quotation mark or a control character", self.example.to_owned())
        } else if trimmed.is_empty() {
            ("it is blank", self.example.to_owned())
        } else if trimmed != argument {
            let example = format!("{word}(\"{trimmed}\")");
            let is_right = (self.check)(trimmed).is_ok();
            ("it begins or ends with white space", if is_right { example } else { self.example.to_owned() })
        } else {
            return (self.check)(argument).map(|()| argument.to_owned());
        };
        Err(GrammarError::with_example(
            format!("invalid argument `{argument}` of case `{word}`: {reason}"),
            format!("write only {}", self.noun),
            example,
        ))
    }
}

fn without_argument(word: &str, argument: Option<&str>) -> Result<(), GrammarError> {
    match argument {
        None => Ok(()),
        Some(_) => {
            Err(GrammarError::new(format!("case `{word}` takes no argument"), format!("write `{word}`")))
        }
    }
}

impl Case {
    /// Returns the words that a case can start with.
    pub fn words() -> impl Iterator<Item = &'static str> {
        WORDS.iter().copied()
    }

    /// Creates a case from its word and its argument, which is the text in the parentheses after the word. The
    /// argument is `None` if there are no parentheses.
    ///
    /// # Errors
    /// Returns an error for an unknown word, and for an argument that is missing, superfluous or malformed. The error
    /// for an unknown word proposes a similar word, if there is one.
    pub fn new(word: &str, argument: Option<&str>) -> Result<Case, GrammarError> {
        Case::of_word(word, argument).unwrap_or_else(|| {
            let list = Vec::from_iter(Case::words()).join("`, `");
            let help = match nearest(word, Case::words()) {
                Some(near) => format!("did you mean `{near}`? valid values are `{list}`"),
                None => format!("valid values are `{list}`"),
            };
            Err(GrammarError::new(format!("invalid case `{word}`"), help))
        })
    }

    /// Returns the argument, or `None` if the case takes none.
    pub fn argument(&self) -> Option<&str> {
        match self {
            Case::Error(argument) | Case::Dependency(argument) => Some(argument),
            Case::Happy | Case::Timeout | Case::Cancelled | Case::Panic => None,
            Case::Edge | Case::Sla | Case::Load | Case::Context => None,
        }
    }
}

impl FromStr for Case {
    type Err = GrammarError;

    /// Parses the text that [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Case, GrammarError> {
        let Some((word, rest)) = text.split_once('(') else { return Case::new(text, None) };
        match rest.strip_prefix('"').and_then(|rest| rest.strip_suffix("\")")) {
            Some(argument) => Case::new(word, Some(argument)),
            None => match Case::new(word, Some("argument")) {
                Ok(_) => Err(GrammarError::new(
                    format!("invalid case `{text}`"),
                    format!("write the argument in quotes: `{word}(\"…\")`"),
                )),
                Err(error) => Err(error),
            },
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
