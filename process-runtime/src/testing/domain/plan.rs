//! Keeps the planned faults of one domain, and makes each fault happen when its boundary is called or polled. A
//! boundary is a process, a stage or a call to a dependency. The mechanism that replaces the body of a run does not
//! belong here; it is in `run::inject`.

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Waker};
use std::time::Duration;

use super::fault::{Act, Fault, Misuse, is_paused};
use super::waiter::Waiter;
use crate::base::lock::lock;
use crate::observe;
use crate::run::domain::Core;
use crate::run::domain::own::delay;
use crate::run::frame;
use crate::run::inject::{Injected, Injection, Instead, NotReturned, Slot};
use crate::run::unit::Unit;
use crate::testing::observing::capture::Capture;

/// The planned faults of one domain, and which of them happened.
#[derive(Debug)]
pub(in crate::testing) struct Plan {
    state: Mutex<State>,
    waiter: Arc<Waiter>,
    capture: Option<Arc<Capture>>,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<Planned>,
    /// Whether a fault has cancelled the observed future.
    is_cancelled: bool,
    /// Whether the observation is over.
    is_over: bool,
    /// The wakers of tasks that hang at a boundary until the observation is over.
    stuck: Vec<Waker>,
}

/// The reason why a fault cannot happen.
#[derive(Debug)]
enum Refusal {
    NoResult(String),
    Other(String),
}

/// A fault and its boundary.
#[derive(Debug)]
struct Planned {
    boundary: String,
    fault: Fault,
    /// How often the boundary was called.
    calls: usize,
    /// How often the fault happened.
    fired: usize,
    /// The highest number of polls in one call, counted only if the fault is a cancellation.
    polls: usize,
    /// The reason why the fault could not happen at a call; `None` if the fault could happen at every call so far.
    refused: Option<Refusal>,
}

impl Plan {
    pub(super) fn new(waiter: Arc<Waiter>, capture: Option<Arc<Capture>>) -> Plan {
        Plan { state: Mutex::default(), waiter, capture }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Plans a fault at a boundary.
    pub(super) fn add(&self, boundary: &str, fault: Fault) {
        let boundary = boundary.to_owned();
        let planned = Planned { boundary, fault, calls: 0, fired: 0, polls: 0, refused: None };
        self.state().faults.push(planned);
    }

    /// Returns whether a fault has cancelled the observed future.
    pub(super) fn is_cancelled(&self) -> bool {
        self.state().is_cancelled
    }

    /// Ends the observation. No more faults happen, and tasks that still hang at a boundary panic.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.is_over = true;
        let stuck = std::mem::take(&mut state.stuck);
        drop(state);
        stuck.into_iter().for_each(Waker::wake);
    }

    /// Keeps the current task pending at its boundary. When the observation is over, panics instead, because a task
    /// that hangs has no other way to end. The panic hook is not called.
    fn stay(&self, cx: &Context<'_>) -> Instead {
        // A waker is foreign code, so it is cloned and dropped without the lock.
        let waker = cx.waker().clone();
        let mut state = self.state();
        if state.is_over {
            drop(state);
            resume_unwind(Box::new("the observation ended while this injected hang was still waiting"));
        }
        if !state.stuck.iter().any(|known| known.will_wake(&waker)) {
            state.stuck.push(waker);
        }
        Instead::Pending
    }

    /// Returns the faults that did not happen, each with the reason.
    pub(super) fn misuses(&self) -> Vec<Misuse> {
        let state = self.state();
        let misuse = |planned: &Planned| {
            let Planned { boundary, fault, calls, fired, polls, refused } = planned;
            let kind = fault.kind();
            if *fired > 0 {
                return None;
            }
            if let Some(refused) = refused {
                let text = |why: &str| format!("the {kind} at `{boundary}` cannot happen: {why}");
                return Some(match refused {
                    Refusal::NoResult(why) => Misuse::NoResult(text(why)),
                    Refusal::Other(why) => Misuse::Refused(text(why)),
                });
            }
            Some(Misuse::Wrong(match (&fault.act, fault.nth) {
                _ if *calls == 0 => {
                    format!("the {kind} at `{boundary}` did not happen: `{boundary}` was not called")
                }
                (_, Some(call)) if *calls < call => {
                    let times = times(*calls);
                    format!(
                        "the {kind} at `{boundary}` was planned for call {call}, but `{boundary}` was called {times}"
                    )
                }
                (Act::Cancel { at_poll }, _) => {
                    let times = times(*polls);
                    format!(
                        "the {kind} at `{boundary}` was planned for poll {at_poll}, but `{boundary}` was polled {times}"
                    )
                }
                _ => format!("the {kind} at `{boundary}` did not happen"),
            }))
        };
        state.faults.iter().filter_map(misuse).collect()
    }

