//! Runs a future or a call in a domain of its own, and returns an observation of every run inside the future or call.
//! Expectations and the cases of contracts do not belong here.

use std::collections::BTreeSet;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use process_model::nearest;

use super::fault::{Fault, Misuse, is_paused};
use super::{Domain, InDomain};
use crate::base::foreign::guard::{Payload, attempt};
use crate::catalog::registry;
use crate::testing::observing::capture::Capture;
#[cfg(feature = "metrics")]
use crate::testing::observing::metrics;
use crate::testing::observing::observation::{Ended, Observation};
use crate::testing::observing::witness::{self, Witness};

/// The default time limit of an observation in paused time, unless twice the longest SLA of all processes is longer.
const LIMIT: Duration = Duration::from_secs(60 * 60);
/// The default time limit of an observation in real time.
const REAL_LIMIT: Duration = Duration::from_secs(60);

/// Observes a future. Awaiting the result runs the future in a domain of its own and returns an [`Observation`]. The
/// observation has every run inside the future, even if the future panics or is stopped. In a test with
/// `#[contract]`, the observed runs decide whether the case is proven.
///
/// * Spawned tasks are observed only if a [`Carrier`](crate::Carrier) carries the scope into them.
/// * Observed runs do not reach the program's statistics, the application's Sentry client or the application's
///   meters. The application's subscriber still receives all spans and events that it enables.
/// * Inside the future, the current subscriber is a recorder, which forwards to the application's subscriber. A
///   downcast of the current subscriber therefore does not find the application's. For example,
///   `OpenTelemetrySpanExt` of `tracing-opentelemetry` has no effect on observed spans.
///
/// If tokio's clock is paused, it advances to the next timer whenever no task is ready. The limit of the observation
/// and the SLAs of its runs are such timers. A task that waits for a real socket or thread is not ready, so the
/// paused clock can advance to the limit during the wait. Use real time in tests that wait for sockets or threads.
///
/// ```
/// use process_runtime::critical_process;
/// use process_runtime::testing::{Fault, observe};
///
/// #[critical_process(id = "ship_parcel", version = "1.0.0", sla = "2m")]
/// async fn ship(parcel: u64) -> Result<u64, std::num::ParseIntError> {
///     Ok(parcel)
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let run = observe(ship(7)).await;
/// run.expect().success().within_sla();
///
/// let run = observe(ship(7)).fault("ship_parcel", Fault::delay(std::time::Duration::from_secs(121))).await;
/// run.expect().success().late();
/// # });
/// ```
///
/// # Panics
///
/// When the result is awaited, if
///
/// * a planned fault does not happen, for example because its boundary does not exist, is not reached, or does not
///   support this kind of fault,
/// * a process calls a dependency that it does not declare,
/// * or the caller is outside of a tokio runtime with a timer.
///
/// A panic of the observed future does not propagate. [`Observation::panic`] returns its message.
#[track_caller]
pub fn observe<F: Future>(future: F) -> Observing<F> {
    Observing { setting: Setting::new(), work: Some(future), running: None }
}

/// Observes a call of a plain function, as [`observe`] does for a future. [`ObservingCall::run`] makes the call. The
/// call does not need a tokio runtime.
///
/// ```
/// use process_runtime::critical_process;
/// use process_runtime::testing::{Fault, observe_call};
///
/// #[critical_process(id = "parse_order", version = "1.0.0", sla = "1s")]
/// fn parse(order: &str) -> Result<u64, std::num::ParseIntError> {
///     order.parse()
/// }
///
/// let run = observe_call(|| parse("a dozen")).run();
/// run.expect().failure("core::num::error::ParseIntError");
///
/// let run = observe_call(|| parse("12")).fault("parse_order", Fault::panic("no paper")).run();
/// run.expect().panic();
/// ```
#[track_caller]
pub fn observe_call<R, F: FnOnce() -> R>(call: F) -> ObservingCall<F> {
    ObservingCall { setting: Setting::new(), call }
}

/// The configuration of an observation.
#[derive(Debug)]
struct Setting {
    domain: Domain,
    limit: Option<Duration>,
    unknown: Option<String>,
    /// Collects the observed runs for the contract whose test creates the observation; `None` outside of a contract.
    witness: Option<Arc<Witness>>,
    place: &'static Location<'static>,
}

impl Setting {
    #[track_caller]
    fn new() -> Setting {
        let domain = Domain::builder().capture(Capture::new()).build();
        Setting { domain, limit: None, unknown: None, witness: witness::current(), place: Location::caller() }
    }

    fn fault(&mut self, at: &str, fault: Fault) {
        let ids = boundaries();
        // The stage or dependency after the `.` need not belong to this process, because a shared stage can run in
        // any process.
        let is_known = match at.split_once('.') {
            Some((process, part)) => registry::process(process).is_some() && ids.contains(part),
            None => ids.contains(at),
        };
        if !is_known {
            let near = nearest(at, ids.iter().copied());
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            self.unknown = Some(format!(
                "unknown boundary `{at}`: no process, stage or declared dependency has this id{near}"
            ));
        }
        self.domain.around.plan.add(at, fault);
    }

