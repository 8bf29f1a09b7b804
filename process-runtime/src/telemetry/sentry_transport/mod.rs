//! Sends events to Sentry from a thread of its own. Another thread looks up the function names in their stack traces,
//! see `symbols`. Adding the data of runs to events does not belong here.
//!
//! This module replaces two parts of Sentry. Sentry's own transport does not report what it loses. Sentry's option
//! `attach_stacktrace` resolves the function names on the thread of the failed run, which delays the run by
//! milliseconds.

mod symbols;

use std::collections::VecDeque;
use std::panic::PanicHookInfo;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, Once};
use std::thread;
use std::time::{Duration, Instant};

use backtrace::Backtrace;
#[cfg(unix)]
use backtrace::BacktraceFrame;
use sentry::integrations::backtrace::{backtrace_to_stacktrace, current_thread, process_event_stacktrace};
use sentry::integrations::panic::message_from_panic_info;
use sentry::protocol::{Envelope, EnvelopeItem, Event, Exception, Level, Mechanism, Thread};
use sentry::transports::{RateLimiter, RateLimitingCategory};
use sentry::types::Uuid;
use sentry::{ClientOptions, Transport, TransportFactory, TransportOptions};
use sentry_core::client_report::{Reason, Recorder};
use ureq::Proxy;
use ureq::http::{HeaderMap, StatusCode};

use self::symbols::Symbols;
use super::environment::tls::{Pem, Tls};
use super::http_client;
use crate::base::lock::{lock, unpoisoned};
use crate::base::notices;
use crate::observe::metrics::{LOST_EVENTS, LOST_TRANSACTIONS};

/// The maximum number of envelopes that wait to be sent.
const MOST: usize = 100;
/// The maximum number of stack traces that are kept, for waiting envelopes and for events that are being created.
const STACKS: usize = 2 * MOST;
/// The maximum number of frames in a stack trace.
#[cfg(unix)]
const DEPTH: usize = 128;
// The maximum number of characters that Sentry keeps of a function's name, and of the name of a file or package
// ([relay](https://docs.rs/relay-event-schema)).
const NAME: usize = 512;
const FILE: usize = 256;
/// The timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The stack traces of unsent events. They contain addresses, whose function names are not resolved yet.
type Stacks = Mutex<VecDeque<(Uuid, Thread, Backtrace)>>;

/// The transport of one client. It is also an integration, which captures a stack trace for each error event that has
/// none.
#[derive(Clone, Debug, Default)]
pub(super) struct SentryTransport {
    stacks: Arc<Stacks>,
    tls: Tls,
    proxy: Option<Proxy>,
}

impl SentryTransport {
    /// Returns a transport that trusts these certificate authorities, or Mozilla's list if `authorities` is `None`.
    pub(super) fn new(authorities: Option<Pem>, proxy: Option<Proxy>) -> SentryTransport {
        SentryTransport { tls: Tls { authorities, identity: None }, proxy, ..SentryTransport::default() }
    }
}

