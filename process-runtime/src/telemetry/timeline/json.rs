//! Reads JSON that other programs wrote, and that may be damaged. A part that is not JSON costs itself: the reader
//! reports it and continues behind it. The reader calls itself only for the parts that its caller asks for, so nesting
//! of any depth is skipped. The meaning of the parts does not belong here.

use std::borrow::Cow;
use std::fmt;

/// The place of the reader in a text. Each call reads one value or less. White space, and bytes that are not UTF-8, are
/// accepted everywhere.
#[derive(Debug)]
pub(super) struct Json<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The first problem, and how many follow it.
    problem: Option<(String, usize)>,
    has_ended: bool,
}

/// A value that is not a list or an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    /// A string, without its quotes and escapes.
    Text(Cow<'a, str>),
    /// A number or a Boolean, as it is written.
    Word(&'a str),
    Null,
}

impl<'a> Json<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Json<'a> {
        Json { bytes, at: 0, problem: None, has_ended: false }
    }

    /// Has the text end at this place, until the next call. `whole` is the text of [`Json::new`].
    pub(super) fn end_at(&mut self, whole: &'a [u8], end: usize) {
        self.bytes = &whole[..end];
        self.has_ended = false;
    }

    /// Returns the place of the next byte.
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// Moves to the end of the text.
    pub(super) fn skip_all(&mut self) {
        self.at = self.bytes.len();
    }

    /// Moves past everything that may be between two values of a list. Returns the first byte of the next value, or
    /// `None` at the end. A crash can leave a run of NULs in a file.
    pub(super) fn between(&mut self) -> Option<u8> {
        let is_between =
            |byte: &u8| byte.is_ascii_whitespace() || byte.is_ascii_control() || b"[],".contains(byte);
        self.at += self.bytes[self.at..].iter().take_while(|byte| is_between(byte)).count();
        self.bytes.get(self.at).copied()
    }

    /// Returns the first byte of the next value, and `None` at the end.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.bytes.get(self.at).copied()
    }

    /// Reports a part that could not be read. The caller has read past it.
    pub(super) fn report(&mut self, problem: impl fmt::Display) {
        match &mut self.problem {
            Some((_, more)) => *more += 1,
            first => *first = Some((problem.to_string(), 0)),
        }
    }

    /// Returns what could not be read, on one line.
    pub(super) fn problem(self) -> Option<String> {
        self.problem.map(|(first, more)| match more {
            0 => first,
            more => format!("{first}, and {more} more problems"),
        })
    }

    /// Calls `each` with every key of an object and the reader in front of its value. Returns whether the object is
    /// complete. A value that is not an object is skipped.
    pub(super) fn object(&mut self, mut each: impl FnMut(&mut Self, &str)) -> bool {
        self.container(b'{', b'}', |json| {
            if json.peek() != Some(b'"') {
                return json.damaged();
            }
            let start = json.at;
            let key = json.string();
            if json.peek() != Some(b':') {
                return json.damaged_text(start);
            }
            json.at += 1;
            json.one(|json| each(json, &key));
        })
    }

    /// Calls `each` with the reader in front of every entry of a list. Returns whether the list is complete. A value
    /// that is not a list is skipped.
    pub(super) fn list(&mut self, mut each: impl FnMut(&mut Self)) -> bool {
        self.container(b'[', b']', |json| json.one(&mut each))
    }

    /// Returns the next value, if it is not a list or an object. Skips the value in each case. What is not JSON is
    /// reported and counts as `null`.
    pub(super) fn scalar(&mut self) -> Option<Scalar<'a>> {
        match self.peek()? {
            b'"' => Some(Scalar::Text(self.string())),
            b'{' | b'[' => {
                self.skip();
                None
            }
            _ => {
                let word = self.word();
                if matches!(word, "true" | "false") || word.parse::<f64>().is_ok() {
                    return Some(Scalar::Word(word));
                }
                if word != "null" {
                    self.damaged();
                }
                Some(Scalar::Null)
            }
        }
    }

    /// Skips the next value.
    pub(super) fn skip(&mut self) {
        match self.peek() {
            Some(b'"') => drop(self.raw_string()),
            Some(b'{' | b'[') => self.skip_container(true),
            _ => drop(self.word()),
        }
    }

    /// Skips a list or an object. Where a bracket is missing, it ends with a container around it. Without `has_texts`,
    /// quotes mean nothing. With `has_texts`, a part that is not JSON is reported and skipped, so that a quote without
    /// its partner does not hide the brackets behind it.
    fn skip_container(&mut self, has_texts: bool) {
        let mut open = Vec::new();
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'"' if has_texts => {
                    let start = self.at;
                    self.raw_string();
                    if !self.is_at_delimiter() {
                        self.damaged_text(start);
                    }
                    continue;
                }
                b'{' => open.push(b'}'),
                b'[' => open.push(b']'),
                b'}' | b']' => match open.iter().rposition(|close| *close == byte) {
                    Some(place) => open.truncate(place),
                    None => return,
                },
                b',' | b':' => {}
                byte if has_texts && !byte.is_ascii_whitespace() => {
                    self.word();
                    if !self.is_at_delimiter() {
                        self.damaged();
                    }
                    continue;
                }
                _ => {}
            }
            self.at += 1;
            if open.is_empty() {
                return;
            }
        }
        self.ended();
    }

    /// Reads the entries of a list or an object. An entry that reads nothing is skipped, so that the loop ends.
    fn container(&mut self, open: u8, close: u8, mut entry: impl FnMut(&mut Self)) -> bool {
        if self.peek() != Some(open) {
            self.skip();
            return false;
        }
        self.at += 1;
        loop {
            match self.peek() {
                Some(byte) if byte == close => {
                    self.at += 1;
                    return true;
                }
                Some(b',') => self.at += 1,
                // The end of a container around this one.
                Some(b'}' | b']') => {
                    self.invalid();
                    return false;
                }
                Some(_) => entry(self),
                None => {
                    self.ended();
                    return false;
                }
            }
        }
    }

    /// Has one value read, which ends at a comma or at the end of its container.
    fn one(&mut self, read: impl FnOnce(&mut Self)) {
        self.peek();
        let start = self.at;
        read(self);
        if self.at == start {
            self.skip();
        }
        if !matches!(self.peek(), None | Some(b',' | b'}' | b']')) {
            match self.bytes[start] {
                b'"' => self.damaged_text(start),
                _ => self.damaged(),
            }
        }
    }

    /// Returns whether what follows may stand behind a word or a string.
    fn is_at_delimiter(&mut self) -> bool {
        matches!(self.peek(), None | Some(b',' | b':' | b'}' | b']'))
    }

    /// Reports a string that is not followed by a delimiter, and skips it. `start` is the place of its first quote. Its
    /// second quote may be the start of another string, so the brackets between them can be those of containers.
    fn damaged_text(&mut self, start: usize) {
        self.at = start + 1;
        self.damaged();
    }

    /// Reports a part that is not JSON, and skips it. The part ends at a comma or at the end of its container. Quotes
    /// in it mean nothing, because a quote without its partner is a usual damage.
    fn damaged(&mut self) {
        self.invalid();
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b',' | b'}' | b']' => return,
                b'{' | b'[' => self.skip_container(false),
                _ => self.at += 1,
            }
        }
    }

    /// Reports that the next byte is not JSON.
    pub(super) fn invalid(&mut self) {
        let at = self.at;
        self.report(format_args!("invalid JSON at byte {at}"));
    }

    /// Reports once that the text ends inside a value. Each container around the value notices it.
    fn ended(&mut self) {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.report("the line ends inside a value");
        }
    }

    /// Reads a word up to the next delimiter. It is empty if it is not UTF-8.
    fn word(&mut self) -> &'a str {
        let is_end = |byte: &u8| b",:\"[]{}".contains(byte) || byte.is_ascii_whitespace();
        let rest = &self.bytes[self.at..];
        let word = &rest[..rest.iter().position(is_end).unwrap_or(rest.len())];
        self.at += word.len();
        std::str::from_utf8(word).unwrap_or_default()
    }

    /// Moves behind a string. Returns what is between its quotes.
    fn raw_string(&mut self) -> &'a [u8] {
        let start = self.at + 1;
        let mut at = start;
        loop {
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return &self.bytes[start..at];
                }
                Some(b'\\') => at += 2,
                Some(_) => at += 1,
                None => {
                    self.at = self.bytes.len();
                    self.ended();
                    return &self.bytes[start.min(self.at)..];
                }
            }
        }
    }

    /// Reads a string. Half of a surrogate pair, and what is not UTF-8, becomes U+FFFD.
    fn string(&mut self) -> Cow<'a, str> {
        let raw = self.raw_string();
        if !raw.contains(&b'\\') {
            return String::from_utf8_lossy(raw);
        }
        let mut units = Vec::new();
        let mut text = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(place) = rest.iter().position(|byte| *byte == b'\\') {
            let (plain, escape) = (&rest[..place], rest.get(place + 1));
            let code = rest.get(place + 2..place + 6).filter(|_| escape == Some(&b'u')).and_then(hexadecimal);
            if !plain.is_empty() || code.is_none() {
                flush(&mut units, &mut text);
                text.push_str(&String::from_utf8_lossy(plain));
            }
            let length = match (code, escape) {
                (Some(unit), _) => {
                    units.push(unit);
                    6
                }
                (None, Some(escape)) => {
                    text.push(escaped(*escape));
                    2
                }
                (None, None) => 1,
            };
            rest = &rest[place + length..];
        }
        flush(&mut units, &mut text);
        text.push_str(&String::from_utf8_lossy(rest));
        text.into()
    }
}

/// Appends the units of UTF-16 that neighbouring escapes have named.
fn flush(units: &mut Vec<u16>, text: &mut String) {
    text.extend(char::decode_utf16(units.drain(..)).map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

/// Returns the character of an escape with one letter.
fn escaped(letter: u8) -> char {
    match letter {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'"' | b'\\' | b'/' => letter.into(),
        _ => char::REPLACEMENT_CHARACTER,
    }
}

/// Reads four hexadecimal digits.
fn hexadecimal(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)? as u16))
}
