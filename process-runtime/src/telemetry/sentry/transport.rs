//! Sends envelopes to Sentry from a thread of its own, from a queue that is bounded in number and in bytes.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use sentry::protocol::{Envelope, EnvelopeItem, Event};
use sentry::transports::{RateLimiter, RateLimitingCategory};
use sentry::{ClientOptions, Transport, TransportFactory, TransportOptions};
use sentry_core::client_report::{Reason, Recorder};
use ureq::Proxy;
use ureq::http::{HeaderMap, StatusCode};

use super::fit;
use super::stacks::Stacks;
use super::symbols::Symbols;
use crate::base::cause::Cause;
use crate::base::foreign::guard::attempt;
use crate::base::foreign::limits;
use crate::base::lock::{lock, unpoisoned};
use crate::base::{notices, threads};
use crate::observe::metrics::{LOST_EVENTS, LOST_TRANSACTIONS};
use crate::telemetry::environment::tls::{Pem, Tls};
use crate::telemetry::http_client;

/// The maximum number of envelopes that wait to be sent.
const MOST: usize = 100;
/// The longest time for which a rate limit of Sentry stops sending. A longer limit is shortened.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// The timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(10);

static FULL: Cause = Cause::new("the Sentry queue is full with");
static UNREACHABLE: Cause = Cause::new("cannot reach Sentry at");
static REFUSED: Cause = Cause::new("cannot send to Sentry at");
/// Sentry limits the rate of events.
static LIMITED: Cause = Cause::new("cannot send to Sentry at");

/// The transport of one client. It is also an integration, which captures a stack trace for each error event that has
/// none.
#[derive(Clone, Debug, Default)]
pub(in crate::telemetry) struct SentryTransport {
    stacks: Arc<Stacks>,
    tls: Tls,
    proxy: Option<Proxy>,
}

impl SentryTransport {
    /// Returns a transport that trusts these certificate authorities, or Mozilla's list if `authorities` is `None`.
    pub(in crate::telemetry) fn new(authorities: Option<Pem>, proxy: Option<Proxy>) -> SentryTransport {
        SentryTransport { tls: Tls { authorities, identity: None }, proxy, ..SentryTransport::default() }
    }
}

impl sentry_core::Integration for SentryTransport {
    fn name(&self) -> &'static str {
        "attach-stacktrace"
    }

    fn process_event(&self, event: Event<'static>, _: &ClientOptions) -> Option<Event<'static>> {
        self.stacks.capture(&event);
        Some(event)
    }
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
        // A panic loses the envelope that is being sent, and nothing else.
        let sender = Mutex::new(sender);
        let run = move || lock(&sender).run();
        if let Err(error) = threads::keep("telemetry-sentry", run, notices::once) {
            notices::once(format!("cannot start the thread that sends to Sentry: {error}"));
        }
        waiting
    }
}

#[derive(Default)]
struct Queue {
    /// The envelopes, each with its number of bytes.
    envelopes: VecDeque<(Envelope, usize)>,
    /// The bytes of the envelope that is being sent.
    sending: Option<usize>,
    /// The bytes of all envelopes, also of the one that is being sent.
    bytes: usize,
    /// How often the queue had been full when the last envelope was sent.
    losses: u64,
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
}

impl Waiting {
    /// Waits for the next envelope and returns it. Returns `None` after the shutdown.
    fn next(&self) -> Option<Envelope> {
        let mut queue = lock(&self.queue);
        queue.bytes -= queue.sending.take().unwrap_or(0);
        self.changed.notify_all();
        let before = std::mem::replace(&mut queue.losses, FULL.times());
        if queue.envelopes.len() <= self.most / 2 && queue.bytes <= limits::queue() / 2 {
            FULL.ended_unless_since(before);
        }
        let idle = |queue: &mut Queue| queue.envelopes.is_empty() && !queue.is_closed;
        let mut queue = unpoisoned(self.changed.wait_while(queue, idle));
        let (next, bytes) = queue.envelopes.pop_front()?;
        queue.sending = Some(bytes);
        Some(next)
    }

