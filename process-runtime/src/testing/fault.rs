//! Breaking things on purpose, at the boundary of a process, a stage or a dependency: before its body begins, in the
//! domain of one test and nowhere else.
//!
//! Without feature `testing` neither this file nor what asks it exists.

use std::any::{Any, TypeId};
use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::domain::Around;
use crate::base::lock::lock;
use crate::observe;
use crate::run::domain::Core;
use crate::run::domain::own::delay;
use crate::run::frame;
use crate::run::inject::{Injected, Injection, Instead, NotReturned, Slot};
use crate::run::unit::Unit;

/// What happens at a boundary in place of the body, or before it: [`Observing::fault`](super::Observing::fault).
///
/// It happens each time that the boundary is reached, unless [`only`](Fault::only) says when. One that never happens fails
/// the test.
///
/// ```
/// use std::time::Duration;
/// use process_runtime::testing::{Fault, observe};
/// use process_runtime::{critical_process, stage};
///
/// #[critical_process(id = "sync_stock", version = "1.0.0", sla = "30s")]
/// async fn sync() -> Result<(), std::fmt::Error> {
///     // It is tried a second time.
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
///     .fault("fetch", Fault::error(|| std::fmt::Error).only(1))
///     .fault("sync_stock", Fault::delay(Duration::from_secs(31)))
///     .await;
/// run.expect().success().late().stages(["fetch", "fetch"]);
/// # });
/// ```
#[derive(Clone)]
pub struct Fault {
    act: Act,
    only: Option<usize>,
}

#[derive(Clone)]
enum Act {
    Error { ty: TypeId, ty_name: &'static str, make: Arc<dyn Fn() -> Box<dyn Any> + Send + Sync> },
    Delay(Duration),
    Hang,
    Panic(String),
    Cancel { at: usize },
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault").field("kind", &self.kind()).field("only", &self.only).finish()
    }
}

impl Fault {
    fn of(act: Act) -> Fault {
        Fault { act, only: None }
    }

    /// The body does not run, and this error is returned: `Fault::error(|| CouncilError::NoMembers)`. The function at
    /// the boundary returns a `Result` with errors of this very type, or the test fails and says what it returns. That
    /// wants a compiler whose names of types have their lifetimes, as that of Rust 1.95 does.
    pub fn error<E: 'static>(make: impl Fn() -> E + Send + Sync + 'static) -> Fault {
        let make = Arc::new(move || Box::new(make()) as Box<dyn Any>);
        Fault::of(Act::Error { ty: TypeId::of::<E>(), ty_name: std::any::type_name::<E>(), make })
    }

    /// The body begins so much later. That takes no real time: where tokio's clock is paused it sleeps, and every timer
    /// sees the time pass; elsewhere, and in a plain function, the run and those around it are timed as that much longer,
    /// which timers do not see. The delays of two that go on at the same time then add up for the run around both.
    pub fn delay(duration: Duration) -> Fault {
        Fault::of(Act::Delay(duration))
    }

    /// The body never begins, and nothing is returned. What bounds it has to end it; a task that nobody bounds ends by a
    /// panic once the observation is over. A plain function cannot hang.
    pub fn hang() -> Fault {
        Fault::of(Act::Hang)
    }

    /// The body does not run, and there is a panic with this message.
    pub fn panic(message: impl Into<String>) -> Fault {
        Fault::of(Act::Panic(message.into()))
    }

    /// At the poll of that number, from 1, everything that is observed is dropped, as when a client hangs up. A plain
    /// function has no polls.
    pub fn cancel(poll: usize) -> Fault {
        Fault::of(Act::Cancel { at: poll.max(1) })
    }

    /// Only at the time of that number, from 1, that the boundary is reached.
    pub fn only(mut self, time: usize) -> Fault {
        self.only = Some(time);
        self
    }

    /// What it is called in reports.
    pub(super) fn kind(&self) -> &'static str {
        match self.act {
            Act::Error { .. } => ERROR,
            Act::Delay(_) => DELAY,
            Act::Hang => HANG,
            Act::Panic(_) => PANIC,
            Act::Cancel { .. } => CANCEL,
        }
    }
}

pub(super) const ERROR: &str = "error";
pub(super) const DELAY: &str = "delay";
pub(super) const HANG: &str = "hang";
pub(super) const PANIC: &str = "panic";
pub(super) const CANCEL: &str = "cancel";

