//! Reads one typed value from one slot: a text, a word, a number, a path or a list. Reports any other form of value,
//! with the expected form and an example of the key.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, ExprPath, Lit, LitStr, Path, Token};

use crate::errors::{Errors, Mistake};
use crate::keys::{AttributeKind, Key};
use crate::slot::{Slot, Value};

/// A number as the user wrote it.
pub(crate) struct Number {
    pub(crate) tokens: TokenStream,
    pub(crate) text: String,
}

/// A word with an optional argument, for example `error("card_declined")`.
pub(crate) struct WordOf {
    pub(crate) word: Ident,
    pub(crate) list: Option<Group>,
}

impl WordOf {
    /// Reads `word(tokens)`.
    fn read(input: ParseStream<'_>) -> syn::Result<WordOf> {
        let (word, list) = (input.parse()?, input.parse::<Group>()?);
        if list.delimiter() != Delimiter::Parenthesis {
            return Err(input.error("expected parentheses"));
        }
        Ok(WordOf { word, list: Some(list) })
    }
}

/// A slot whose key the attribute accepts.
pub(crate) struct Field<'a> {
    pub(crate) kind: AttributeKind,
    pub(crate) key: Key,
    pub(crate) slot: &'a Slot,
    pub(crate) errors: &'a Errors,
}