    /// Queues an envelope, or returns it if the queue has no room for it.
    fn push(&self, envelope: Envelope) -> Option<Envelope> {
        let bytes = size(&envelope);
        let mut queue = lock(&self.queue);
        let (envelopes, waiting, limit) = (queue.envelopes.len(), queue.bytes, limits::queue());
        if queue.is_closed {
            return Some(envelope);
        }
        if envelopes < self.most && waiting.saturating_add(bytes) <= limit {
            queue.envelopes.push_back((envelope, bytes));
            queue.bytes += bytes;
            drop(queue);
            self.changed.notify_all();
            return None;
        }
        drop(queue);
        let until = "further ones are lost until there is room";
        match envelopes < self.most {
            false => FULL.happened(format_args!("{envelopes} events and traces; {until}")),
            true => FULL.happened(format_args!("{waiting} of {limit} bytes (`Limits::queue`); {until}")),
        }
        Some(envelope)
    }

    fn lost(&self, envelope: &Envelope, reason: Option<Reason>) {
        drop(self.stacks.take(envelope));
        if let Some(reason) = reason {
            self.recorder.record_lost_data(envelope, reason);
        }
        Lost::of(envelope).count();
    }
}

/// The items of an envelope that count as lost if the envelope is.
struct Lost {
    events: u64,
    transactions: u64,
}

impl Lost {
    fn of(envelope: &Envelope) -> Lost {
        let count = |is: fn(&EnvelopeItem) -> bool| envelope.items().filter(|item| is(item)).count() as u64;
        Lost {
            events: count(|item| matches!(item, EnvelopeItem::Event(_))),
            transactions: count(|item| matches!(item, EnvelopeItem::Transaction(_))),
        }
    }

    fn count(&self) {
        LOST_EVENTS.fetch_add(self.events, Ordering::Relaxed);
        LOST_TRANSACTIONS.fetch_add(self.transactions, Ordering::Relaxed);
    }
}

impl Transport for Waiting {
    fn send_envelope(&self, envelope: Envelope) {
        // An event that is too large for its limit is usually cut on the thread that sends. It is cut here only if the
        // queue has no room for the whole event.
        let Some(envelope) = self.push(envelope) else { return };
        let rest = match fit::is_too_large(&envelope) {
            true => self.push(fit::fitted(envelope)),
            false => Some(envelope),
        };
        if let Some(lost) = rest {
            self.lost(&lost, Some(Reason::QueueOverflow));
        }
    }

    fn flush(&self, timeout: Duration) -> bool {
        let mut queue = lock(&self.queue);
        // The other half is for sending. An event without names is worth more than no event.
        let names = Some(timeout / 2).filter(|names| !names.is_zero());
        queue.names_until = names.and_then(|names| Instant::now().checked_add(names));
        let is_busy = |queue: &mut Queue| queue.sending.is_some() || !queue.envelopes.is_empty();
        let (mut queue, ended) = unpoisoned(self.changed.wait_timeout_while(queue, timeout, is_busy));
        queue.names_until = None;
        !ended.timed_out()
    }

