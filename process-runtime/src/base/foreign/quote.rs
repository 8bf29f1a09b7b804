//! Quoting of foreign text where people and programs read it: one value, some words, or one line. A quoted text adds
//! no line, no field and no control sequence to its surroundings. The bound of a text belongs to `text`. The markup of
//! a format, such as XML, belongs to the writer of the format.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns a value for a line of `key=value` fields (logfmt). A value of safe characters is only borrowed. Any other
/// value, also the empty one, is in double quotes with the escapes of JSON: `\"`, `\\`, `\n`, `\r`, `\t` and `\u202e`.
/// A parser of logfmt or JSON therefore reads the value back.
pub(crate) fn value(text: &str) -> Cow<'_, str> {
    if is_bare(text) { text.into() } else { quoted(text).into() }
}

/// Does the same as [`value`], but words with one space between them also stay as they are. Use it for a name or a
/// type that more than one space, or a comma, separates from the next.
pub(crate) fn words(text: &str) -> Cow<'_, str> {
    if text.split(' ').all(is_bare) { text.into() } else { quoted(text).into() }
}

/// Returns a text without line breaks and control sequences, for a place where it is the rest of a line. Each
/// character that is [hidden](is_hidden) is escaped as in [`value`]. Quotes and backslashes stay as they are, so the
/// text is for people and cannot be read back.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return text.into();
    }
    let mut line = String::with_capacity(text.len() + 16);
    text.chars().for_each(|character| match is_hidden(character) {
        true => escape(&mut line, character),
        false => line.push(character),
    });
    line.into()
}

/// Returns whether a character has no glyph of its own, or changes how other characters are shown: control characters,
/// line and paragraph separators, marks of the writing direction, characters without a width, and code points that are
/// not characters.
pub(crate) fn is_hidden(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    // Unicode's categories Cc, Zl and Zp, its property Default_Ignorable_Code_Point, and its noncharacters.
    matches!(
        character,
        '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fdd0}'..='\u{fdef}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    ) || u32::from(character) & 0xfffe == 0xfffe
}

/// Returns how many bytes of a text fit if its quoted form, quotes included, may have at most `room` bytes.
pub(crate) fn fitting(text: &str, room: usize) -> usize {
    let mut room = room.saturating_sub("\"\"".len());
    let fits = |&(_, character): &(usize, char)| {
        let bytes = quoted_len(character);
        let fits = bytes <= room;
        room = room.saturating_sub(bytes);
        fits
    };
    text.char_indices().take_while(fits).last().map_or(0, |(at, character)| at + character.len_utf8())
}

/// Returns the number of bytes of a character inside of quotes.
fn quoted_len(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        character if is_hidden(character) => r"\u0000".len() * character.len_utf16(),
        character => character.len_utf8(),
    }
}

/// Returns whether a text needs no quotes.
fn is_bare(text: &str) -> bool {
    // An arrow marks a call to a dependency where a trace is drawn.
    let has_meaning = |character| matches!(character, '"' | '\'' | '`' | '\\' | '=' | ',' | '→');
    let needs_quotes =
        |character: char| has_meaning(character) || character.is_whitespace() || is_hidden(character);
    !text.is_empty() && !text.contains(needs_quotes)
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 16);
    quoted.push('"');
    text.chars().for_each(|character| match character {
        '"' | '\\' => quoted.extend(['\\', character]),
        character if is_hidden(character) => escape(&mut quoted, character),
        character => quoted.push(character),
    });
    quoted.push('"');
    quoted
}

/// Appends the escape of a character. JSON has no escape for a code point above U+FFFF, and uses two for it.
fn escape(text: &mut String, character: char) {
    match character {
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        character => {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_could_be_taken_for_something_else_is_quoted() {
        for bare in
            ["7", "u-1", "déjà", "a/b?c#d", "日本語", "2026-11-30T00:00:00Z", "<b>", "a|b", "[x]", "…"]
        {
            assert_eq!(value(bare), bare);
        }
        for (text, written) in [
            ("", r#""""#),
            ("a b", r#""a b""#),
            ("a, user_id=7", r#""a, user_id=7""#),
            ("a=b", r#""a=b""#),
            (r#"say "hi""#, r#""say \"hi\"""#),
            (r"C:\n", r#""C:\\n""#),
            ("a\nb\r\n\tc", r#""a\nb\r\n\tc""#),
            ("\u{1b}[2J", r#""\u001b[2J""#),
            ("\u{9b}2J", r#""\u009b2J""#),
            ("\u{202e}gnp", r#""\u202egnp""#),
            ("a\u{2028}b\u{85}c", r#""a\u2028b\u0085c""#),
            ("a\u{200b}b\u{feff}", r#""a\u200bb\ufeff""#),
            ("\u{e0041}", r#""\udb40\udc41""#),
            ("a\u{a0}b", "\"a\u{a0}b\""),
        ] {
            assert_eq!(value(text), written);
        }
    }

    #[test]
    fn a_text_that_looks_like_a_call_to_a_dependency_is_quoted() {
        assert_eq!(words("→ stripe"), r#""→ stripe""#);
    }

    #[test]
    fn the_part_that_fits_is_as_long_as_its_quoted_form_allows() {
        let text = "a\u{1}\"\u{e0041}é";
        assert_eq!(quoted(text).len(), 25);
        for (room, fits) in
            [(25, 9), (24, 7), (23, 7), (22, 3), (11, 3), (10, 2), (9, 2), (8, 1), (3, 1), (2, 0), (0, 0)]
        {
            assert_eq!(fitting(text, room), fits, "{room}");
        }
    }

    #[test]
    fn words_with_single_spaces_stay_as_they_are() {
        assert_eq!(words("GET /users/{id}"), "GET /users/{id}");
        assert_eq!(words("Box<dyn Error>"), "Box<dyn Error>");
        for text in ["", " a", "a ", "a  b", "a b=c", "a, b"] {
            assert_eq!(words(text), format!("\"{text}\""));
        }
    }

    #[test]
    fn a_line_stays_one_line_and_keeps_its_quotes() {
        assert_eq!(line(r#"it is "so", a=b \ c"#), r#"it is "so", a=b \ c"#);
        assert_eq!(line("one\ntwo\u{2029}\u{7f}\u{200f}"), r"one\ntwo\u2029\u007f\u200f");
    }

    #[cfg(any(feature = "telemetry", feature = "testing", feature = "health"))]
    #[test]
    fn every_character_is_read_back_and_none_is_hidden() {
        for character in '\0'..=char::MAX {
            let text = format!("a{character}b");
            let (value, words) = (value(&text), words(&text));
            assert!(
                !value.contains(is_hidden) && !words.contains(is_hidden) && !line(&text).contains(is_hidden)
            );
            for written in [value, words].iter().filter(|written| written.starts_with('"')) {
                let read: String = serde_json::from_str(written).expect("JSON");
                assert_eq!(read, text);
            }
        }
    }
}
