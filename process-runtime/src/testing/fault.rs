//! Breaking things on purpose, at the boundary of a process, a stage or a dependency: before its body begins, in the
//! domain of one test and nowhere else.
//!
//! Without feature `testing` neither this file nor what asks it exists.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::base::lock::{read, write};
use crate::run::domain::Core;
use crate::run::frame;
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn stay<R>(&self, cx: &Context<'_>) -> Poll<R> {
        let mut state = self.state();
        if state.is_over {
            drop(state);
            resume_unwind(Box::new("the observation in which it hung is over"));
        }
        if !state.stuck.iter().any(|known| known.will_wake(cx.waker())) {
            state.stuck.push(cx.waker().clone());
        }
        Poll::Pending
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

/// Where what is about to happen to a run waits between its polls: with what is observed of it, so that the run itself
/// and the futures that hold it are no larger than without tests.
#[derive(Debug, Default)]
pub(crate) struct Boundary(Mutex<Option<Box<Injected>>>);

impl Boundary {
    /// The run begins: what is planned for it, if anything is.
    pub(crate) fn arm(&self, unit: &'static Unit, run: u64, core: &Arc<Core>) {
        let Some((index, act)) = core.plan.next_for(unit) else { return };
        let core = Arc::clone(core);
        self.put(Some(Box::new(Injected { core, run, index, act, sleep: None, polls: 0 })));
    }

    pub(crate) fn take(&self) -> Option<Box<Injected>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn put(&self, injected: Option<Box<Injected>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = injected;
    }
}

/// A fault that is about to happen to a run.
pub(crate) struct Injected {
    core: Arc<Core>,
    run: u64,
    index: usize,
    act: Act,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
    polls: usize,
}

impl fmt::Debug for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Injected").field("run", &self.run).finish_non_exhaustive()
    }
}