/// What is wrong with what a test asked for.
#[derive(Debug)]
pub(super) enum Misuse {
    /// A boundary that cannot break so.
    Refused(String),
    /// One that returns no `Result` at all, or none whose type can be named.
    NoResult(String),
    /// Anything else.
    Wrong(String),
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misuse::Refused(text) | Misuse::NoResult(text) | Misuse::Wrong(text) => f.write_str(text),
        }
    }
}

/// The faults of one domain, and what came of them.
#[derive(Debug, Default)]
pub(crate) struct Plan(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    faults: Vec<Planned>,
    is_cancelled: bool,
    /// Nobody observes any more.
    is_over: bool,
    /// Who waits at a boundary for ever, or until then.
    stuck: Vec<Waker>,
}

/// Why a fault cannot happen.
#[derive(Debug)]
enum Refusal {
    NoResult(String),
    Other(String),
}

/// A fault at its place.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) place: String,
    pub(super) fault: Fault,
    /// How often the boundary was reached.
    passed: usize,
    /// How often the fault happened.
    fired: usize,
    /// The most polls of the boundary that were seen, where one of them is waited for.
    polls: usize,
    /// Why it could not happen.
    refused: Option<Refusal>,
}

impl Plan {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    pub(super) fn add(&self, place: &str, fault: Fault) {
        let place = place.to_owned();
        let planned = Planned { place, fault, passed: 0, fired: 0, polls: 0, refused: None };
        self.state().faults.push(planned);
    }

    /// Whether a fault wants everything dropped.
    pub(super) fn is_cancelled(&self) -> bool {
        self.state().is_cancelled
    }

    /// What is observed has ended: nothing breaks any more, and a task that is stuck at a boundary goes.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.is_over = true;
        let stuck = std::mem::take(&mut state.stuck);
        drop(state);
        stuck.into_iter().for_each(Waker::wake);
    }

    /// Waits at a boundary for ever. There is no other way out of a task than a panic, of which Rust's hook has nothing
    /// to tell.
    fn stay(&self, cx: &Context<'_>) -> Instead {
        let mut state = self.state();
        if state.is_over {
            drop(state);
            resume_unwind(Box::new("the observation in which it hung is over"));
        }
        if !state.stuck.iter().any(|known| known.will_wake(cx.waker())) {
            state.stuck.push(cx.waker().clone());
        }
        Instead::Pending
    }

    /// What went wrong with the faults themselves.
    pub(super) fn misuses(&self) -> Vec<Misuse> {
        let state = self.state();
        let misuse = |planned: &Planned| {
            let Planned { place, fault, passed, fired, polls, refused } = planned;
            let kind = fault.kind();
            if *fired > 0 {
                return None;
            }
            if let Some(refused) = refused {
                let text = |why: &str| format!("the {kind} at `{place}` cannot happen: {why}");
                return Some(match refused {
                    Refusal::NoResult(why) => Misuse::NoResult(text(why)),
                    Refusal::Other(why) => Misuse::Refused(text(why)),
                });
            }
            Some(Misuse::Wrong(match (&fault.act, fault.only) {
                _ if *passed == 0 => format!("the {kind} at `{place}` was never reached"),
                (_, Some(time)) if *passed < time => {
                    format!("the {kind} at `{place}` is for time {time}, and it was reached {passed} times")
                }
                (Act::Cancel { at }, _) => {
                    format!("the cancel at `{place}` is for poll {at}, and it was polled {polls} times")
                }
                _ => format!("the {kind} at `{place}` did not happen"),
            }))
        };
        state.faults.iter().filter_map(misuse).collect()
    }

    /// Returns the fault that is planned for a run of this unit, which begins now.
    pub(super) fn injected(
        &self,
        around: &Arc<Around>,
        unit: &'static Unit,
        run: u64,
        core: &Arc<Core>,
    ) -> Option<Injected> {
        let (index, act) = self.next_for(unit)?;
        let (core, around) = (Arc::clone(core), Arc::clone(around));
        Some(Injected(Box::new(AtBoundary { core, around, run, index, act, sleep: None, polls: 0 })))
    }

    /// What is planned for a run of this unit that begins now.
    fn next_for(&self, unit: &Unit) -> Option<(usize, Act)> {
        let mut found = None;
        let mut state = self.state();
        if state.is_over {
            return None;
        }
        for (index, planned) in state.faults.iter_mut().enumerate() {
            if planned.place == unit.name || planned.place == unit.definition.common().id {
                planned.passed += 1;
                if planned.fault.only.is_none_or(|time| time == planned.passed) && found.is_none() {
                    found = Some((index, planned.fault.act.clone()));
                }
            }
        }
        found
    }

    fn with(&self, index: usize, f: impl FnOnce(&mut Planned)) {
        if let Some(planned) = self.state().faults.get_mut(index) {
            f(planned);
        }
    }
}

