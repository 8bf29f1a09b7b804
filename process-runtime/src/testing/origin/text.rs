//! Limits and cleans texts that come from a test or a file, before they are stored or shown. The format of a report
//! does not belong here.

use std::error::Error;

use crate::base::foreign::{chain, quote, text};

/// The maximum number of bytes of a text that are shown on one line.
const SHOWN: usize = 400;

/// Joins a text into one line without control characters, which a terminal could interpret. Other characters that have
/// no glyph, or that change the direction of a text, are escaped. A text is cut at [`SHOWN`] bytes.
pub(in crate::testing) fn one_line(text: &str) -> String {
    let text = text::cut_again(text.trim(), SHOWN);
    let is_break = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
    let parts = text.split(is_break).map(str::trim).filter(|part| !part.is_empty());
    Vec::from_iter(parts.map(quote::line)).join(" ")
}

/// Joins the messages of an error and of its sources.
pub(in crate::testing) fn with_sources(error: &dyn Error) -> String {
    Vec::from_iter(chain::links(error).map(ToString::to_string)).join(": ")
}
