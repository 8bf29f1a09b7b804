//! Causes of problems that can last or recur, such as a collector that cannot be reached. The number of causes is fixed
//! when the program is compiled. A text from outside is only a bounded sample of a cause, so no peer can add causes,
//! use up their number or fill the memory. Findings about the program's own configuration belong to `notices`.

use std::fmt::{self, Display};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::foreign::{quote, text};
use super::lock::lock;
use super::notices;

/// The time between two lines about a problem that lasts.
const PERIOD: Duration = Duration::from_secs(15 * 60);
/// The maximum number of lines about one cause in one [`PERIOD`], so that a problem that begins and ends again and
/// again does not flood standard error.
const LINES: u32 = 8;
/// The maximum number of bytes of a sample.
const SAMPLE: usize = 256;
/// The value of [`Cause::due`] while the problem does not last.
const ENDED: u64 = u64::MAX;

/// Every cause that has occurred.
static OCCURRED: Mutex<Vec<&'static Cause>> = Mutex::new(Vec::new());

/// A cause of a problem. One line reports its begin, one line every 15 minutes reports that it lasts, and one line
/// reports its end. All other occurrences are only counted.
///
/// ```ignore
/// static UNREACHABLE: Cause = Cause::new("cannot send traces to");
/// match send() {
///     Ok(()) => UNREACHABLE.ended(),
///     Err(error) => UNREACHABLE.happened(format_args!("{place}: {error}")),
/// }
/// ```
#[derive(Debug)]
pub(crate) struct Cause {
    what: &'static str,
    /// How often the problem occurred since it began.
    times: AtomicU64,
    /// The time in milliseconds from which on the next occurrence may write a line, or [`ENDED`].
    due: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The time at which the problem began, while it lasts.
    began: Option<Duration>,
    /// Whether a line has reported the begin.
    is_reported: bool,
    /// How often the problem occurred in all, without `times`.
    earlier: u64,
    sample: String,
    /// The begin of the current period, and the number of lines in it.
    period: Option<Duration>,
    lines: u32,
}

/// Returns the time that the functions of this file use, which starts at their first call.
fn now() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

impl Cause {
    /// Creates a cause. `what` is the beginning of its lines, which the sample continues.
    pub(crate) const fn new(what: &'static str) -> Cause {
        let state = State {
            began: None,
            is_reported: false,
            earlier: 0,
            sample: String::new(),
            period: None,
            lines: 0,
        };
        Cause { what, times: AtomicU64::new(0), due: AtomicU64::new(ENDED), state: Mutex::new(state) }
    }

    /// Counts an occurrence of the problem, and writes a line if one is due. The sample may be any text from outside.
    /// It is formatted only for a line.
    pub(crate) fn happened(&'static self, sample: impl Display) {
        if let Some(line) = self.happened_at(now(), &sample) {
            notices::line(line);
        }
    }

    /// Ends the problem, and writes a line if it lasted. Call this after a success of what had failed. It costs one
    /// read if there was no problem.
    pub(crate) fn ended(&'static self) {
        if self.due.load(Ordering::Relaxed) != ENDED
            && let Some(line) = self.ended_at(now())
        {
            notices::line(line);
        }
    }

    /// Ends the problem, unless it has occurred since [`Cause::times`] returned `before`.
    pub(crate) fn ended_unless_since(&'static self, before: u64) {
        if self.times() == before {
            self.ended();
        }
    }

    fn happened_at(&'static self, now: Duration, sample: &dyn Display) -> Option<String> {
        self.times.fetch_add(1, Ordering::Relaxed);
        let due = self.due.load(Ordering::Relaxed);
        if due != ENDED && (now.as_millis() as u64) < due {
            return None;
        }
        // No lock is held while the foreign text is formatted.
        let sample = quote::line(&text::bounded(sample, SAMPLE)).into_owned();
        let mut state = lock(&self.state);
        if state.period.is_none() && state.began.is_none() {
            lock(&OCCURRED).push(self);
        }
        state.sample = sample;
        let began = *state.began.get_or_insert(now);
        // One line is kept for the end.
        let may_write = state.may_write(now, 2);
        let next = state.period.unwrap_or(now) + PERIOD;
        self.due.store(next.as_millis() as u64, Ordering::Relaxed);
        if !may_write {
            return None;
        }
        state.is_reported = true;
        let times = self.times.load(Ordering::Relaxed);
        let text = format!("critical_process: {} {}", self.what, state.sample);
        if times == 1 {
            return Some(text);
        }
        Some(format!("{text} ({} so far)", Times(times, now.saturating_sub(began))))
    }

