//! Limits and cleans texts that come from a test or a file, before they are stored or shown. The format of a report
//! does not belong here.

use std::error::Error;
use std::iter;

use crate::base::foreign::quote;

/// The maximum number of characters that are shown on one line.
const SHOWN: usize = 400;

/// Joins a text into one line without control characters, which a terminal could interpret. Other characters that have
/// no glyph, or that change the direction of a text, are escaped. A long text is cut off at [`SHOWN`] characters.
pub(in crate::testing) fn one_line(text: &str) -> String {
    let is_break = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
    let parts = text.split(is_break).map(str::trim).filter(|part| !part.is_empty());
    let mut line = Vec::from_iter(parts.map(quote::line)).join(" ");
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

/// Joins the messages of an error and of its sources.
pub(in crate::testing) fn with_sources(error: &dyn Error) -> String {
    let chain = iter::successors(Some(error), |&error| error.source());
    Vec::from_iter(chain.map(ToString::to_string)).join(": ")
}
