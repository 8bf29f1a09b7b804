//! The kinds of faults that a test can inject at a boundary, and the mistakes in a test or in a process that make the
//! test fail. A boundary is a process, a stage or a call to a dependency. The code that makes a fault happen does not
//! belong here; it is in `plan`.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A fault that [`Observing::fault`](crate::testing::Observing::fault) injects at a boundary, which is a process, a
/// stage or a call to a dependency. The fault delays or replaces the body of the function there, or cancels the
/// observed future.
///
/// By default, the fault happens at every call of the boundary. [`nth`](Fault::nth) selects a single call. If a fault
/// never happens, the test fails.
///
/// ```
/// use std::time::Duration;
/// use process_runtime::testing::{Fault, observe};
/// use process_runtime::{critical_process, stage};
///
/// #[critical_process(id = "sync_stock", version = "1.0.0", sla = "30s")]
/// async fn sync() -> Result<(), std::fmt::Error> {
///     // Try a second time.
///     if fetch().await.is_ok() { Ok(()) } else { fetch().await }
/// }
///
/// #[stage(process = "sync_stock", id = "fetch")]
/// async fn fetch() -> Result<(), std::fmt::Error> {
///     Ok(())
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let run = observe(sync())
///     .fault("fetch", Fault::error(|| std::fmt::Error).nth(1))
///     .fault("sync_stock", Fault::delay(Duration::from_secs(31)))
///     .await;
/// run.expect().success().late().stages(["fetch", "fetch"]);
/// # });
/// ```
#[derive(Clone)]
pub struct Fault {
    pub(super) act: Act,
    /// The number of the only call at which the fault happens, counted from 1. `None` means every call.
    pub(super) nth: Option<usize>,
}

/// The effect of a fault.
#[derive(Clone)]
pub(super) enum Act {
    Error { ty: TypeId, ty_name: &'static str, make: Arc<dyn Fn() -> Box<dyn Any> + Send + Sync> },
    Delay(Duration),
    Hang,
    Panic(String),
    Cancel { at_poll: usize },
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault").field("kind", &self.kind()).field("nth", &self.nth).finish()
    }
}

impl Fault {
    fn new(act: Act) -> Fault {
        Fault { act, nth: None }
    }

    /// Creates a fault that returns an error instead of running the body, for example
    /// `Fault::error(|| CouncilError::NoMembers)`. The function at the boundary must return a `Result` with exactly
    /// this error type. The error type must not contain lifetimes, references, function pointers, closures or trait
    /// objects; `&str` itself and `Error` objects in a `Box`, `Rc` or `Arc` are allowed. Otherwise, the test fails and
    /// reports what the function returns. To check the type, this fault requires a compiler that prints the lifetimes
    /// of types, for example that of Rust 1.95.
    pub fn error<E: 'static>(make: impl Fn() -> E + Send + Sync + 'static) -> Fault {
        let make = Arc::new(move || Box::new(make()) as Box<dyn Any>);
        Fault::new(Act::Error { ty: TypeId::of::<E>(), ty_name: std::any::type_name::<E>(), make })
    }

    /// Creates a fault that starts the body after this delay. The delay takes no real time. In a future, if tokio's
    /// clock is paused, the run sleeps, so the time passes for every timer. In a plain function, or if the clock is
    /// not paused, nothing sleeps: the delay is only added to the measured duration of the run and of every run
    /// around it. If two concurrent runs are delayed without sleeping, the run around them gets the sum of both
    /// delays.
    pub fn delay(duration: Duration) -> Fault {
        Fault::new(Act::Delay(duration))
    }

    /// Creates a fault that never starts the body and never returns. The code around the boundary must end the wait,
    /// for example with a timeout; otherwise the test stops the observed future at its limit. If a spawned task still
    /// hangs when the observation ends, the task panics. For a plain function, this fault cannot happen, and the test
    /// fails.
    pub fn hang() -> Fault {
        Fault::new(Act::Hang)
    }

    /// Creates a fault that panics with this message instead of running the body.
    pub fn panic(message: impl Into<String>) -> Fault {
        Fault::new(Act::Panic(message.into()))
    }

    /// Creates a fault that drops the whole observed future at this poll of the boundary, as if a client had
    /// disconnected. Polls are counted from 1. For a plain function, this fault cannot happen, and the test fails.
    pub fn cancel_at_poll(poll: usize) -> Fault {
        Fault::new(Act::Cancel { at_poll: poll.max(1) })
    }

    /// Makes the fault happen only at this call of the boundary, counted from 1.
    pub fn nth(mut self, call: usize) -> Fault {
        self.nth = Some(call);
        self
    }

    /// Returns the word that reports use for this kind of fault.
    pub(in crate::testing) fn kind(&self) -> &'static str {
        self.act.kind()
    }
}

impl Act {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Act::Error { .. } => ERROR,
            Act::Delay(_) => DELAY,
            Act::Hang => HANG,
            Act::Panic(_) => PANIC,
            Act::Cancel { .. } => CANCEL,
        }
    }
}

pub(in crate::testing) const ERROR: &str = "error";
pub(in crate::testing) const DELAY: &str = "delay";
pub(in crate::testing) const HANG: &str = "hang";
pub(in crate::testing) const PANIC: &str = "panic";
pub(in crate::testing) const CANCEL: &str = "cancel";

/// A mistake in a test or in the process under test. It fails the test.
#[derive(Debug)]
pub(in crate::testing) enum Misuse {
    /// A planned fault cannot happen at its boundary, for a reason other than `NoResult`.
    Refused(String),
    /// An error cannot be injected, because the attribute does not recognise the return type at the boundary as a
    /// `Result`.
    NoResult(String),
    /// Any other mistake.
    Wrong(String),
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misuse::Refused(text) | Misuse::NoResult(text) | Misuse::Wrong(text) => f.write_str(text),
        }
    }
}

/// Returns whether the clock of this thread's tokio runtime is paused. Tokio has no function for this, but a paused
/// clock shows the same time after a short wait.
pub(in crate::testing) fn is_paused() -> bool {
    const LONG_ENOUGH: Duration = Duration::from_micros(2);
    let (real, tokio) = (Instant::now(), tokio::time::Instant::now());
    while real.elapsed() < LONG_ENOUGH {
        std::hint::spin_loop();
    }
    tokio.elapsed().is_zero()
}