impl sentry_core::Integration for SentryTransport {
    fn name(&self) -> &'static str {
        "attach-stacktrace"
    }

    fn process_event(&self, event: Event<'static>, _: &ClientOptions) -> Option<Event<'static>> {
        if event.level >= Level::Error && !has_stack(&event) {
            let stack = (event.event_id, current_thread(false), stack());
            let mut stacks = lock(&self.stacks);
            // If the list is full, its oldest stack trace belongs to an event that another integration has discarded,
            // so the stack trace can be removed.
            if stacks.len() == STACKS {
                stacks.pop_front();
            }
            stacks.push_back(stack);
        }
        Some(event)
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
    Backtrace::new_unresolved()
}

/// Returns the event for a panic, without a stack trace. The stack trace is captured afterwards, as for any other
/// event. Sentry's default would resolve the function names here, on the panicking thread.
pub(super) fn panicked(info: &PanicHookInfo<'_>) -> Option<Event<'static>> {
    let exception = Exception {
        ty: "panic".into(),
        value: Some(message_from_panic_info(info).to_owned()),
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

impl TransportFactory for SentryTransport {
    fn create_transport_with_options(&self, options: TransportOptions) -> Arc<dyn Transport> {
        let most = options.transport_channel_capacity.map_or(MOST, Into::into);
        let waiting = Waiting {
            queue: Mutex::default(),
            changed: Condvar::new(),
            most,
            recorder: options.client_report_recorder.clone(),
            stacks: Arc::clone(&self.stacks),
            overflow: Once::new(),
        };
        let waiting = Arc::new(waiting);
        let tls = self.tls.http_config();
        let sender = Sender {
            host: options.dsn.host().to_owned(),
            url: options.dsn.envelope_api_url().to_string(),
            auth: options.dsn.to_auth(Some(&options.user_agent)).to_string(),
            agent: http_client::agent(
                TIMEOUT,
                tls.disable_verification(options.accept_invalid_certs).build(),
                self.proxy.clone(),
            ),
            limits: RateLimiter::new(),
            symbols: Symbols::start(),
            waiting: Arc::clone(&waiting),
        };
        let builder = thread::Builder::new().name("telemetry-sentry".into());
        if let Err(error) = builder.spawn(move || sender.run()) {
            notices::once(format!("cannot start the thread that sends to Sentry: {error}"));
        }
        waiting
    }
}

#[derive(Default)]
struct Queue {
    envelopes: VecDeque<Envelope>,
    is_sending: bool,
    is_closed: bool,
    /// During a flush, the end of the time for looking up the names of functions.
    names_until: Option<Instant>,
}

/// The envelopes that wait to be sent.
struct Waiting {
    queue: Mutex<Queue>,
    changed: Condvar,
    most: usize,
    recorder: Recorder,
    stacks: Arc<Stacks>,
    overflow: Once,
}

impl Waiting {
    /// Waits for the next envelope and returns it. Returns `None` after the shutdown.
    fn next(&self) -> Option<Envelope> {
        let mut queue = lock(&self.queue);
        queue.is_sending = false;
        self.changed.notify_all();
        let idle = |queue: &mut Queue| queue.envelopes.is_empty() && !queue.is_closed;
        let mut queue = unpoisoned(self.changed.wait_while(queue, idle));
        let next = queue.envelopes.pop_front();
        queue.is_sending = next.is_some();
        next
    }

    /// Removes the stack trace of the envelope's event from `stacks` and returns it, if there is one.
    fn stack_of(&self, envelope: &Envelope) -> Option<(Thread, Backtrace)> {
        let event = envelope.event()?.event_id;
        let mut stacks = lock(&self.stacks);
        let place = stacks.iter().position(|(id, ..)| *id == event)?;
        stacks.remove(place).map(|(_, thread, stack)| (thread, stack))
    }

    fn lost(&self, envelope: &Envelope, reason: Option<Reason>) {
        drop(self.stack_of(envelope));
        if let Some(reason) = reason {
            self.recorder.record_lost_data(envelope, reason);
        }
        for item in envelope.items() {
            match item {
                EnvelopeItem::Event(_) => LOST_EVENTS.fetch_add(1, Ordering::Relaxed),
                EnvelopeItem::Transaction(_) => LOST_TRANSACTIONS.fetch_add(1, Ordering::Relaxed),
                _ => 0,
            };
        }
    }
}

impl Transport for Waiting {
    fn send_envelope(&self, envelope: Envelope) {
        let mut queue = lock(&self.queue);
        if queue.envelopes.len() < self.most && !queue.is_closed {
            queue.envelopes.push_back(envelope);
            drop(queue);
            self.changed.notify_all();
        } else {
            drop(queue);
            self.lost(&envelope, Some(Reason::QueueOverflow));
            self.overflow.call_once(|| {
                notices::once(format!(
                    "the Sentry queue is full with {} events and traces; further ones are lost until there is room",
                    self.most
                ));
            });
        }
    }

    fn flush(&self, timeout: Duration) -> bool {
        let mut queue = lock(&self.queue);
        // The other half is for sending. An event without names is worth more than no event.
        let names = Some(timeout / 2).filter(|names| !names.is_zero());
        queue.names_until = names.and_then(|names| Instant::now().checked_add(names));
        let is_busy = |queue: &mut Queue| queue.is_sending || !queue.envelopes.is_empty();
        let (mut queue, ended) = unpoisoned(self.changed.wait_timeout_while(queue, timeout, is_busy));
        queue.names_until = None;
        !ended.timed_out()
    }

    fn shutdown(&self, timeout: Duration) -> bool {
        let flushed = self.flush(timeout);
        let mut queue = lock(&self.queue);
        queue.is_closed = true;
        let rest = std::mem::take(&mut queue.envelopes);
        drop(queue);
        self.changed.notify_all();
        rest.iter().for_each(|envelope| self.lost(envelope, None));
        flushed
    }
}

/// The state of the sending thread.
struct Sender {
    host: String,
    url: String,
    auth: String,
    agent: ureq::Agent,
    limits: RateLimiter,
    symbols: Symbols,
    waiting: Arc<Waiting>,
}

impl Sender {
    fn run(mut self) {
        super::logs::exports_only();
        while let Some(envelope) = self.waiting.next() {
            if self.is_limited(&envelope) {
                self.waiting.lost(&envelope, Some(Reason::RatelimitBackoff));
                notices::once(format!(
                    "Sentry at {} limits the rate of events, and events are lost",
                    self.host
                ));
                continue;
            }
            let envelope = self.with_stack(envelope);
            if let Err(lost) = self.send(&envelope) {
                self.waiting.lost(&envelope, lost);
            }
        }
    }

    fn is_limited(&self, envelope: &Envelope) -> bool {
        let category = match envelope.event() {
            Some(_) => RateLimitingCategory::Error,
            None => RateLimitingCategory::Transaction,
        };
        self.limits.is_disabled(category).is_some()
    }

    /// Adds to an envelope the stack trace of the envelope's event, with function names. An envelope for which no
    /// stack trace was captured stays unchanged.
    fn with_stack(&self, envelope: Envelope) -> Envelope {
        let Some((mut thread, stack)) = self.waiting.stack_of(&envelope) else { return envelope };
        let stack = self.symbols.names(stack, || lock(&self.waiting.queue).names_until);
        let mut stacktrace = backtrace_to_stacktrace(&stack);
        if let Some(stacktrace) = &mut stacktrace {
            // Stack frames of the toolkit are not marked as frames of the application.
            let options = ClientOptions::new().in_app_exclude(["process_runtime"]);
            process_event_stacktrace(stacktrace, &options);
            for frame in &mut stacktrace.frames {
                cut(&mut frame.function, NAME);
                cut(&mut frame.symbol, NAME);
                cut(&mut frame.package, FILE);
                cut(&mut frame.filename, FILE);
            }
            // The calls that the innermost frame of the application makes only show how the stack trace was captured,
            // so their frames are removed.
            if let Some(last) = stacktrace.frames.iter().rposition(|frame| frame.in_app == Some(true)) {
                stacktrace.frames.truncate(last + 1);
            }
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

    /// Sends an envelope. An error means that the envelope is lost. The error is the reason to report to Sentry, or
    /// `None` if Sentry counts the loss itself.
    fn send(&mut self, envelope: &Envelope) -> Result<(), Option<Reason>> {
        let mut body = Vec::new();
        envelope.to_writer(&mut body).map_err(|_| Some(Reason::InternalError))?;
        let request = self.agent.post(&self.url).header("X-Sentry-Auth", &self.auth);
        let mut answer = request.send(&body).map_err(|error| {
            notices::once(format!("cannot reach Sentry at {}, and events are lost: {error}", self.host));
            Some(Reason::NetworkError)
        })?;
        // A connection is reused only after its response was read.
        let _ = answer.body_mut().with_config().limit(http_client::ANSWER).read_to_vec();
        self.limit(answer.status(), answer.headers());
        if answer.status().is_success() {
            return Ok(());
        }
        notices::once(format!(
            "cannot send to Sentry at {}, and events are lost: the status is {}",
            self.host,
            answer.status()
        ));
        // Sentry itself counts the events that it rejects because of a rate limit.
        let is_limited = answer.status() == StatusCode::TOO_MANY_REQUESTS;
        Err((!is_limited).then_some(Reason::SendError))
    }

    fn limit(&mut self, status: StatusCode, headers: &HeaderMap) {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(limits) = header("x-sentry-rate-limits") {
            self.limits.update_from_sentry_header(limits);
        } else if let Some(after) = header("retry-after") {
            self.limits.update_from_retry_after(after);
        } else if status == StatusCode::TOO_MANY_REQUESTS {
            self.limits.update_from_429();
        }
    }
}
