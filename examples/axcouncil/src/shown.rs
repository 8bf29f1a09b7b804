//! Texts of users and of other programs, for lines that people read.

/// Returns a text on one line: control characters, and characters without a glyph of their own, are escaped.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_on_its_line() {
        assert_eq!(shown("“Ärger”, 'C:\\x'"), "“Ärger”, 'C:\\x'");
        assert_eq!(shown("a\n\u{1b}[2J\u{202e}\u{2028}\u{9b}"), r"a\n\u{1b}[2J\u{202e}\u{2028}\u{9b}");
    }
}