impl Field<'_> {
    /// Reads `key = "text"`. The text must not be empty, and the literal must not have a suffix, such as `u8` in
    /// `"text"u8`.
    pub(crate) fn text(&self) -> Option<LitStr> {
        let tokens = self.assigned()?;
        match syn::parse2::<LitStr>(tokens.clone()) {
            Ok(text) if text.suffix().is_empty() && !text.value().trim().is_empty() => Some(text),
            Ok(text) if text.suffix().is_empty() => {
                self.mistake(&text, format!("`{}` must not be empty", self.name()));
                None
            }
            _ => {
                self.report_no_text(tokens);
                None
            }
        }
    }

    /// Reads `key = word`. Error messages list `words`. This function does not check whether the word is one of them;
    /// `analyse` does.
    pub(crate) fn word(&self, words: &[&str]) -> Option<Ident> {
        let tokens = self.assigned()?;
        if let Ok(word) = syn::parse2::<Ident>(tokens.clone()) {
            return Some(word);
        }
        let choice = match words {
            [only] => format!("`{only}`"),
            _ => format!("one of `{}`", words.join("`, `")),
        };
        let mistake = self.errors.at(tokens, format!("`{}` must be {choice}", self.name()));
        let bare = written(tokens).replace('"', "");
        if words.contains(&bare.as_str()) {
            mistake.help(format!("write it without quotes: `{} = {bare}`", self.name()));
        } else {
            self.with_example(mistake);
        }
        None
    }

    /// Reads `key = word` or `key = word(tokens)`. Error messages list `words`, as in [`word`](Field::word).
    pub(crate) fn word_of(&self, words: &[&str]) -> Option<WordOf> {
        let tokens = self.assigned()?;
        if let Ok(word) = WordOf::read.parse2(tokens.clone()) {
            return Some(word);
        }
        let is_one = |text: &LitStr| {
            text.parse_with(WordOf::read).is_ok_and(|read| words.iter().any(|word| read.word == word))
        };
        if let Some(text) = syn::parse2(tokens.clone()).ok().filter(is_one) {
            let key = self.name();
            self.errors
                .at(&text, format!("`{key}` must not be a string literal"))
                .help(format!("write it without quotes: `{key} = {}`", text.value()));
            return None;
        }
        self.word(words).map(|word| WordOf { word, list: None })
    }

    /// Reads `key = 99.9` as a text. `analyse` checks whether the text is a valid number.
    pub(crate) fn number(&self) -> Option<Number> {
        let tokens = self.assigned()?;
        let text = written(tokens);
        let bare = text.trim_matches('"').trim_end_matches('%');
        if bare != text {
            self.errors
                .at(tokens, format!("`{}` must be a plain number", self.name()))
                .help(format!("write `{} = {bare}`", self.name()));
            return None;
        }
        Some(Number { tokens: tokens.clone(), text })
    }

    /// Reads `key = path::to::function`.
    pub(crate) fn path(&self, role: &str) -> Option<ExprPath> {
        let tokens = self.assigned()?;
        let path = syn::parse2(tokens.clone());
        self.or_no_path(tokens, path, role)
    }

    /// Reads `key = path::to::module`.
    pub(crate) fn module_path(&self) -> Option<Path> {
        let tokens = self.assigned()?;
        let path = Path::parse_mod_style.parse2(tokens.clone());
        self.or_no_path(tokens, path, "a crate or module")
    }

    fn or_no_path<P>(&self, tokens: &TokenStream, path: syn::Result<P>, role: &str) -> Option<P> {
        if path.is_err() {
            let name = self.name();
            let mistake = self.errors.at(tokens, format!("`{name}` must be the path of {role}"));
            match syn::parse2(tokens.clone()) {
                Ok(Expr::Call(call)) if matches!(*call.func, Expr::Path(_)) => {
                    let path = crate::text::written(call.func.into_token_stream());
                    drop(mistake.help(format!("remove the parentheses: `{name} = {path}`")));
                }
                Ok(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) if self.is_path(&text) => {
                    drop(mistake.help(format!("write it without quotes: `{name} = {}`", text.value())));
                }
                _ => drop(self.with_example(mistake)),
            }
        }
        path.ok()
    }

    fn is_path(&self, text: &LitStr) -> bool {
        text.parse::<TokenStream>().is_ok_and(|tokens| self.is_of_its_kind(tokens))
    }

    /// Reads `key("text", "text")`. The list must have at least one element.
    pub(crate) fn texts(&self) -> Option<Vec<LitStr>> {
        let read = |input: ParseStream<'_>| {
            let texts = input.parse_terminated(<LitStr as Parse>::parse, Token![,])?;
            Ok(Vec::from_iter(texts))
        };
        let list = self.list()?;
        match read.parse2(list.stream()) {
            Ok(texts) => Some(texts),
            Err(_) => {
                let problem = format!("`{}` must be a list of string literals", self.name());
                self.mistake(list.stream(), problem);
                None
            }
        }
    }

    /// Reads `key(…)`. The parentheses must not be empty.
    pub(crate) fn list(&self) -> Option<&Group> {
        match &self.slot.value {
            Value::List(list) if !list.stream().is_empty() => Some(list),
            Value::List(list) => {
                self.mistake(list, format!("`{}` must not be empty", self.name()));
                None
            }
            _ => {
                self.report_wrong_form();
                None
            }
        }
    }

    fn assigned(&self) -> Option<&TokenStream> {
        match &self.slot.value {
            Value::Assigned(_, tokens) if !tokens.is_empty() => Some(tokens),
            Value::Assigned(equals, _) => {
                self.mistake(equals, format!("`{}` requires a value", self.name()));
                None
            }
            _ => {
                self.report_wrong_form();
                None
            }
        }
    }

    fn report_wrong_form(&self) {
        let name = self.name();
        let (problem, tokens, right) = match &self.slot.value {
            Value::Absent => return self.mistake(&self.slot.key, format!("`{name}` requires a value")),
            Value::Assigned(_, tokens) => {
                let tokens = without_brackets(tokens.clone());
                let right = format!("{name}({})", crate::text::written(tokens.clone()));
                (format!("`{name}` must be followed by a list in parentheses"), tokens, right)
            }
            Value::List(list) => {
                let right = format!("{name} = {}", crate::text::written(list.stream()));
                (format!("`{name}` must be followed by `=` and a value"), list.stream(), right)
            }
            // `slot` has already reported it.
            Value::Unreadable => return,
        };
        if self.is_of_its_kind(tokens) {
            self.errors.at(&self.slot.key, problem).help(format!("write `{right}`"));
        } else {
            self.mistake(&self.slot.key, problem);
        }
    }

    /// Whether the tokens are of the kind that the key takes, so that advice can repeat them.
    fn is_of_its_kind(&self, tokens: TokenStream) -> bool {
        let is_word = |tokens: TokenStream| syn::parse2::<Ident>(tokens).is_ok();
        match self.key {
            Key::Context | Key::Rejects | Key::Fails => {
                matches!(tokens.into_iter().next(), Some(TokenTree::Ident(first)) if first != "_")
            }
            Key::After | Key::DependsOn => Punctuated::<LitStr, Token![,]>::parse_terminated
                .parse2(tokens)
                .is_ok_and(|ids| !ids.is_empty()),
            Key::Degraded | Key::Outcome | Key::ErrorType => syn::parse2::<ExprPath>(tokens).is_ok(),
            Key::Crate => Path::parse_mod_style.parse2(tokens).is_ok(),
            Key::Criticality | Key::ErrorText | Key::Cancelled | Key::Case => is_word(tokens),
            Key::Objective => matches!(syn::parse2(tokens), Ok(Lit::Int(_) | Lit::Float(_))),
            _ => syn::parse2::<LitStr>(tokens).is_ok(),
        }
    }

    fn report_no_text(&self, tokens: &TokenStream) {
        let mistake = self.errors.at(tokens, format!("`{}` must be a string literal", self.name()));
        let text = written(tokens);
        if self.is_right_in_quotes(&text) {
            mistake.help(format!("write it in quotes: `{} = \"{text}\"`", self.name()));
        } else if let Some(refusal) = self.refusal_in_quotes(&text) {
            mistake.help(refusal);
        } else {
            let mistake = self.with_example(mistake);
            if !matches!(tokens.clone().into_iter().next(), Some(TokenTree::Literal(_))) {
                mistake.note("the attribute reads only the source text, so the value must be a literal");
            }
        }
    }

    fn is_right_in_quotes(&self, text: &str) -> bool {
        match self.key {
            Key::Id | Key::Process => process_model::grammar::check_id(text).is_ok(),
            Key::Version => process_model::grammar::check_version(text).is_ok(),
            Key::Sla => text.parse::<process_model::Sla>().is_ok(),
            Key::Timeout => process_model::schedule::timeout(text).is_ok(),
            Key::Every => process_model::schedule::every(text).is_ok(),
            Key::CachedFor => process_model::schedule::cached_for(text).is_ok(),
            _ => text.chars().all(char::is_alphanumeric) && text.starts_with(char::is_lowercase),
        }
    }

    /// Returns the advice of the grammar for a value without quotes that starts with a digit and would be invalid
    /// even in quotes.
    fn refusal_in_quotes(&self, text: &str) -> Option<String> {
        let number = text.starts_with(|c: char| c.is_ascii_digit());
        let refusal = match self.key {
            Key::Version if number => process_model::grammar::check_version(text).err(),
            Key::Sla if number => text.parse::<process_model::Sla>().err(),
            Key::Timeout if number => process_model::schedule::timeout(text).err(),
            Key::Every if number => process_model::schedule::every(text).err(),
            Key::CachedFor if number => process_model::schedule::cached_for(text).err(),
            _ => None,
        };
        refusal.map(|refusal| match refusal.example() {
            Some((form, example)) => format!("{form}, in quotes: `{} = \"{example}\"`", self.name()),
            None => format!("write it in quotes; {}", refusal.help()),
        })
    }

    fn mistake(&self, place: impl ToTokens, problem: String) {
        self.with_example(self.errors.at(place, problem));
    }

    fn with_example<'m>(&self, mistake: Mistake<'m>) -> Mistake<'m> {
        let example = self.kind.example_of(self.key);
        // An empty list may mean that the user does not need the key.
        let is_empty = matches!(&self.slot.value, Value::List(list) if list.stream().is_empty());
        match is_empty && !self.kind.required().contains(&self.key) {
            true => mistake.help(format!("remove the key, or write, for example, `{example}`")),
            false => mistake.help(format!("write, for example, `{example}`")),
        }
    }

    fn name(&self) -> &'static str {
        self.key.name()
    }
}

// Input:  [a, b]
// Output: a, b
fn without_brackets(tokens: TokenStream) -> TokenStream {
    let mut all = tokens.clone().into_iter();
    match (all.next(), all.next()) {
        (Some(TokenTree::Group(group)), None) if group.delimiter() != Delimiter::Brace => group.stream(),
        _ => tokens,
    }
}

/// Prints tokens without spaces, because users usually write short values without spaces.
fn written(tokens: &TokenStream) -> String {
    let flat = tokens.clone().into_iter().map(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => written(&group.stream()),
        token => token.to_string(),
    });
    flat.collect()
}