    fn shutdown(&self, timeout: Duration) -> bool {
        let flushed = self.flush(timeout);
        let mut queue = lock(&self.queue);
        queue.is_closed = true;
        let rest = std::mem::take(&mut queue.envelopes);
        queue.bytes = queue.sending.unwrap_or(0);
        drop(queue);
        self.changed.notify_all();
        rest.iter().for_each(|(envelope, _)| self.lost(envelope, None));
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
    fn run(&mut self) {
        crate::telemetry::logs::exports_only();
        while let Some(envelope) = self.waiting.next() {
            let lost = Lost::of(&envelope);
            if let Err(panic) = attempt(|| self.deliver(envelope)) {
                lost.count();
                panic.resume();
            }
        }
    }

    /// Sends an envelope, or counts it as lost.
    fn deliver(&mut self, envelope: Envelope) {
        if let Some(pause) = self.pause(&envelope) {
            self.waiting.lost(&envelope, Some(Reason::RatelimitBackoff));
            let seconds = pause.as_secs() + 1;
            LIMITED.happened(format_args!(
                "{}, and events are lost: it limits their rate, for another {seconds} s",
                self.host
            ));
            return;
        }
        let envelope = match self.waiting.stacks.take(&envelope) {
            Some(stack) => {
                let until = || lock(&self.waiting.queue).names_until;
                stack.added_to(envelope, |addresses| self.symbols.names(addresses, until))
            }
            None => envelope,
        };
        let envelope = if fit::is_too_large(&envelope) { fit::fitted(envelope) } else { envelope };
        if let Err(lost) = self.send(&envelope) {
            self.waiting.lost(&envelope, lost);
        }
    }

    /// Returns for how much longer Sentry accepts no envelopes like this one; `None` if it accepts them.
    fn pause(&self, envelope: &Envelope) -> Option<Duration> {
        let category = match envelope.event() {
            Some(_) => RateLimitingCategory::Error,
            None => RateLimitingCategory::Transaction,
        };
        self.limits.is_disabled(category)
    }

    fn is_any_limited(&self) -> bool {
        let categories = [RateLimitingCategory::Error, RateLimitingCategory::Transaction];
        categories.into_iter().any(|category| self.limits.is_disabled(category).is_some())
    }

    /// Sends an envelope. An error means that the envelope is lost. The error is the reason to report to Sentry, or
    /// `None` if Sentry counts the loss itself.
    fn send(&mut self, envelope: &Envelope) -> Result<(), Option<Reason>> {
        let mut body = Vec::new();
        envelope.to_writer(&mut body).map_err(|_| Some(Reason::InternalError))?;
        let request = self.agent.post(&self.url).header("X-Sentry-Auth", &self.auth);
        let answer = request.send(&body[..]).map_err(|error| {
            UNREACHABLE.happened(format_args!("{}, and events are lost: {error}", self.host));
            Some(Reason::NetworkError)
        })?;
        UNREACHABLE.ended();
        let (parts, rest) = answer.into_parts();
        let _ = http_client::answer(rest);
        self.limit(parts.status, &parts.headers);
        if parts.status.is_success() {
            REFUSED.ended();
            if !self.is_any_limited() {
                LIMITED.ended();
            }
            return Ok(());
        }
        // Sentry itself counts the events that it rejects because of a rate limit.
        let is_limited = parts.status == StatusCode::TOO_MANY_REQUESTS;
        let cause = if is_limited { &LIMITED } else { &REFUSED };
        cause.happened(format_args!("{}, and events are lost: the status is {}", self.host, parts.status));
        Err((!is_limited).then_some(Reason::SendError))
    }

    fn limit(&mut self, status: StatusCode, headers: &HeaderMap) {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(limits) = header("x-sentry-rate-limits") {
            self.limits
                .update_from_sentry_header(&limits.split(',').map(shorter).collect::<Vec<_>>().join(","));
        } else if let Some(after) = header("retry-after") {
            self.limits.update_from_retry_after(&shorter(after));
            // The header may also be a date.
            if self.limits.is_disabled(RateLimitingCategory::Any).is_some_and(|left| left > LONGEST_PAUSE) {
                self.limits.update_from_retry_after(&LONGEST_PAUSE.as_secs().to_string());
            }
        } else if status == StatusCode::TOO_MANY_REQUESTS {
            self.limits.update_from_429();
        }
    }
}

/// Returns one limit of the header `X-Sentry-Rate-Limits`, or the header `Retry-After`, with at most the seconds of
/// [`LONGEST_PAUSE`]. The answer of a peer can then not silence the program for good.
fn shorter(limit: &str) -> Cow<'_, str> {
    let limit = limit.trim();
    let (seconds, rest) = limit.split_at(limit.find(':').unwrap_or(limit.len()));
    let longest = LONGEST_PAUSE.as_secs();
    // An infinite number is larger too.
    match seconds.parse::<f64>() {
        Ok(seconds) if seconds > longest as f64 => format!("{longest}{rest}").into(),
        _ => limit.into(),
    }
}

/// Returns the number of bytes of an envelope, serialised.
fn size(envelope: &Envelope) -> usize {
    let mut size = fit::Size(0);
    // Counting does not fail. An envelope that cannot be serialised has no room.
    envelope.to_writer(&mut size).map_or(usize::MAX, |()| size.0)
}
