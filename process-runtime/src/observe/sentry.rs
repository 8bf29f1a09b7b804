//! What Sentry is told (`sentry-core`): one event for each failure, with business context; a warning for a
//! process that is overdue; breadcrumbs for what went well enough. Which names they carry is in the
//! [crate's documentation](crate#sentry). A root run has a hub of its own, kept across polls and shared by the
//! runs inside it; while nothing fails, that hub is all that Sentry costs.
//!
//! Those events need no set-up but a client. For events that the body of a run sends itself, and for those
//! of Sentry's panic hook, give [`Integration`] to the client's options. [`crate::Install`] does the same for
//! the main hub, the current one and those made from them later.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use process_model::{ErrorText, Outcome};
use sentry_core::protocol::{
    Breadcrumb, Context, Event, Exception, Level, Mechanism, SpanStatus, TraceContext, User, Value as Json,
};
use sentry_core::types::Uuid;
use sentry_core::{
    ClientOptions, Hub, HubSwitchGuard, TracesSamplingStrategy, TransactionContext, TransactionOrSpan,
};

use super::{End, caught};
use crate::context::Value;
use crate::domain::Core;
use crate::ending::{Ending, ErrorRef, Fault};
use crate::frame;
use crate::observed::Observed;
use crate::unit::Unit;

/// The longest tag that Sentry keeps whole.
const LONGEST_TAG: usize = 200;
/// How long a process stays silent after a warning that it is overdue.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);
/// The name of the context block.
const BLOCK: &str = "process";
/// The most errors of stages that a run remembers in order to withhold their text; from there on it withholds
/// that of every error.
const MOST_WITHHELD: usize = 64;

/// Adds tags, context block, user and trace of the current run to every event of a client, on whatever
/// thread it is sent.
///
/// ```
/// let options = sentry_core::ClientOptions::new()
///     .add_integration(process_runtime::sentry::Integration);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Integration;

impl sentry_core::Integration for Integration {
    fn name(&self) -> &'static str {
        "critical-process"
    }

    fn process_event(&self, event: Event<'static>, _: &ClientOptions) -> Option<Event<'static>> {
        Some(describe(event))
    }
}

/// Adds the same to a hub whose client was made without the integration, and to those made from it later.
pub(crate) fn add_to(hub: &Arc<Hub>) {
    static HUBS: Mutex<Vec<Weak<Hub>>> = Mutex::new(Vec::new());
    let mut hubs = lock(&HUBS);
    hubs.retain(|known| known.strong_count() > 0);
    let is_known = hubs.iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(hub)));
    if hub.client().is_some() && !has_integration(hub) && !is_known {
        hubs.push(Arc::downgrade(hub));
        hub.configure_scope(|scope| scope.add_event_processor(|event| Some(describe(event))));
    }
}

fn has_integration(hub: &Hub) -> bool {
    hub.with_integration(|_: &Integration| true)
}

/// Whether a client would take an event from this thread.
fn is_active() -> bool {
    Hub::with_active(|_| true)
}

/// The hub that a run finds around it, and whether its client takes transactions.
#[derive(Debug)]
pub(crate) struct Outside {
    hub: Arc<Hub>,
    traces: bool,
}

/// How long a hub's answer is remembered. To ask its client costs as much as everything else that a run pays
/// while nobody watches; a client that is bound to a hub in use, or closed, is noticed this much later.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// What a hub said of its client.
#[derive(Clone, Copy)]
enum Client {
    /// There is none, or it is disabled.
    Absent,
    Takes {
        traces: bool,
    },
}

/// What a thread knows of its hub.
#[derive(Clone, Copy)]
enum Known {
    /// It was not asked yet.
    Nothing,
    /// What this hub said, and until when, in ticks of the global clock, that holds.
    Said(*const Hub, u64, Client),
    /// The thread is ending, and may have lost its hub already.
    Ending,
}