    fn ended_at(&self, now: Duration) -> Option<String> {
        let mut state = lock(&self.state);
        let began = state.began.take()?;
        self.due.store(ENDED, Ordering::Relaxed);
        let times = self.times.swap(0, Ordering::Relaxed);
        state.earlier += times;
        // Without a line about the begin, there is none about the end.
        let is_reported = std::mem::take(&mut state.is_reported) && state.may_write(now, 1);
        is_reported.then(|| {
            let lasted = Times(times, now.saturating_sub(began));
            format!("critical_process: {} {} (ended: {lasted})", self.what, state.sample)
        })
    }

    /// Returns how often the problem has occurred.
    pub(crate) fn times(&self) -> u64 {
        lock(&self.state).earlier + self.times.load(Ordering::Relaxed)
    }

    /// Returns the cause in one line, with the last sample and the number of occurrences.
    fn shown(&self) -> String {
        let state = lock(&self.state);
        let times = state.earlier + self.times.load(Ordering::Relaxed);
        let plural = if times == 1 { "" } else { "s" };
        let times = match state.began {
            Some(_) => format!("{times} time{plural} so far"),
            None => format!("ended: {times} time{plural}"),
        };
        format!("{} {} ({times})", self.what, state.sample)
    }
}

impl State {
    /// Returns whether `needed` more lines fit into the current period. If so, one of them counts as written.
    fn may_write(&mut self, now: Duration, needed: u32) -> bool {
        if self.period.is_none_or(|period| now.saturating_sub(period) >= PERIOD) {
            self.period = Some(now);
            self.lines = 0;
        }
        let may_write = self.lines + needed <= LINES;
        self.lines += u32::from(may_write);
        may_write
    }
}

/// A number of occurrences and the time in which they occurred.
struct Times(u64, Duration);

impl Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Times(times, lasted) = *self;
        let seconds = lasted.as_secs();
        write!(f, "{times} time{} in ", if times == 1 { "" } else { "s" })?;
        if seconds < 120 { write!(f, "{seconds} s") } else { write!(f, "{} min", seconds / 60) }
    }
}

/// Returns each cause that has occurred, in the order of the first occurrences.
pub(crate) fn occurred() -> Vec<String> {
    let causes = lock(&OCCURRED).clone();
    causes.into_iter().map(Cause::shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn cause() -> &'static Cause {
        Box::leak(Box::new(Cause::new("cannot send traces to")))
    }

    #[test]
    fn a_problem_is_reported_when_it_begins_every_15_minutes_and_when_it_ends() {
        let cause = cause();
        let mut lines = Vec::new();
        // Once a second for 40 minutes, with a new text each time.
        for second in 0..40 * 60 {
            let sample = format!("collector:4318: error {second}");
            lines.extend(cause.happened_at(Duration::from_secs(second), &sample));
        }
        lines.extend(cause.ended_at(40 * MINUTE));
        lines.extend(cause.ended_at(41 * MINUTE));
        let text = "critical_process: cannot send traces to collector:4318: error";
        let expected = [
            format!("{text} 0"),
            format!("{text} 900 (901 times in 15 min so far)"),
            format!("{text} 1800 (1801 times in 30 min so far)"),
            format!("{text} 1800 (ended: 2400 times in 40 min)"),
        ];
        assert_eq!(lines, expected);
        let again = cause.happened_at(50 * MINUTE, &"collector:4318: anew");
        assert_eq!(again.as_deref(), Some("critical_process: cannot send traces to collector:4318: anew"));
        assert_eq!(cause.shown(), "cannot send traces to collector:4318: anew (2401 times so far)");
    }

    #[test]
    fn a_problem_that_begins_and_ends_all_the_time_is_bounded() {
        let cause = cause();
        let mut lines = Vec::new();
        for second in 0..30 * 60 {
            let now = Duration::from_secs(second);
            lines.extend(cause.happened_at(now, &"x"));
            lines.extend(cause.ended_at(now));
        }
        assert_eq!(lines.len(), 2 * LINES as usize, "{lines:#?}");
        assert!(lines.chunks(2).all(|pair| pair[1].contains("(ended: ")), "{lines:#?}");
        assert_eq!(cause.shown(), "cannot send traces to x (ended: 1800 times)");
    }

    #[test]
    fn a_sample_is_bounded_and_stays_on_its_line() {
        let forged = "a\ncritical_process: b\u{2028}c\u{202e}d\u{1b}[31m";
        let line = cause().happened_at(MINUTE, &forged).expect("it begins");
        assert!(line.ends_with(r"to a\ncritical_process: b\u2028c\u202ed\u001b[31m"), "{line}");
        let line = cause().happened_at(MINUTE, &"x".repeat(1 << 20)).expect("it begins");
        assert!(line.len() < 400 && line.ends_with(" bytes]"), "{line}");
    }
}
