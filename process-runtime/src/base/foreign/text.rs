//! Text from foreign code, cut at a limit. An implementation of `Display` or `Debug` may write any number of bytes,
//! fail, or panic. [`bounded`] takes what it wrote until then. How a text is quoted where it is shown does not belong
//! here.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use super::guard::attempt;

/// The number of texts that were cut since the start.
static CUTS: AtomicU64 = AtomicU64::new(0);

/// Returns the number of texts that were cut since the start.
pub(crate) fn cuts() -> u64 {
    CUTS.load(Ordering::Relaxed)
}

/// Returns what the value writes, at most `limit` bytes of it. A longer text ends with `…[+N bytes]`, where N is the
/// number of bytes that the value had offered and that are left out. The value is stopped at the limit, so it costs
/// the limit and not its size. If the value fails or panics, the text ends with a remark about this.
pub(crate) fn bounded(value: &dyn fmt::Display, limit: usize) -> String {
    written(limit, |text| write!(text, "{value}"))
}

/// Does the same as [`bounded`] for a value's `Debug` form.
pub(crate) fn bounded_debug(value: &dyn fmt::Debug, limit: usize) -> String {
    written(limit, |text| write!(text, "{value:?}"))
}

/// Returns a text from outside, cut at `limit` bytes. A text that fits is only borrowed. For a text that the toolkit
/// may have cut before, use [`cut_again`].
#[inline]
pub(crate) fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit { text.into() } else { cut_longer(text, limit, 0).into() }
}

/// Does the same as [`cut`] for a text that the toolkit may have cut before. The mark at the end of such a text does
/// not count as text, and the bytes that it names count as left out.
#[inline]
pub(crate) fn cut_again(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return text.into();
    }
    match without_mark(text) {
        Some((whole, _)) if whole.len() <= limit => text.into(),
        Some((whole, omitted)) => cut_longer(whole, limit, omitted).into(),
        None => cut_longer(text, limit, 0).into(),
    }
}

#[cold]
fn cut_longer(text: &str, limit: usize, omitted: usize) -> String {
    let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    count_cut();
    format!("{}{}", &text[..end], Mark(omitted.saturating_add(text.len() - end)))
}

/// The mark at the end of a text that was cut, with the number of bytes that are left out. It has at most
/// [`LONGEST_MARK`] bytes.
struct Mark(usize);

/// The number of bytes of the longest mark, `…[+18446744073709551615 bytes]`, with room to spare.
pub(crate) const LONGEST_MARK: usize = 32;

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "…[+{} bytes]", self.0)
    }
}

/// Returns the text before a mark, and the number of the mark. Returns `None` if the text does not end with a mark.
fn without_mark(text: &str) -> Option<(&str, usize)> {
    let (whole, count) = text.strip_suffix(" bytes]")?.rsplit_once("…[+")?;
    let is_number = count.bytes().all(|byte| byte.is_ascii_digit()) && !count.starts_with('0');
    Some((whole, count.parse().ok().filter(|_| is_number)?))
}

/// Counts that something other than a text was cut.
pub(crate) fn count_cut() {
    CUTS.fetch_add(1, Ordering::Relaxed);
}

fn written(limit: usize, write: impl FnOnce(&mut Bounded) -> fmt::Result) -> String {
    let mut bounded = Bounded { text: String::new(), limit, omitted: 0 };
    let result = attempt(|| write(&mut bounded));
    let Bounded { mut text, omitted, .. } = bounded;
    if omitted > 0 {
        count_cut();
        let _ = write!(text, "{}", Mark(omitted));
        return text;
    }
    match result {
        Ok(Ok(())) => {}
        Ok(Err(_)) => text.push_str("[its `Display` failed]"),
        Err(_) => text.push_str("[its `Display` panicked]"),
    }
    text
}

/// A writer that takes at most `limit` bytes and then fails, so that the value stops writing.
struct Bounded {
    text: String,
    limit: usize,
    omitted: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        // A value that ignores the failure of one write must not write more after the cut.
        let room = if self.omitted > 0 { 0 } else { self.limit - self.text.len() };
        if more.len() <= room {
            self.text.push_str(more);
            return Ok(());
        }
        let taken = (0..=room).rev().find(|at| more.is_char_boundary(*at)).unwrap_or(0);
        self.text.push_str(&more[..taken]);
        self.omitted += more.len() - taken;
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Writes<F>(F);

    impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Display for Writes<F> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            (self.0)(f)
        }
    }

    #[test]
    fn a_text_is_cut_at_a_character_and_says_how_much_is_missing() {
        assert_eq!(bounded(&"as it is", 8), "as it is");
        assert_eq!(bounded(&"déjà vu", 5), "déj…[+5 bytes]");
        assert_eq!(cut("déjà vu", 0), "…[+9 bytes]");
    }

    #[test]
    fn a_text_that_is_cut_again_says_how_much_of_the_whole_is_missing() {
        let once = cut("déjà vu", 6).into_owned();
        assert_eq!(once, "déjà…[+3 bytes]");
        let padded = format!("…[+{}1 bytes]", "0".repeat(99));
        assert_eq!(cut_again(&padded, 4), "…[…[+108 bytes]", "a mark has no leading zeros");
        assert_eq!(cut_again(&once, 7), once);
        assert_eq!(cut_again(&once, 6), once);
        assert_eq!(cut_again(&once, 5), "déj…[+5 bytes]");
        assert_eq!(cut_again(&cut_again(&once, 5), 1), "d…[+8 bytes]");
        assert_eq!(cut_again("as it is", 8), "as it is");
    }

    #[test]
    fn a_text_from_outside_that_ends_like_a_mark_is_cut() {
        let text = "déjà…[+3 bytes]";
        assert_eq!(cut(text, 6), "déjà…[+13 bytes]");
        for not_a_mark in ["déjà…[++3 bytes]", "déjà…[+ bytes]", "déjà…[+3 bytes"] {
            let missing = not_a_mark.len() - 6;
            assert_eq!(cut_again(not_a_mark, 6), format!("déjà…[+{missing} bytes]"));
        }
    }

    #[test]
    fn an_endless_value_costs_the_limit() {
        let endless = Writes(|f: &mut fmt::Formatter<'_>| {
            loop {
                f.write_str("and on ")?;
            }
        });
        assert_eq!(bounded(&endless, 10), "and on and…[+4 bytes]");
        let deaf = Writes(|f: &mut fmt::Formatter<'_>| {
            let _ = f.write_str("too much of it");
            f.write_str("…and a tail")
        });
        assert_eq!(bounded(&deaf, 3), "too…[+24 bytes]");
    }

    #[test]
    fn what_was_written_before_a_failure_is_kept() {
        let fails = Writes(|f: &mut fmt::Formatter<'_>| f.write_str("half").and(Err(fmt::Error)));
        assert_eq!(bounded(&fails, 99), "half[its `Display` failed]");
        let panics = Writes(|f: &mut fmt::Formatter<'_>| {
            f.write_str("half")?;
            panic!("in Display")
        });
        assert_eq!(bounded(&panics, 99), "half[its `Display` panicked]");
    }
}