thread_local! {
    static KNOWN: Cell<Known> = const { Cell::new(Known::Nothing) };
    /// Keeps the hub that was asked, so that no other can have its address.
    static ASKED: Asked = const { Asked(RefCell::new(None)) };
}

struct Asked(RefCell<Option<Arc<Hub>>>);

impl Drop for Asked {
    fn drop(&mut self) {
        KNOWN.set(Known::Ending);
    }
}

/// What is around a run that starts at `now`; `None` where no client would take an event.
#[inline(always)]
pub(crate) fn outside(now: u64) -> Option<Outside> {
    let Known::Said(known, until, answer) = KNOWN.get() else {
        return outside_at_first(now);
    };
    let hub = Hub::current();
    let is_known = std::ptr::eq(known, Arc::as_ptr(&hub)) && now < until;
    Outside::of(if is_known { answer } else { ask(&hub, now) }, hub)
}

#[cold]
fn outside_at_first(now: u64) -> Option<Outside> {
    if matches!(KNOWN.get(), Known::Ending) {
        return None;
    }
    let mut outside = None;
    // `Hub::current` panics on a thread that has lost its hub.
    caught(|| {
        let hub = Hub::current();
        outside = Outside::of(ask(&hub, now), hub);
    });
    outside
}

#[cold]
fn ask(hub: &Arc<Hub>, now: u64) -> Client {
    let answer = match hub.client().filter(|client| client.is_enabled()) {
        None => Client::Absent,
        Some(client) => Client::Takes { traces: is_tracing(&client) },
    };
    // Thread-locals end in the reverse order of their first use: this one, used after the hub's, before it.
    let is_kept = ASKED.try_with(|asked| asked.0.replace(Some(Arc::clone(hub)))).is_ok();
    KNOWN.set(match is_kept {
        true => Known::Said(Arc::as_ptr(hub), now + Core::global().clock.ticks(ASK_AGAIN), answer),
        false => Known::Ending,
    });
    answer
}

impl Outside {
    fn of(answer: Client, hub: Arc<Hub>) -> Option<Outside> {
        match answer {
            Client::Absent => None,
            Client::Takes { traces } => Some(Outside { hub, traces }),
        }
    }
}

/// Why events go nowhere, if they do.
pub(crate) fn problem() -> Option<String> {
    (!is_active()).then(|| {
        "no Sentry client is bound to sentry-core 0.49; if the application has one, it uses another version of \
         sentry (`cargo tree -d -i sentry-core`) or starts it after Install"
            .to_owned()
    })
}

/// What a run or scope keeps for Sentry.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// Shared with the run around it, or its own where nothing can bring another before its first poll.
    hub: Option<Arc<Hub>>,
    /// Made by [`open`].
    opened: OnceLock<Arc<Hub>>,
    /// What [`open`] needs, where there is anything to open.
    outside: Option<Outside>,
    is_open: AtomicBool,
    details: OnceLock<Box<Details>>,
}

/// What few runs need.
#[derive(Debug, Default)]
struct Details {
    span: OnceLock<TransactionOrSpan>,
    /// The last failure among its children.
    failure: Mutex<Option<Captured>>,
    /// The event of the panic that is unwinding.
    panicked: OnceLock<Uuid>,
    failed_stage: Mutex<Option<&'static str>>,
    /// Errors of stages whose text is never told.
    withheld: Mutex<Vec<Identity>>,
}

/// A failure that Sentry has an event of.
#[derive(Clone, Debug)]
struct Captured {
    /// The first event of it.
    event: Uuid,
    fingerprint: Vec<String>,
    identity: Identity,
    /// Whether no other child ended after it.
    is_last: bool,
}

impl Link {
    /// Of a scope inside of `outer`, which shares its hub.
    pub(crate) fn inside(outer: Option<&Link>) -> Link {
        Link { hub: outer.and_then(Link::hub).cloned(), ..Link::default() }
    }