    fn begin(&self) {
        if let Some(capture) = &self.domain.around.capture {
            capture.begin();
        }
        if let Some(unknown) = &self.unknown {
            panic!("{unknown} ({})", self.place);
        }
    }

    /// Returns the observation. Panics if a planned fault did not happen, a run ended twice, or a process called a
    /// dependency that it does not declare.
    fn end<T>(&self, ended: Ended<T>) -> Observation<T> {
        let (observation, misuses) = self.conclude(ended);
        if !misuses.is_empty() {
            let misuses: Vec<_> = misuses.iter().map(Misuse::to_string).collect();
            panic!("{} ({})\nobserved: {observation}", misuses.join("\n"), self.place);
        }
        if let Some(witness) = &self.witness {
            witness.observed(&observation);
        }
        observation
    }

    fn limit(&self) -> Duration {
        let longest = || registry::all().map(|process| 2 * process.sla()).max().unwrap_or_default();
        self.limit.unwrap_or_else(|| if is_paused() { LIMIT.max(longest()) } else { REAL_LIMIT })
    }

    /// Returns the observation, and the mistakes in the test or the process.
    fn conclude<T>(&self, ended: Ended<T>) -> (Observation<T>, Vec<Misuse>) {
        let around = &self.domain.around;
        let taken = around.capture.as_ref().map(|capture| capture.take()).unwrap_or_default();
        let observation = Observation {
            ended,
            process: self.witness.as_ref().map(|witness| witness.process().id()),
            #[cfg(feature = "metrics")]
            metrics: metrics::series(&self.domain.core),
            #[cfg(feature = "tracing")]
            lines: taken.lines,
            #[cfg(feature = "sentry")]
            events: taken.events,
            runs: taken.runs,
        };
        let mut misuses = around.plan.misuses();
        let twice = taken.ended_again.iter().map(|name| format!("a run of `{name}` ended twice"));
        misuses.extend(twice.chain(undeclared(&observation)).map(Misuse::Wrong));
        (observation, misuses)
    }
}

/// Returns the ids of all boundaries at which a fault can be injected.
fn boundaries() -> BTreeSet<&'static str> {
    let processes = registry::all().flat_map(|process| {
        std::iter::once(process.id()).chain(process.dependencies().iter().map(String::as_str))
    });
    let stages = registry::stages()
        .flat_map(|stage| std::iter::once(stage.id()).chain(stage.dependencies().iter().map(String::as_str)));
    processes.chain(stages).collect()
}

/// Returns a description of each call to a dependency that the calling process does not declare.
fn undeclared<T>(observation: &Observation<T>) -> Vec<String> {
    let undeclared = observation.all().filter_map(|run| {
        let (process, dependency) = (run.process()?, run.dependency()?);
        let id = process.id();
        (!process.declares(dependency))
            .then(|| {
                format!(
                    "`{id}` calls the dependency `{dependency}` but does not declare it; add `depends_on(\"{dependency}\")`"
                )
            })
    });
    let mut undeclared: Vec<_> = undeclared.collect();
    undeclared.dedup();
    undeclared
}

/// Returns the message of a panic, or a substitute if the payload is not a text.
pub(in crate::testing) fn message(payload: &Payload) -> String {
    payload.message().unwrap_or("a panic payload that is not a string").to_owned()
}

/// A future under observation. Awaiting this value runs the future.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Observing<F: Future> {
    setting: Setting,
    work: Option<F>,
    running: Option<Running<F>>,
}

#[derive(Debug)]
struct Running<F> {
    future: Pin<Box<InDomain<F>>>,
    limit: Pin<Box<tokio::time::Sleep>>,
    longest: Duration,
}

impl<F: Future> Observing<F> {
    /// Injects a fault at the boundary `at`, which is the id of a process, a stage or a declared dependency. To
    /// select one of several stages or dependencies with the same id, use `<process>.<stage or dependency>`.
    pub fn fault(mut self, at: &str, fault: Fault) -> Self {
        self.setting.fault(at, fault);
        self
    }

    /// Sets the time after which the test stops the future, measured by the runtime's clock. The default is one
    /// minute in real time. In paused time, the default is one hour, or twice the longest SLA of all processes if
    /// that is longer.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.setting.limit = Some(limit);
        self
    }
}

// No field is pinned in place, because the running future is in a box.
impl<F: Future> Unpin for Observing<F> {}

impl<F: Future> Future for Observing<F> {
    type Output = Observation<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.poll_end(cx).map(|ended| this.setting.end(ended))
    }
}

