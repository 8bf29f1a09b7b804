//! The stack traces of events that are not sent yet. They are captured as addresses on the thread of the failure, and
//! get function names on the thread that sends. Sentry's option `attach_stacktrace` looks up the names on the thread of
//! the failed run, which delays the run by milliseconds. The queue of the events does not belong here.

use std::collections::VecDeque;
use std::panic::PanicHookInfo;
use std::sync::Mutex;

use backtrace::Backtrace;
#[cfg(unix)]
use backtrace::BacktraceFrame;
use sentry::ClientOptions;
use sentry::integrations::backtrace::{backtrace_to_stacktrace, current_thread, process_event_stacktrace};
use sentry::integrations::panic::message_from_panic_info;
use sentry::protocol::{Envelope, EnvelopeItem, Event, Exception, Level, Mechanism, Stacktrace, Thread};
use sentry::types::Uuid;

use crate::base::foreign::{limits, text};
use crate::base::lock::lock;

/// The maximum number of stack traces that are kept, for waiting envelopes and for events that are being created.
const STACKS: usize = 200;
/// The maximum number of frames in a stack trace.
const DEPTH: usize = 128;
// The maximum number of characters that Sentry keeps of a function's name, and of the name of a file or package
// ([relay](https://docs.rs/relay-event-schema)).
const NAME: usize = 512;
const FILE: usize = 256;

/// The captured stack traces, each with the id of its event.
#[derive(Debug, Default)]
pub(super) struct Stacks(Mutex<VecDeque<(Uuid, Captured)>>);

/// A stack trace without function names, and the thread that it belongs to.
#[derive(Debug)]
pub(super) struct Captured {
    thread: Thread,
    addresses: Backtrace,
}

impl Stacks {
    /// Captures the stack trace of this thread for an error event that has none.
    pub(super) fn capture(&self, event: &Event<'_>) {
        if event.level < Level::Error || has_stack(event) {
            return;
        }
        let captured = Captured { thread: current_thread(false), addresses: stack() };
        let mut stacks = lock(&self.0);
        // If the list is full, its oldest stack trace belongs to an event that another integration has discarded, so
        // the stack trace can be removed.
        if stacks.len() == STACKS {
            stacks.pop_front();
        }
        stacks.push_back((event.event_id, captured));
    }

    /// Removes and returns the stack trace of the envelope's event, if there is one.
    pub(super) fn take(&self, envelope: &Envelope) -> Option<Captured> {
        let event = envelope.event()?.event_id;
        let mut stacks = lock(&self.0);
        let place = stacks.iter().position(|(id, _)| *id == event)?;
        stacks.remove(place).map(|(_, captured)| captured)
    }
}

impl Captured {
    /// Adds the stack trace to the event of an envelope, with the function names that `name` finds.
    pub(super) fn added_to(self, envelope: Envelope, name: impl FnOnce(Backtrace) -> Backtrace) -> Envelope {
        let Captured { mut thread, addresses } = self;
        let addresses = name(addresses);
        let mut stacktrace = backtrace_to_stacktrace(&addresses);
        if let Some(stacktrace) = &mut stacktrace {
            shorten(stacktrace);
        }
        let mut whole = Envelope::new().with_headers(envelope.headers().clone());
        for mut item in envelope.into_items() {
            if let EnvelopeItem::Event(event) = &mut item {
                let mut exceptions = event.exception.iter_mut();
                match exceptions.find(|exception| is_panic(exception)) {
                    Some(panic) => panic.stacktrace = stacktrace.take(),
                    None => {
                        thread.stacktrace = stacktrace.take();
                        event.threads.values.push(std::mem::take(&mut thread));
                    }
                }
            }
            whole.add_item(item);
        }
        whole
    }
}

fn shorten(stacktrace: &mut Stacktrace) {
    // Stack frames of the toolkit are not marked as frames of the application.
    let options = ClientOptions::new().in_app_exclude(["process_runtime"]);
    process_event_stacktrace(stacktrace, &options);
    for frame in &mut stacktrace.frames {
        cut(&mut frame.function, NAME);
        cut(&mut frame.symbol, NAME);
        cut(&mut frame.package, FILE);
        cut(&mut frame.filename, FILE);
    }
    // The calls that the innermost frame of the application makes only show how the stack trace was captured, so their
    // frames are removed.
    if let Some(last) = stacktrace.frames.iter().rposition(|frame| frame.in_app == Some(true)) {
        stacktrace.frames.truncate(last + 1);
    }
}

/// Returns the stack trace of this thread as addresses, without function names.
#[cfg(unix)]
fn stack() -> Backtrace {
    let mut frames = Vec::with_capacity(DEPTH);
    let mut keep = |frame: &backtrace::Frame| {
        frames.push(BacktraceFrame::from(frame.clone()));
        frames.len() < DEPTH
    };
    // SAFETY: The system's unwinder may be used by several threads at the same time, and `keep` accesses only local
    // data. `Backtrace::new_unresolved` would wait for the lock that the sending thread holds while it resolves names.
    unsafe { backtrace::trace_unsynchronized(&mut keep) };
    Backtrace::from(frames)
}

/// Returns the stack trace of this thread as addresses, without function names. On systems other than Unix, the
/// capture needs the lock of the crate `backtrace`.
#[cfg(not(unix))]
fn stack() -> Backtrace {
    let mut frames: Vec<_> = Backtrace::new_unresolved().into();
    frames.truncate(DEPTH);
    Backtrace::from(frames)
}

/// Returns the event for a panic, without a stack trace. The stack trace is captured afterwards, as for any other
/// event. Sentry's default would resolve the function names here, on the panicking thread.
pub(in crate::telemetry) fn panicked(info: &PanicHookInfo<'_>) -> Option<Event<'static>> {
    let exception = Exception {
        ty: "panic".into(),
        value: Some(text::cut(message_from_panic_info(info), limits::error_text()).into_owned()),
        mechanism: Some(Mechanism { ty: "panic".into(), handled: Some(false), ..Mechanism::default() }),
        ..Exception::default()
    };
    Some(Event { exception: vec![exception].into(), level: Level::Fatal, ..Event::default() })
}

/// Truncates a text to `most` characters, the length that Sentry keeps. Otherwise Sentry truncates the text and adds a
/// remark about this to the event.
fn cut(text: &mut Option<String>, most: usize) {
    if let Some(text) = text
        && let Some((end, _)) = text.char_indices().nth(most)
    {
        text.truncate(end);
    }
}

fn has_stack(event: &Event<'_>) -> bool {
    event.stacktrace.is_some()
        || event.exception.iter().any(|exception| exception.stacktrace.is_some())
        || event.threads.iter().any(|thread| thread.stacktrace.is_some())
}

fn is_panic(exception: &Exception) -> bool {
    exception.mechanism.as_ref().is_some_and(|mechanism| mechanism.ty == "panic")
}