    /// Of a run inside of `outer`. Nothing but a span of its own can bring another hub before the run's first
    /// poll, so without one the run's hub is made right here.
    pub(crate) fn of_run(outer: Option<&Link>, outside: Option<Outside>, has_span: bool) -> Link {
        let mut hub = outer.and_then(Link::hub).cloned();
        if let (None, Some(outside), false) = (&hub, &outside, has_span) {
            hub = Some(Arc::new(Hub::new_from_top(&outside.hub)));
        }
        let outside = outside.filter(|outside| hub.is_none() || outside.traces);
        Link { hub, outside, ..Link::default() }
    }

    /// Whether [`open`] has something to do.
    #[inline]
    pub(crate) fn is_to_open(&self) -> bool {
        self.outside.is_some() && !self.is_open.load(Ordering::Relaxed)
    }

    /// Makes the run's hub the thread's, unless the thread is ending and has none.
    #[inline]
    pub(crate) fn enter(&self) -> Option<HubSwitchGuard> {
        let hub = self.hub()?;
        let mut guard = None;
        caught(|| guard = Some(HubSwitchGuard::new(Arc::clone(hub))));
        guard
    }

    #[inline]
    fn hub(&self) -> Option<&Arc<Hub>> {
        self.hub.as_ref().or_else(|| self.opened.get())
    }

    pub(crate) fn has_hub(&self) -> bool {
        self.hub().is_some()
    }

    fn details(&self) -> &Details {
        self.details.get_or_init(Box::default)
    }

    fn span(&self) -> Option<&TransactionOrSpan> {
        self.details.get()?.span.get()
    }

    fn failure(&self) -> Option<Captured> {
        lock(&self.details.get()?.failure).clone()
    }

    fn withhold(&self, identity: Identity) {
        let mut withheld = lock(&self.details().withheld);
        if withheld.len() < MOST_WITHHELD && !withheld.contains(&identity) {
            withheld.push(identity);
        }
    }

    fn is_withheld(&self, fault: &Fault<'_>) -> bool {
        let withheld = self.details.get().map(|details| lock(&details.withheld));
        withheld.is_some_and(|all| all.len() == MOST_WITHHELD || all.iter().any(|one| one.is_in(fault)))
    }