impl<F: Future> Observing<F> {
    /// Runs the future. Returns the observation, and the mistakes in the test or the process.
    pub(in crate::testing) async fn attempt(mut self) -> (Observation<F::Output>, Vec<Misuse>) {
        let ended = std::future::poll_fn(|cx| self.poll_end(cx)).await;
        self.setting.conclude(ended)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Ended<F::Output>> {
        if let Some(future) = self.work.take() {
            self.setting.begin();
            let limit = self.setting.limit();
            self.running = Some(Running {
                future: Box::pin(self.setting.domain.enter(future)),
                limit: Box::pin(tokio::time::sleep(limit)),
                longest: limit,
            });
        }
        let Some(Running { future, limit, longest }) = &mut self.running else {
            panic!("the observation was polled after it had ended ({})", self.setting.place)
        };
        let plan = &self.setting.domain.around.plan;
        let ended = match attempt(|| future.as_mut().poll(cx)) {
            Err(payload) => Ended::Panicked(message(&payload)),
            // If a fault has cancelled the future, the result of this poll is ignored. Code around the boundary can
            // still have returned a value in this poll.
            Ok(_) if plan.is_cancelled() => Ended::Cancelled,
            Ok(Poll::Ready(value)) => Ended::Returned(value),
            Ok(Poll::Pending) if limit.as_mut().poll(cx).is_ready() => Ended::Stopped(*longest),
            Ok(Poll::Pending) => return Poll::Pending,
        };
        // The future is dropped before the observation is read, so that the runs inside the future have ended. The
        // drop can panic.
        let gone = attempt(|| self.running = None);
        self.setting.domain.around.plan.end();
        Poll::Ready(gone.map_or_else(|payload| Ended::Panicked(message(&payload)), |()| ended))
    }
}

/// A call under observation. [`run`](ObservingCall::run) makes the call.
#[derive(Debug)]
#[must_use = "the call is not made before `run`"]
pub struct ObservingCall<F> {
    setting: Setting,
    call: F,
}

impl<F> ObservingCall<F> {
    /// Injects a fault at the boundary `at`, as [`Observing::fault`] does.
    pub fn fault(mut self, at: &str, fault: Fault) -> Self {
        self.setting.fault(at, fault);
        self
    }

    /// Makes the call and returns the observation.
    ///
    /// # Panics
    /// As [`observe`], except that no runtime is needed.
    pub fn run<R>(self) -> Observation<R>
    where
        F: FnOnce() -> R,
    {
        self.setting.begin();
        let called = attempt(|| self.setting.domain.call(self.call));
        self.setting.end(match called {
            Ok(value) => Ended::Returned(value),
            Err(payload) => Ended::Panicked(message(&payload)),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::observe::{End, RunView, Sink};

    /// Reports the end of each run a second time.
    #[derive(Debug)]
    struct Twice(Arc<Capture>);

    impl Sink for Twice {
        fn ended(&self, run: &RunView<'_>, end: &End) {
            self.0.ended(run, end);
        }
    }

    #[test]
    fn a_run_that_ends_twice_fails_the_test() {
        let capture = Capture::new();
        let sink = Arc::new(Twice(Arc::clone(&capture)));
        let domain = Domain::builder().capture(capture).sink(sink).build();
        let setting = Setting { domain, ..Setting::new() };
        let call = || crate::dependency_call("ledger", || Ok::<_, Infallible>(()));
        let value = setting.domain.call(call);
        let (_, misuses) = setting.conclude(Ended::Returned(value));
        let misuses: Vec<_> = misuses.iter().map(Misuse::to_string).collect();
        assert!(
            misuses.iter().any(|text| text.starts_with("a run of `") && text.ends_with("ended twice")),
            "{misuses:?}"
        );
    }

    #[cfg(all(feature = "tracing", feature = "sentry"))]
    #[test]
    fn a_key_that_is_missing_from_a_span_an_event_or_an_inner_run_is_reported() {
        use crate::run::context::Value;
        use crate::testing::observing::missing;

        let inner = || crate::dependency_call("inner", || Ok::<_, Infallible>(()));
        let mut run = observe_call(|| crate::dependency_call("outer", inner)).run().runs.remove(0);
        assert_eq!(
            missing::places(&run, &["key"]),
            ["`key` in the context of `outer`", "`key` in the context of `inner`"]
        );
        let value = || vec![("key", Value::I64(7))];
        run.context = value();
        run.children[0].context = value();
        run.children[0].events.push(sentry_core::protocol::Event::default());
        let on_spans =
            ["`key` on the span of `outer`", "`key` on the span of `inner`", "`key` on an event of `inner`"];
        assert_eq!(missing::places(&run, &["key"]), on_spans);
        run.span.as_mut().unwrap().fields.append(&mut value());
        run.children[0].span.as_mut().unwrap().fields.append(&mut value());
        run.children[0].events[0].tags.insert("key".to_owned(), "7".to_owned());
        assert_eq!(missing::places(&run, &["key"]), <[String; 0]>::default());
    }
}
