//! Code of the application that the toolkit calls while it changes what it shares. The code calls the toolkit again,
//! which would wait for itself for ever if a lock were held.

use std::fmt;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{RawWaker, RawWakerVTable, Waker};
use std::time::Duration;

use process_runtime::testing::{Domain, Fault, observe, observe_call};
use process_runtime::{Install, context, critical_process, registry};
use process_tests::isolated::isolated;

use super::innocent;

#[test]
fn names_may_come_from_an_iterator_that_uses_what_they_are_added_to() {
    isolated(|| {
        let ids = iter::once_with(|| {
            registry::validate();
            registry::expect(["innocent"]);
            "failing"
        });
        registry::expect(ids);
        let installation = Install::new().expect(iter::once_with(|| {
            registry::validate();
            "innocent"
        }));
        let names = iter::once_with(|| {
            context::declare(["inner"]);
            "outer"
        });
        context::declare(names);
        installation.start().stop();
    });
}

/// A value whose `Debug` form is written by a span of its own.
struct Nested(Arc<AtomicUsize>);

impl fmt::Debug for Nested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fetch_add(1, Ordering::SeqCst);
        let span = tracing::info_span!("nested", inner = tracing::field::Empty);
        span.record("inner", 1);
        f.write_str("nested")
    }
}

#[critical_process(id = "records", version = "1.0.0", sla = "10s")]
fn records(value: &Nested) -> u64 {
    let span = tracing::info_span!("own", value = tracing::field::Empty);
    span.record("value", tracing::field::debug(value));
    innocent(1)
}

#[test]
fn a_value_that_opens_a_span_is_recorded_in_a_test() {
    isolated(|| {
        let shown = Arc::new(AtomicUsize::new(0));
        let observation = observe_call(|| records(&Nested(Arc::clone(&shown)))).run();
        assert_eq!(*observation.value(), 1);
        assert_eq!(shown.load(Ordering::SeqCst), 1, "a value is read once");
    });
}

/// An endless `Debug` form.
struct Endless;

impl fmt::Debug for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        loop {
            f.write_str("and on ")?;
        }
    }
}

#[test]
fn an_endless_value_is_recorded_in_a_test() {
    let observation = observe_call(|| {
        tracing::info!(value = ?Endless, "an event");
        innocent(1)
    })
    .run();
    assert_eq!(*observation.value(), 1);
}

#[critical_process(id = "waits", version = "1.0.0", sla = "10s")]
async fn waits() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// The data of a waker that starts a run whenever it is cloned or dropped, and passes wakes on.
struct Running {
    inner: Waker,
    /// The domain of the runs. Without one, they are in the current domain.
    domain: Option<Domain>,
    /// The number of runs so far, which the wakers of a future share.
    runs: Arc<AtomicUsize>,
}

impl Running {
    fn run(&self) {
        // A run wakes the task of its domain, and each poll of the task makes wakers. Without an end, the task would
        // always be busy and paused time would not advance.
        if self.runs.fetch_add(1, Ordering::Relaxed) >= 50 {
            return;
        }
        match &self.domain {
            Some(domain) => domain.call(|| innocent(1)),
            None => innocent(1),
        };
    }

    fn into_waker(self) -> Waker {
        static TABLE: RawWakerVTable = RawWakerVTable::new(
            |data| {
                // SAFETY: the data came from `Arc::into_raw` below, and the waker has a reference to it.
                unsafe {
                    (*data.cast::<Running>()).run();
                    Arc::increment_strong_count(data.cast::<Running>());
                }
                RawWaker::new(data, &TABLE)
            },
            // SAFETY: as above; the call consumes the reference.
            |data| unsafe { Arc::from_raw(data.cast::<Running>()) }.inner.wake_by_ref(),
            // SAFETY: as above; the call only borrows.
            |data| unsafe { &*data.cast::<Running>() }.inner.wake_by_ref(),
            // SAFETY: as above; the call consumes the reference.
            |data| unsafe { Arc::from_raw(data.cast::<Running>()) }.run(),
        );
        // SAFETY: the functions of the table count the references to the data, which is `Send` and `Sync`.
        unsafe { Waker::from_raw(RawWaker::new(Arc::into_raw(Arc::new(self)).cast(), &TABLE)) }
    }
}

/// Polls a future with such a waker.
async fn polled<F: Future>(future: F, domain: Option<Domain>) -> F::Output {
    let mut future = Box::pin(future);
    let runs = Arc::<AtomicUsize>::default();
    std::future::poll_fn(move |cx| {
        let (inner, runs) = (cx.waker().clone(), Arc::clone(&runs));
        let waker = Running { inner, domain: domain.clone(), runs }.into_waker();
        future.as_mut().poll(&mut std::task::Context::from_waker(&waker))
    })
    .await
}

/// Runs a test that would wait for ever if a lock were held.
fn in_paused_time(test: impl Future) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(test);
}

#[test]
fn a_waker_may_start_a_run_when_it_is_cloned_or_dropped() {
    isolated(|| {
        in_paused_time(async {
            let domain = Domain::new();
            polled(domain.run(waits()), Some(domain.clone())).await;
            assert_eq!(domain.stats("waits").unwrap().ended.total(), 1);
            assert!(domain.stats("innocent").unwrap().ended.total() > 0);
            // The observation ends while the process still hangs at its boundary.
            let hanging = observe(polled(waits(), None)).fault("waits", Fault::hang());
            let _ = hanging.limit(Duration::from_secs(5)).await;
        });
    });
}