    fn failed_stage(&self) -> Option<&'static str> {
        *lock(&self.details.get()?.failed_stage)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens what a run needs, at its first poll and inside of its span. Where `sentry-tracing` is installed, the
/// span has brought a hub of its own, which becomes the run's; transactions are then left to it.
pub(crate) fn open(unit: &'static Unit, observed: &Observed) {
    let link = &observed.sentry;
    let Some(outside) = &link.outside else { return };
    link.is_open.store(true, Ordering::Relaxed);
    let current = Hub::current();
    let traced_elsewhere = !Arc::ptr_eq(&current, &outside.hub);
    let own = || if traced_elsewhere { current } else { Arc::new(Hub::new_from_top(current)) };
    let hub = link.hub.as_ref().unwrap_or_else(|| link.opened.get_or_init(own));
    if !traced_elsewhere && outside.traces {
        let span = start_span(unit, observed, hub);
        let _ = link.details().span.set(span);
    }
}

fn is_tracing(client: &sentry_core::Client) -> bool {
    match client.options().traces_sampling_strategy {
        TracesSamplingStrategy::FixedRate(rate) => rate > 0.0,
        TracesSamplingStrategy::Disabled => false,
        _ => true,
    }
}

/// A child of the run around this one, or of a transaction that the application started, or a transaction.
fn start_span(unit: &'static Unit, observed: &Observed, hub: &Hub) -> TransactionOrSpan {
    let op = if unit.stage().is_some() { "stage" } else { "process" };
    let mut outer = observed.parent.upgrade();
    while let Some(run) = outer {
        if let Some(span) = run.sentry.span() {
            return span.start_child(op, unit.name).into();
        }
        outer = run.parent.upgrade();
    }
    if let Some(span) = hub.configure_scope(|scope| scope.get_span()) {
        return span.start_child(op, unit.name).into();
    }
    let mut context = TransactionContext::builder(unit.name, op);
    if let Some(trace) = opentelemetry_ids() {
        context = context.with_trace_id(trace.trace_id).with_span_id(trace.span_id);
    }
    let span = TransactionOrSpan::from(hub.start_transaction(context.finish()));
    if let Some(process) = unit.process {
        span.set_tag("process_id", process.id());
        span.set_tag("process_version", process.version());
    }
    hub.configure_scope(|scope| scope.set_span(Some(span.clone())));
    span
}

/// Whether the end of a run changes anything for Sentry: the success of a root run in which nothing failed does not.
#[inline]
pub(crate) fn is_told(observed: &Observed, outcome: Outcome) -> bool {
    outcome != Outcome::Success
        || observed.sentry.details.get().is_some()
        || observed.parent.strong_count() > 0
}

/// Tells of the end of a run.
pub(crate) fn ended(unit: &'static Unit, observed: &Arc<Observed>, ending: &Ending<'_>, end: &End) {
    let link = &observed.sentry;
    finish_span(observed, end);
    let Some(hub) = link.hub() else { return };
    if unit.stage().is_some() {
        return stage_ended(unit, observed, hub, ending, end);
    }
    let parent = observed.parent_process();
    if let Some(fault) = ending.fault.as_ref().filter(|_| end.outcome.is_error()) {
        let captured = match already_captured(link, fault, end) {
            Some(captured) => captured,
            // Inside of the run's span, whose ids the event carries.
            None => frame::within(Some(unit), Some(observed), || {
                let _span = observed.visit_span();
                let _hub = observed.visit_hub();
                capture(unit, observed, hub, fault, end)
            }),
        };
        if let Some(parent) = parent {
            *lock(&parent.sentry.details().failure) = Some(Captured { is_last: true, ..captured });
        }
        return;
    }
    // What was cancelled made nobody's error.
    if end.outcome != Outcome::Cancelled
        && let Some(details) = parent.as_ref().and_then(|parent| parent.sentry.details.get())
        && let Some(captured) = &mut *lock(&details.failure)
    {
        captured.is_last = false;
    }
    if end.outcome == Outcome::Degraded {
        hub.add_breadcrumb(breadcrumb(Level::Warning, format!("{} used its fallback", unit.name)));
    }
}

fn finish_span(observed: &Observed, end: &End) {
    let Some(span) = observed.sentry.span() else { return };
    for (name, value) in observed.values_now().iter() {
        if let Some(tag) = tag(value) {
            span.set_tag(name, tag);
        }
    }
    span.set_status(match end.outcome {
        Outcome::Success | Outcome::Degraded => SpanStatus::Ok,
        Outcome::Rejected => SpanStatus::InvalidArgument,
        Outcome::Cancelled => SpanStatus::Cancelled,
        Outcome::Failure | Outcome::Panic => SpanStatus::InternalError,
    });
    span.set_tag("process_outcome", end.outcome);
    span.clone().finish();
}

/// A stage has no event of its own: its error is the process's to return or to mend.
fn stage_ended(unit: &'static Unit, observed: &Observed, hub: &Hub, ending: &Ending<'_>, end: &End) {
    let failed = end.outcome.is_error();
    if let Some(process) = observed.parent_process() {
        if let Some(fault) = &ending.fault
            && is_withheld(unit)
        {
            process.sentry.withhold(Identity::of(fault));
        }
        let stage = failed.then(|| unit.definition.common().id.as_str());
        if stage != process.sentry.failed_stage() {
            *lock(&process.sentry.details().failed_stage) = stage;
        }
    }
    if failed {
        let kind = end.error_type.unwrap_or_default();
        hub.add_breadcrumb(breadcrumb(Level::Error, format!("stage {} failed: {kind}", unit.name)));
    }
}

fn breadcrumb(level: Level, message: String) -> Breadcrumb {
    Breadcrumb { category: Some("process".into()), message: Some(message), level, ..Breadcrumb::default() }
}

/// The event that already tells of this failure: of the panic hook, or of the child that failed last and
/// whose error this one holds.
fn already_captured(link: &Link, fault: &Fault<'_>, end: &End) -> Option<Captured> {
    if let Some(&event) = link.details.get().and_then(|details| details.panicked.get())
        && end.outcome == Outcome::Panic
    {
        return Some(captured(event, Vec::new(), fault));
    }
    link.failure().filter(|captured| captured.is_last && captured.identity.is_in(fault))
}

/// What makes an error the same one further out: its type, as far as it can be named, and its text.
#[derive(Clone, Debug, PartialEq)]
enum Identity {
    /// An error in a chain. There its type is known only as Sentry shows it, from its `Debug` form.
    Link { shown_type: String, text: String },
    /// Anything else.
    Value { error_type: &'static str, text: Option<String> },
}

impl Identity {
    fn of(fault: &Fault<'_>) -> Identity {
        match fault.error {
            ErrorRef::Chain(error) => Identity::of_link(error),
            other => Identity::Value { error_type: fault.error_type, text: other.text() },
        }
    }

