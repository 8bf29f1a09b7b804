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

/// Returns a text, cut at `limit` bytes. A text that fits is only borrowed, and so is a text that was cut before at
/// this limit.
#[inline]
pub(crate) fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit { text.into() } else { cut_longer(text, limit) }
}

#[cold]
fn cut_longer(text: &str, limit: usize) -> Cow<'_, str> {
    let is_cut = text.len() <= limit.saturating_add(LONGEST_MARK) && is_marked(text);
    if is_cut { text.into() } else { written(limit, |cut| cut.write_str(text)).into() }
}

/// The length of the longest mark, `…[+18446744073709551615 bytes]`.
const LONGEST_MARK: usize = 32;

fn is_marked(text: &str) -> bool {
    let count = text.strip_suffix(" bytes]").and_then(|text| Some(text.rsplit_once("…[+")?.1));
    count.is_some_and(|count| count.parse::<usize>().is_ok())
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
        CUTS.fetch_add(1, Ordering::Relaxed);
        let _ = write!(text, "…[+{omitted} bytes]");
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
        assert_eq!(cut(&cut("déjà vu", 5), 5), "déj…[+5 bytes]");
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