impl Injected {
    /// Before a poll of the body: what comes in its place.
    pub(crate) fn poll<R>(&mut self, cx: &mut Context<'_>) -> Option<Poll<R>> {
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
                let sleep = self.sleep.as_mut()?;
                sleep.as_mut().poll(cx).is_pending().then_some(Poll::Pending)
            }
            Act::Hang => {
                if self.polls == 0 {
                    self.fire();
                }
                self.polls += 1;
                Some(self.core.plan.stay(cx))
            }
            Act::Cancel { at } => {
                let at = *at;
                self.polls += 1;
                let polls = self.polls;
                self.core.plan.with(self.index, |planned| planned.polls = planned.polls.max(polls));
                if polls < at {
                    return None;
                }
                if polls == at {
                    self.fire();
                    self.core.plan.state().is_cancelled = true;
                    self.core.waiter.wake();
                }
                Some(self.core.plan.stay(cx))
            }
            Act::Error { .. } | Act::Panic(_) => self.call().map(Poll::Ready),
        }
    }

    /// Before a call of the body: what comes in its place.
    pub(crate) fn call<R>(&mut self) -> Option<R> {
        match &self.act {
            Act::Error { ty, ty_name, make } => {
                let erring = Erring::of::<R>();
                let made = match erring {
                    Some(erring) if erring.error == *ty => erring.returned(make),
                    _ => None,
                };
                match made {
                    Some(_) => self.fire(),
                    None => {
                        let returned = std::any::type_name::<R>();
                        let what = format!("it is a `{ty_name}`, and what is returned a `{returned}`");
                        self.refuse(match erring {
                            None => {
                                Refusal::NoResult(format!("{what}, of which the attribute sees no error"))
                            }
                            Some(_) if !lifetimes_are_named() => Refusal::Other(format!(
                                "{what}, and whether its error holds borrows is not told by this compiler: a newer one does"
                            )),
                            Some(erring) if holds_lifetimes(erring.name) => {
                                Refusal::Other(format!("{what}, whose error may hold borrows"))
                            }
                            Some(_) => Refusal::Other(what),
                        });
                    }
                }
                made
            }
            Act::Delay(duration) => {
                let duration = *duration;
                self.fire();
                self.delay(duration);
                None
            }
            Act::Panic(message) => {
                let message = message.clone();
                self.fire();
                // Rust's hook has nothing to tell of a panic that the test asked for.
                resume_unwind(Box::new(message))
            }
            Act::Hang | Act::Cancel { .. } => {
                self.refuse(Refusal::Other("a plain function cannot be stopped in the middle".to_owned()));
                None
            }
        }
    }

    fn fire(&self) {
        self.core.plan.with(self.index, |planned| planned.fired += 1);
        let kind = Fault::of(self.act.clone()).kind();
        if let Some(capture) = &self.core.capture {
            capture.injected(self.run, kind);
        }
    }

    fn refuse(&self, why: Refusal) {
        self.core.plan.with(self.index, |planned| planned.refused = Some(why));
    }

    /// The run, which the thread is inside of, and those around it take so much longer.
    fn delay(&self, duration: Duration) {
        if let Some(run) = frame::nearest() {
            run.delay(self.core.clock.ticks(duration));
        }
        self.core.scan_all();
        self.core.waiter.wake();
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

/// How a function that returns a `Result` returns an error of which only the type is known.
///
/// Types are compared without their lifetimes, of which nothing is left at run time: an error that a test makes is of a
/// `'static` type, and what the function returns may have shorter lifetimes in its place. So an error that has lifetimes
/// is not returned at all (`holds_lifetimes`), and none is where the compiler does not tell (`lifetimes_are_named`).
#[derive(Clone, Copy, Debug)]
pub struct Erring {
    returned: TypeId,
    error: TypeId,
    /// The name of the type of the error.
    name: &'static str,
    write: unsafe fn(Box<dyn Any>, *mut ()),
}

/// Every `Result` that was seen to be returned.
static KNOWN: RwLock<BTreeMap<TypeId, Erring>> = RwLock::new(BTreeMap::new());

impl Erring {
    /// What returns `Result<T, E>` is about to run. Known by its type and not by its run, which is no larger for it.
    #[doc(hidden)]
    pub fn learn<T, E>() {
        let returned = typeid::of::<Result<T, E>>();
        if read(&KNOWN).contains_key(&returned) {
            return;
        }
        let erring = Erring {
            returned,
            error: typeid::of::<E>(),
            name: std::any::type_name::<E>(),
            write: write_error::<T, E>,
        };
        write(&KNOWN).insert(returned, erring);
    }

    /// Of what returns `R`, where that is known to be a `Result`.
    fn of<R>() -> Option<Erring> {
        read(&KNOWN).get(&typeid::of::<R>()).copied()
    }

    /// `Err` of what `make` makes, which is of type `self.error`, where that is an `R`.
    fn returned<R>(self, make: &Arc<dyn Fn() -> Box<dyn Any> + Send + Sync>) -> Option<R> {
        if typeid::of::<R>() != self.returned || !lifetimes_are_named() || holds_lifetimes(self.name) {
            return None;
        }
        let mut room = MaybeUninit::<R>::uninit();
        // SAFETY: `R` is the `Result` that `write` writes, and the caller has compared the type of what is made.
        unsafe {
            (self.write)(make(), room.as_mut_ptr().cast());
            Some(room.assume_init())
        }
    }
}

/// Whether a type may hold borrows that could be shared, or take some: the compiler prints lifetimes as `'_`, and every
/// reference and function. A text that is always there is none of those.
fn holds_lifetimes(name: &str) -> bool {
    name != "&str" && (name.contains(['\'', '&']) || name.contains("fn("))
}

/// Whether this compiler's names of types have their lifetimes, which those of 1.89 have not.
fn lifetimes_are_named() -> bool {
    struct Borrows<'a>(PhantomData<&'a ()>);
    std::any::type_name::<Borrows<'static>>().contains('\'')
}

/// Writes `Err(error)`.
///
/// # Safety
/// `error` holds an `E`, but for lifetimes, and `to` has room for a `Result<T, E>`.
unsafe fn write_error<T, E>(error: Box<dyn Any>, to: *mut ()) {
    // SAFETY: it is an `E`, as the caller says; one with lifetimes, which could become shorter here, was refused before.
    let error = unsafe { Box::from_raw(Box::into_raw(error).cast::<E>()) };
    // SAFETY: there is room, as the caller says.
    unsafe { to.cast::<Result<T, E>>().write(Err(*error)) };
}
