//! Limits and cleans texts that come from a test or a file, before they are stored or shown.

use std::error::Error;
use std::iter;

/// The most characters that are shown on one line.
const SHOWN: usize = 400;

/// Joins a text into one line without control characters, so that a terminal shows it as text.
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

/// Returns the longest prefix of a text that has at most this many bytes.
pub(in crate::testing) fn at_most(bytes: usize, text: &str) -> &str {
    let ends = text.char_indices().map(|(start, letter)| start + letter.len_utf8());
    &text[..ends.take_while(|end| *end <= bytes).last().unwrap_or_default()]
}

/// Joins the text of an error and those of its sources.
pub(in crate::testing) fn with_sources(error: &dyn Error) -> String {
    let chain = iter::successors(Some(error), |&error| error.source());
    Vec::from_iter(chain.map(ToString::to_string)).join(": ")
}
