//! Texts that came from a test or a file, as far as they are kept or shown.

/// The most characters that are shown on one line.
const SHOWN: usize = 400;

/// A text as one line that a terminal shows and does not obey.
pub(in crate::testing) fn one_line(text: &str) -> String {
    let parts: Vec<&str> =
        text.split(char::is_control).map(str::trim).filter(|part| !part.is_empty()).collect();
    let mut line = parts.join(" ");
    if let Some((end, _)) = line.char_indices().nth(SHOWN) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// As much of a text as so many bytes hold.
pub(in crate::testing) fn at_most(bytes: usize, text: &str) -> &str {
    let ends = text.char_indices().map(|(start, letter)| start + letter.len_utf8());
    &text[..ends.take_while(|end| *end <= bytes).last().unwrap_or_default()]
}