/// A fault that is about to happen to a run.
struct AtBoundary {
    core: Arc<Core>,
    around: Arc<Around>,
    run: u64,
    index: usize,
    act: Act,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
    polls: usize,
}

impl fmt::Debug for AtBoundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtBoundary").field("run", &self.run).finish_non_exhaustive()
    }
}

impl Injection for AtBoundary {
    fn poll(&mut self, value: &mut Slot, cx: &mut Context<'_>) -> Instead {
        match &self.act {
            Act::Delay(duration) => {
                let duration = *duration;
                self.polls += 1;
                if self.polls == 1 {
                    self.fire();
                    match is_paused() {
                        true => self.sleep = Some(Box::pin(tokio::time::sleep(duration))),
                        false => self.delay(duration),
                    }
                }
                let is_over = self.sleep.as_mut().is_none_or(|sleep| sleep.as_mut().poll(cx).is_ready());
                if is_over { Instead::Body } else { Instead::Pending }
            }
            Act::Hang => {
                if self.polls == 0 {
                    self.fire();
                }
                self.polls += 1;
                self.around.plan.stay(cx)
            }
            Act::Cancel { at } => {
                let at = *at;
                self.polls += 1;
                let polls = self.polls;
                self.around.plan.with(self.index, |planned| planned.polls = planned.polls.max(polls));
                if polls < at {
                    return Instead::Body;
                }
                if polls == at {
                    self.fire();
                    self.around.plan.state().is_cancelled = true;
                    self.around.waiter.wake();
                }
                self.around.plan.stay(cx)
            }
            Act::Error { .. } | Act::Panic(_) => self.call(value),
        }
    }

    fn call(&mut self, value: &mut Slot) -> Instead {
        match &self.act {
            Act::Error { ty, ty_name, make } => {
                let Err(why) = value.write_error(*ty, &**make) else {
                    self.fire();
                    return Instead::Value;
                };
                let what = format!("it is a `{ty_name}`, and what is returned a `{}`", value.returned_name());
                self.refuse(match why {
                    NotReturned::NoResult => {
                        Refusal::NoResult(format!("{what}, of which the attribute sees no error"))
                    }
                    NotReturned::LifetimesUnknown => Refusal::Other(format!(
                        "{what}, and whether its error holds borrows is not told by this compiler: a newer one does"
                    )),
                    NotReturned::HoldsBorrows => Refusal::Other(format!("{what}, whose error may hold borrows")),
                    NotReturned::OtherType => Refusal::Other(what),
                });
                Instead::Body
            }
            Act::Delay(duration) => {
                let duration = *duration;
                self.fire();
                self.delay(duration);
                Instead::Body
            }
            Act::Panic(message) => {
                let message = message.clone();
                self.fire();
                // Rust's hook has nothing to report about a panic that the test asked for.
                resume_unwind(Box::new(message))
            }
            Act::Hang | Act::Cancel { .. } => {
                self.refuse(Refusal::Other("a plain function cannot be stopped in the middle".to_owned()));
                Instead::Body
            }
        }
    }
}

impl AtBoundary {
    fn fire(&self) {
        self.around.plan.with(self.index, |planned| planned.fired += 1);
        let kind = Fault::of(self.act.clone()).kind();
        if let Some(capture) = &self.around.capture {
            capture.injected(self.run, kind);
        }
    }

    fn refuse(&self, why: Refusal) {
        self.around.plan.with(self.index, |planned| planned.refused = Some(why));
    }

    /// The run, which the thread is inside of, and those around it take so much longer.
    fn delay(&self, duration: Duration) {
        if let Some(run) = frame::nearest() {
            delay(&run, self.core.clock.ticks(duration));
        }
        self.core.scan_all(&|unit, observed, elapsed| observe::overdue(&self.core, unit, observed, elapsed));
        self.around.waiter.wake();
    }
}

/// Whether this thread's runtime has its clock paused. Tokio does not say; but then its time stands still.
pub(super) fn is_paused() -> bool {
    const LONG_ENOUGH: Duration = Duration::from_micros(2);
    let (real, tokio) = (Instant::now(), tokio::time::Instant::now());
    while real.elapsed() < LONG_ENOUGH {
        std::hint::spin_loop();
    }
    tokio.elapsed().is_zero()
}