    fn of_link(error: &dyn Error) -> Identity {
        let debug = format!("{error:?}");
        let shown_type = sentry_core::parse_type_from_debug(&debug).to_owned();
        Identity::Link { shown_type, text: error.to_string() }
    }

    /// Whether an error is this one, or has it in its chain.
    fn is_in(&self, fault: &Fault<'_>) -> bool {
        let mut link = match fault.error {
            ErrorRef::Chain(error) => Some(error),
            _ => return *self == Identity::of(fault),
        };
        while let Some(error) = link {
            if *self == Identity::of_link(error) {
                return true;
            }
            link = error.source().map(|source| source as &dyn Error);
        }
        false
    }
}

fn captured(event: Uuid, fingerprint: Vec<String>, fault: &Fault<'_>) -> Captured {
    Captured { event, fingerprint, identity: Identity::of(fault), is_last: true }
}

/// Sends the event of a failure.
fn capture(
    unit: &'static Unit,
    observed: &Arc<Observed>,
    hub: &Arc<Hub>,
    fault: &Fault<'_>,
    end: &End,
) -> Captured {
    let first = observed.sentry.failure();
    if end.outcome == Outcome::Panic
        && has_panic_hook(hub)
        && let Some(last) = hub.last_event_id()
    {
        // The hook of Sentry's panic integration has sent it; without our integration nobody saw which.
        return captured(last, Vec::new(), fault);
    }
    let fingerprint = match &first {
        Some(first) if !first.fingerprint.is_empty() => first.fingerprint.clone(),
        _ => vec![unit.name.to_owned(), end.error_type.unwrap_or_default().to_owned()],
    };
    let mut event = Event {
        level: if end.outcome == Outcome::Panic { Level::Fatal } else { Level::Error },
        fingerprint: fingerprint.iter().cloned().map(Into::into).collect::<Vec<_>>().into(),
        ..error_event(unit, observed, fault, end)
    };
    if let Some(exception) = event.exception.values.last_mut() {
        exception.mechanism = Some(Mechanism {
            ty: "critical_process".into(),
            handled: Some(end.outcome != Outcome::Panic),
            ..Mechanism::default()
        });
    }
    describe_as(&mut event, unit, observed, Some(end));
    if let (Some(first), Some(Context::Other(block))) = (&first, event.contexts.get_mut(BLOCK)) {
        block.insert("first_event_id".into(), first.event.simple().to_string().into());
    }
    let event = send(hub, event);
    captured(first.map_or(event, |first| first.event), fingerprint, fault)
}

/// The exceptions of an error, the innermost first, as far as its text may leave the process.
fn error_event(unit: &'static Unit, observed: &Observed, fault: &Fault<'_>, end: &End) -> Event<'static> {
    let is_withheld = is_withheld(unit) || observed.sentry.is_withheld(fault);
    let told = if is_withheld { ErrorText::Never } else { unit.definition.common().error_text };
    match fault.error {
        ErrorRef::Chain(error) if told != ErrorText::Never => sentry_core::event_from_error(error),
        _ => {
            let exception = Exception {
                ty: end.error_type.unwrap_or("error").to_owned(),
                value: fault.text(told),
                ..Exception::default()
            };
            Event { exception: vec![exception].into(), ..Event::default() }
        }
    }
}

/// Whether a panic is sent by Sentry's own hook. Our integration would have seen it (`Link::panicked`).
fn has_panic_hook(hub: &Hub) -> bool {
    let named = |client: Arc<sentry_core::Client>| {
        client.options().integrations.iter().any(|integration| integration.name() == "panic")
    };
    !has_integration(hub) && hub.client().is_some_and(named)
}

/// Warns that a process is past its SLA: at most once in [`BETWEEN_WARNINGS`].
pub(crate) fn overdue(core: &Core, unit: &'static Unit, observed: &Arc<Observed>, elapsed: Duration) {
    let (Some(hub), None) = (observed.sentry.hub(), unit.stage()) else { return };
    let now = core.clock.now();
    if !core.account(unit).may_warn(now, core.clock.ticks(BETWEEN_WARNINGS)) {
        return;
    }
    let sla = unit.definition.sla().unwrap_or_default();
    let mut event = Event {
        level: Level::Warning,
        message: Some(format!("{} is past its SLA of {sla:?}", unit.name)),
        fingerprint: vec![unit.name.into(), "overdue".into()].into(),
        ..Event::default()
    };
    frame::within(Some(unit), Some(observed), || {
        let _span = observed.visit_span();
        let _hub = observed.visit_hub();
        describe_as(&mut event, unit, observed, None);
        if let Some(Context::Other(block)) = event.contexts.get_mut(BLOCK) {
            block.insert("elapsed_ms".into(), (elapsed.as_millis() as u64).into());
            block.insert("late".into(), true.into());
        }
        send(hub, event);
    });
}

type Block = BTreeMap<String, Json>;

thread_local! {
    /// The block of the event that is on its way and was described here: the scope may put another in its place.
    static DESCRIBED: Cell<Option<Block>> = const { Cell::new(None) };
}

/// Sends an event that is described already.
fn send(hub: &Hub, event: Event<'static>) -> Uuid {
    if let Some(Context::Other(block)) = event.contexts.get(BLOCK) {
        DESCRIBED.set(Some(block.clone()));
    }
    let sent = catch_unwind(AssertUnwindSafe(|| hub.capture_event(event)));
    DESCRIBED.set(None);
    sent.unwrap_or_else(|payload| resume_unwind(payload))
}

/// Adds the current run to an event that somebody else sends.
fn describe(mut event: Event<'static>) -> Event<'static> {
    if let Some(block) = DESCRIBED.take() {
        add_block(&mut event, block.clone());
        DESCRIBED.set(Some(block));
        return event;
    }
    let Some(nearest) = frame::nearest() else {
        return event;
    };
    let run = if nearest.unit.is_some_and(|unit| unit.stage().is_none()) {
        Some(Arc::clone(&nearest))
    } else {
        nearest.parent_process()
    };
    let is_panic =
        |exception: &Exception| exception.mechanism.as_ref().is_some_and(|mechanism| mechanism.ty == "panic");
    let panicked = event.exception.iter().any(is_panic);
    match run.as_ref().and_then(|run| Some((run, run.unit?))) {
        Some((run, unit)) => {
            if panicked {
                let _ = run.sentry.details().panicked.set(event.event_id);
                if is_withheld(unit) || nearest.unit.is_some_and(is_withheld) {
                    withhold_text(&mut event);
                }
            }
            describe_as(&mut event, unit, &nearest, None);
        }
        None => describe_values(&mut event, &nearest),
    }
    event
}

fn is_withheld(unit: &'static Unit) -> bool {
    unit.definition.common().error_text == ErrorText::Never
}

/// A panic's message is error text.
fn withhold_text(event: &mut Event<'static>) {
    for exception in &mut event.exception.values {
        exception.value = None;
    }
}

/// Adds tags, the context block, the user and the trace of a run.
fn describe_as(event: &mut Event<'static>, unit: &'static Unit, observed: &Observed, end: Option<&End>) {
    let mut block = Block::new();
    if let Some(process) = unit.process {
        event.tags.insert("process_id".into(), process.id().into());
        event.tags.insert("process_version".into(), process.version().into());
        event.transaction.get_or_insert_with(|| process.id().into());
        block.insert("id".into(), process.id().into());
        block.insert("name".into(), process.name().into());
        block.insert("version".into(), process.version().into());
        block.insert("criticality".into(), process.criticality().as_str().into());
        block.insert("sla_ms".into(), (process.sla().as_millis() as u64).into());
        block.insert("handler".into(), process.handler().into());
        for (key, value) in [("owner", process.owner()), ("runbook", process.runbook())] {
            if let Some(value) = value {
                block.insert(key.into(), value.into());
            }
        }
    }
    if let Some(end) = end {
        event.tags.insert("process_outcome".into(), end.outcome.as_str().into());
        block.insert("outcome".into(), end.outcome.as_str().into());
        block.insert("late".into(), end.late.into());
        block.insert("duration_ms".into(), (end.duration.as_millis() as u64).into());
        if let Some(error_type) = end.error_type {
            block.insert("error_type".into(), error_type.into());
        }
    }
    let stage = observed.unit.and_then(|unit| unit.stage()).map(|stage| stage.id());
    if let Some(stage) = stage.or_else(|| observed.sentry.failed_stage()) {
        block.insert("stage".into(), stage.into());
    }
    for (name, value) in observed.values_now().iter() {
        block.entry(name.into()).or_insert_with(|| json(value));
    }
    add_block(event, block);
    describe_values(event, observed);
    if let Some(trace) = opentelemetry_ids() {
        event.contexts.insert("trace".into(), Context::Trace(Box::new(trace)));
    }
}

/// Adds the context block. What the application itself put into one of that name stays, beside ours.
fn add_block(event: &mut Event<'static>, mut block: Block) {
    if let Some(Context::Other(theirs)) = event.contexts.remove(BLOCK) {
        for (name, value) in theirs {
            block.entry(name).or_insert(value);
        }
    }
    event.contexts.insert(BLOCK.into(), Context::Other(block));
}

/// Adds business context as tags, and the user.
fn describe_values(event: &mut Event<'static>, observed: &Observed) {
    for (name, value) in observed.values_now().iter() {
        if name == "user_id" {
            let user = event.user.get_or_insert_with(User::default);
            user.id.get_or_insert_with(|| value.to_string());
        }
        event.tags.extend(tag(value).map(|tag| (name.into(), tag)));
    }
}

/// A value as a tag, if Sentry would keep it whole.
fn tag(value: &Value) -> Option<String> {
    let text = value.to_string();
    let is_kept = text.chars().count() <= LONGEST_TAG && !text.is_empty() && !text.contains(['\n', '\r']);
    is_kept.then_some(text)
}

fn json(value: &Value) -> Json {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::I64(value) => (*value).into(),
        Value::U64(value) => (*value).into(),
        Value::F64(value) => (*value).into(),
        Value::Text(value) => (**value).into(),
    }
}

/// Ids of the current OpenTelemetry span, so that an event and its trace find each other.
#[cfg(feature = "metrics")]
fn opentelemetry_ids() -> Option<TraceContext> {
    use opentelemetry::trace::TraceContextExt;
    let context = opentelemetry::Context::current();
    let span = context.span();
    let ids = span.span_context();
    ids.is_valid().then(|| TraceContext {
        trace_id: ids.trace_id().to_bytes().into(),
        span_id: ids.span_id().to_bytes().into(),
        ..TraceContext::default()
    })
}

#[cfg(not(feature = "metrics"))]
fn opentelemetry_ids() -> Option<TraceContext> {
    None
}
