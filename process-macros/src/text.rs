//! Prints tokens with the spaces that rustfmt would write. Records contain signatures and patterns in this form. The
//! compiler's own printing is not used, because it changes between releases, which would change the hash of a record.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// Prints tokens on one line.
// Input:  async fn greet < 'a > (who : & 'a str) -> Result < String , Error >
// Output: "async fn greet<'a>(who: &'a str) -> Result<String, Error>"
pub(crate) fn written(tokens: TokenStream) -> String {
    let mut words = Vec::new();
    collect(tokens, &mut words);
    let mut line = Line::default();
    for word in words {
        line.add(word);
    }
    line.text
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    /// An identifier, keyword, lifetime or literal.
    Name(String),
    /// An operator of one or several characters.
    Operator(String),
    Open(char),
    Close(char),
}

fn collect(tokens: TokenStream, words: &mut Vec<Word>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ('(', ')'),
                    Delimiter::Bracket => ('[', ']'),
                    Delimiter::Brace => ('{', '}'),
                    Delimiter::None => {
                        collect(group.stream(), words);
                        continue;
                    }
                };
                let is_call = matches!(words.last(), Some(Word::Name(_)) | None)
                    || words.last() == Some(&Word::Operator(">".to_owned()));
                words.push(Word::Open(open));
                collect(group.stream(), words);
                // rustfmt adds a comma at the end of a list that spans several lines; that comma is removed here.
                // `(T,)` is a tuple and keeps its comma.
                if (is_call || open == '{') && words.last() == Some(&Word::Operator(",".to_owned())) {
                    words.pop();
                }
                words.push(Word::Close(close));
            }
            TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                let name = tokens.next().map_or(String::new(), |name| name.to_string());
                words.push(Word::Name(format!("'{name}")));
            }
            TokenTree::Punct(punct) => {
                let mut operator = String::from(punct.as_char());
                let mut spacing = punct.spacing();
                while let (Spacing::Joint, Some(TokenTree::Punct(next))) = (spacing, tokens.peek()) {
                    let longer = format!("{operator}{}", next.as_char());
                    if !OPERATORS.contains(&longer.as_str()) {
                        break;
                    }
                    operator = longer;
                    spacing = next.spacing();
                    tokens.next();
                }
                words.push(Word::Operator(operator));
            }
            token => words.push(Word::Name(token.to_string())),
        }
    }
}

/// The operators of several characters. Those that can also close generics, such as `>>`, are left out.
const OPERATORS: [&str; 12] = ["::", "->", "=>", "==", "!=", "<=", "&&", "||", "..", "...", "..=", "|="];

/// Keywords. An operator after one of them is a prefix, and a bracket after one of them has a space before it.
const KEYWORDS: [&str; 13] =
    ["as", "const", "dyn", "for", "if", "impl", "in", "match", "mut", "ref", "return", "use", "where"];

#[derive(Default)]
struct Line {
    text: String,
    last: Option<Word>,
    before_last: Option<Word>,
    /// The number of `<…>` that are open.
    angles: usize,
    /// Whether the last word has no space after it, for example because it is a prefix operator or an opening
    /// bracket.
    prefix: Prefix,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Prefix {
    #[default]
    No,
    Yes,
}

impl Line {
    fn add(&mut self, word: Word) {
        let (space, prefix) = self.fit(&word);
        if space == Space::Yes && !self.text.is_empty() {
            self.text.push(' ');
        }
        match &word {
            Word::Name(text) | Word::Operator(text) => self.text.push_str(text),
            Word::Open(bracket) | Word::Close(bracket) => self.text.push(*bracket),
        }
        self.prefix = prefix;
        self.before_last = self.last.replace(word);
    }

    /// Returns whether there is a space before `word`, and whether `word` is a prefix, which has no space after it.
    fn fit(&mut self, word: &Word) -> (Space, Prefix) {
        match word {
            Word::Name(_) => (self.after_last(), Prefix::No),
            Word::Open('{') => (Space::Yes, Prefix::No),
            Word::Open(_) => (self.before_bracket(), Prefix::Yes),
            Word::Close('}') => (self.unless_just_opened(), Prefix::No),
            Word::Close(_) => (Space::No, Prefix::No),
            Word::Operator(operator) => self.fit_operator(operator),
        }
    }

