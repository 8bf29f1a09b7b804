//! Queues of lines for standard error and standard output. The program that reads a stream may be slow or stuck. Each
//! stream therefore has a queue, and a thread that writes the queued lines in order. Only [`Output::flush`] waits for
//! the thread, and only until a deadline. Lines and queues are bounded in bytes. A line that is too long is cut. A line
//! that does not fit into the queue, or that cannot be written, is lost and counted, and a line in the same stream
//! reports the number. Therefore the queue is only for streams that people read. The format of lines does not belong
//! here.

use crate::base::alarm::fork;
use crate::base::foreign::{limits, text};
use crate::base::lock::{lock, unpoisoned};
use crate::base::threads;
use std::borrow::Cow;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

/// The size of a buffer that is kept for later lines.
const BUFFER: usize = 64 << 10;

/// Standard error. It receives notices of the toolkit about itself, and failures of processes that no Sentry client
/// receives.
pub(crate) static STANDARD_ERROR: Output =
    Output::new("process-lines", |line| io::stderr().lock().write_all(line));

/// Standard output. It receives the log of `telemetry`.
#[cfg(feature = "metrics")]
pub(crate) static STANDARD_OUTPUT: Output = Output::new("process-log", |line| {
    let mut output = io::stdout().lock();
    output.write_all(line)?;
    output.flush()
});

/// A stream with its queue.
#[derive(Debug)]
pub(crate) struct Output {
    thread: &'static str,
    write: fn(&[u8]) -> io::Result<()>,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    written: Condvar,
    lost: AtomicU64,
}

#[derive(Debug)]
struct Waiting {
    /// The queued lines, each with its line feed.
    lines: Vec<u8>,
    has_writer: bool,
    /// The number of bytes that the thread is writing.
    writing: usize,
}

impl Waiting {
    fn is_written(&self) -> bool {
        self.lines.is_empty() && self.writing == 0
    }
}

impl Output {
    const fn new(thread: &'static str, write: fn(&[u8]) -> io::Result<()>) -> Output {
        let waiting = Waiting { lines: Vec::new(), has_writer: false, writing: 0 };
        Output {
            thread,
            write,
            waiting: Mutex::new(waiting),
            arrived: Condvar::new(),
            written: Condvar::new(),
            lost: AtomicU64::new(0),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }

    /// Starts the thread, unless the thread is running. The thread sleeps while the queue is empty, and ends with the
    /// program.
    pub(crate) fn start(&'static self) -> io::Result<()> {
        let mut waiting = self.waiting();
        if !waiting.has_writer {
            let report = |text| self.push(format!("critical_process: {text}\n").as_bytes());
            threads::keep(self.thread, || self.write_all(), report)?;
            waiting.has_writer = true;
        }
        Ok(())
    }

    /// Queues a line, which must end with a line feed. A line that is too long is cut. A line that does not fit into
    /// the queue is lost and counted.
    pub(crate) fn push(&self, line: &[u8]) {
        // In the child of a fork, no thread writes the queue, and the lock may never be released. The child may have no
        // run that would report this.
        if fork::report() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let line = &*cut(line, limits::line());
        let mut waiting = self.waiting();
        if waiting.lines.len() + waiting.writing + line.len() > limits::queue() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // While the thread is writing, it needs no wake-up, because it looks at the queue again before it sleeps.
        let is_asleep = waiting.is_written();
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        if is_asleep {
            self.arrived.notify_one();
        }
    }

    /// Returns the number of lines that did not fit into the queue or could not be written.
    #[cfg(feature = "metrics")]
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until every line is written, at most until `end`. Returns at once if the thread is not running.
    pub(crate) fn flush(&self, end: Instant) {
        let waiting = self.waiting();
        if waiting.has_writer {
            let rest = end.saturating_duration_since(Instant::now());
            let _ = self.written.wait_timeout_while(waiting, rest, |waiting| !waiting.is_written());
        }
    }

    fn write_all(&self) {
        // An earlier call may have panicked while it was writing.
        self.waiting().writing = 0;
        let mut lines = Vec::new();
        let mut reported = 0;
        loop {
            let waiting = self.waiting();
            let waiting = self.arrived.wait_while(waiting, |waiting| waiting.lines.is_empty());
            let mut waiting = unpoisoned(waiting);
            std::mem::swap(&mut waiting.lines, &mut lines);
            waiting.writing = lines.len();
            drop(waiting);
            // One write for each line, so that lines of several programs on one stream do not mix.
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                if (self.write)(line).is_err() {
                    self.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            lines.clear();
            lines.shrink_to(BUFFER);
            let lost = self.lost.load(Ordering::Relaxed);
            if lost != reported {
                reported = lost;
                let line =
                    format!("critical_process: {lost} lines so far could not be written to this output\n");
                let _ = (self.write)(line.as_bytes());
            }
            self.waiting().writing = 0;
            self.written.notify_all();
        }
    }
}

/// Returns the line, cut if its text is longer than `most` bytes.
fn cut(line: &[u8], most: usize) -> Cow<'_, [u8]> {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    if text.len() <= most {
        return line.into();
    }
    let mut cut = text::cut(&String::from_utf8_lossy(text), most).into_owned();
    cut.push('\n');
    cut.into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_at_a_character_and_keeps_its_end() {
        let text =
            |most| String::from_utf8(cut("a déjà vu\n".as_bytes(), most).into_owned()).expect("it is text");
        assert_eq!(text(11), "a déjà vu\n");
        assert_eq!(text(6), "a déj…[+5 bytes]\n");
        assert_eq!(text(7), "a déj…[+5 bytes]\n");
        assert_eq!(text(0), "…[+11 bytes]\n");
    }

    #[test]
    fn a_queue_is_bounded_in_bytes() {
        static OUTPUT: Output = Output::new("never started", |_| Ok(()));
        let line = [&[b'x'; 32 << 10][..], b"\n"].concat();
        for _ in 0..2_000 {
            OUTPUT.push(&line);
        }
        let bytes = OUTPUT.waiting().lines.len();
        assert!((15 << 20..=16 << 20).contains(&bytes), "{bytes}");
    }
}