    /// Returns the fault to inject into a run that begins now. Returns `None` if no fault is planned for this call of
    /// the run's unit, which is a process, a stage or a dependency.
    pub(super) fn injected(
        self: &Arc<Self>,
        unit: &'static Unit,
        run: u64,
        core: &Arc<Core>,
    ) -> Option<Injected> {
        let (index, act) = self.next_for(unit)?;
        let (core, plan) = (Arc::clone(core), Arc::clone(self));
        Some(Injected(Box::new(AtBoundary { core, plan, run, index, act, sleep: None, polls: 0 })))
    }

    /// Counts a call of this unit. Returns the first fault that is planned for this call, with the index of the fault
    /// in the plan. Returns `None` if no fault is planned for the call, or if the observation is over.
    fn next_for(&self, unit: &Unit) -> Option<(usize, Act)> {
        let mut found = None;
        let mut state = self.state();
        if state.is_over {
            return None;
        }
        for (index, planned) in state.faults.iter_mut().enumerate() {
            if planned.boundary == unit.name || planned.boundary == unit.definition.common().id {
                planned.calls += 1;
                if planned.fault.nth.is_none_or(|call| call == planned.calls) && found.is_none() {
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

fn times(number: usize) -> String {
    if number == 1 { "once".to_owned() } else { format!("{number} times") }
}

/// A fault at the boundary of one run.
struct AtBoundary {
    core: Arc<Core>,
    plan: Arc<Plan>,
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
                self.plan.stay(cx)
            }
            Act::Cancel { at_poll } => {
                let at = *at_poll;
                self.polls += 1;
                let polls = self.polls;
                self.plan.with(self.index, |planned| planned.polls = planned.polls.max(polls));
                if polls < at {
                    return Instead::Body;
                }
                if polls == at {
                    self.fire();
                    self.plan.state().is_cancelled = true;
                    self.plan.waiter.wake();
                }
                self.plan.stay(cx)
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
                let types = format!(
                    "the error is a `{ty_name}`, and the function returns `{}`",
                    value.returned_name()
                );
                self.refuse(match why {
                    NotReturned::NoResult => {
                        Refusal::NoResult(format!("{types}, which the attribute does not recognise as a `Result`; write `Result<…>` in the signature"))
                    }
                    NotReturned::LifetimesUnknown => Refusal::Other(format!(
                        "{types}, whose error type may borrow (this version of rustc does not show it); use a newer version of rustc"
                    )),
                    NotReturned::HoldsBorrows => Refusal::Other(format!("{types}, whose error type may borrow; a fault needs an error type without lifetimes, references, function pointers, closures and trait objects")),
                    NotReturned::OtherType => Refusal::Other(types),
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
                // The panic hook is not called, because it would print a panic that the test itself injects.
                resume_unwind(Box::new(message))
            }
            Act::Hang | Act::Cancel { .. } => {
                self.refuse(Refusal::Other(
                    "a plain function cannot be stopped before it returns".to_owned(),
                ));
                Instead::Body
            }
        }
    }
}

impl AtBoundary {
    fn fire(&self) {
        self.plan.with(self.index, |planned| planned.fired += 1);
        if let Some(capture) = &self.plan.capture {
            capture.injected(self.run, self.act.kind());
        }
    }

    fn refuse(&self, why: Refusal) {
        self.plan.with(self.index, |planned| planned.refused = Some(why));
    }

    /// Adds a delay to the measured duration of the run that this thread is in, and of every run around it. Then
    /// reports the runs that are now overdue.
    fn delay(&self, duration: Duration) {
        if let Some(run) = frame::nearest() {
            delay(&run, self.core.clock.ticks(duration));
        }
        self.core.scan_all(&|unit, observed, elapsed| observe::overdue(&self.core, unit, observed, elapsed));
        self.plan.waiter.wake();
    }
}