    fn fit_operator(&mut self, operator: &str) -> (Space, Prefix) {
        match operator {
            "," | ";" | ":" | "." => (Space::No, Prefix::No),
            "?" if self.follows_operand() => (Space::No, Prefix::No),
            "::" if self.follows_operand() => (Space::No, Prefix::Yes),
            "<" if self.opens_generics() => {
                self.angles += 1;
                let space = match self.last {
                    Some(Word::Name(_)) => Space::No,
                    _ => self.after_last(),
                };
                (space, Prefix::Yes)
            }
            ">" if self.angles > 0 => {
                self.angles -= 1;
                self.text.truncate(self.text.trim_end_matches(',').len());
                (Space::No, Prefix::No)
            }
            ".." | "..=" | "..." if self.follows_operand() => (Space::No, Prefix::Yes),
            "!" if self.follows_operand() => (Space::No, Prefix::No),
            "#" => (self.after_last(), Prefix::Yes),
            _ if self.follows_operand() => (Space::Yes, Prefix::No),
            "=" | "->" | "=>" | "==" => (Space::Yes, Prefix::No),
            _ => (self.after_last(), Prefix::Yes),
        }
    }

    /// Returns whether the last word requires a space after it.
    fn after_last(&self) -> Space {
        let clings = self.prefix == Prefix::Yes
            || matches!(&self.last, Some(Word::Operator(op)) if op == ".")
            || self.last.is_none();
        if clings { Space::No } else { Space::Yes }
    }

    fn before_bracket(&self) -> Space {
        match &self.last {
            Some(Word::Name(name)) if KEYWORDS.contains(&name.as_str()) => Space::Yes,
            Some(Word::Name(_) | Word::Close(_)) => Space::No,
            Some(Word::Operator(op)) if op == ">" || op == "!" => Space::No,
            _ => self.after_last(),
        }
    }

    fn unless_just_opened(&self) -> Space {
        match self.last {
            Some(Word::Open(_)) => Space::No,
            _ => Space::Yes,
        }
    }

    /// Whether the next operator follows an operand.
    fn follows_operand(&self) -> bool {
        match &self.last {
            Some(Word::Name(name)) => !KEYWORDS.contains(&name.as_str()),
            Some(Word::Close(_)) => true,
            Some(Word::Operator(op)) => op == ">" || op == "?",
            _ => false,
        }
    }

    /// Whether a `<` opens generics. It does after `fn` and a name, after a name that starts with an upper-case
    /// letter, after a keyword, and wherever no operand precedes it, for example after `::`.
    fn opens_generics(&self) -> bool {
        match (&self.last, &self.before_last) {
            (Some(Word::Name(_)), Some(Word::Name(keyword))) if keyword == "fn" => true,
            (Some(Word::Name(name)), _) => {
                name.starts_with(char::is_uppercase) || KEYWORDS.contains(&name.as_str())
            }
            _ => !self.follows_operand(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Space {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reprinted(text: &str) {
        let tokens: TokenStream = text.parse().expect("tokens");
        assert_eq!(written(tokens), text);
    }

    #[test]
    fn signatures_are_printed_as_rustfmt_would() {
        reprinted("async fn greet<'a>(who: &'a str) -> Result<String, Error>");
        reprinted("fn f<T: Into<Vec<u8>> + Send, const N: usize>(self: Pin<&mut Self>, [a, b]: [T; N]) -> !");
        reprinted(
            "unsafe extern \"C\" fn g(State(s): State<Arc<S>>, mut x: *const u8) -> (u8, &'static str)",
        );
        reprinted(
            "fn h(f: impl Fn(u8) -> u8) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> where T: Clone",
        );
        reprinted(
            "fn i(x: <T as Tr>::X, y: &dyn Any, Query { page, .. }: Query) -> impl Iterator<Item = u8> + use<'_>",
        );
    }

    #[test]
    fn a_broken_line_reads_as_one_that_is_not() {
        let broken = "fn f<A,\n B,\n>(\n a: A,\n b: (B,),\n) -> u8";
        let tokens: TokenStream = broken.parse().expect("tokens");
        assert_eq!(written(tokens), "fn f<A, B>(a: A, b: (B,)) -> u8");
    }

    #[test]
    fn patterns_are_printed_as_rustfmt_would() {
        reprinted("Error::Empty | Error::Long { .. }");
        reprinted("Error::Http(400..=499)");
        reprinted("Error::Http(code) if *code < 500 && code.is_odd()");
        reprinted("as AuthError: AuthError::Expired");
        reprinted("e if e.kind() == ErrorKind::NotFound || !e.fatal()");
        reprinted("as Boxed<A, B>: Boxed(x @ 1.., &y, -1) if matches!(y, 2)");
    }
}
