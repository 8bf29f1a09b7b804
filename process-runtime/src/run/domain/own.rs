//! The domains of health checks and tests. They exist beside the global domain. The rules of health checks and tests
//! do not belong here; they are in implementations of [`Surroundings`].
#![allow(dead_code, reason = "health checks and tests each use a part of it")]

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use super::observed::Observed;
use super::{Core, DomainRef, Overdue};
use crate::base::clock::Clock;
use crate::base::lock::lock;
use crate::run::context::NamedValues;
use crate::run::inject::Injected;
use crate::run::unit::Unit;
use crate::stats::account::{Account, NEVER};

/// Whether this program can have other domains than the global one.
pub(crate) const IS_POSSIBLE: bool = cfg!(any(feature = "health", feature = "testing"));

/// The behaviour of a domain that health checks and tests each implement in their own way.
pub(crate) trait Surroundings: fmt::Debug + Send + Sync {
    /// Returns whether the runs of the domain belong to a health check.
    fn is_synthetic(&self) -> bool {
        false
    }

    /// Called when a run begins in the domain. The run may have the earliest deadline of all runs in the domain, so
    /// the next scan may have to be earlier than planned.
    fn run_began(&self) {}

    /// Prepares the thread for code that runs in the domain, and then calls `f` once.
    fn within(&self, f: &mut dyn FnMut()) {
        f();
    }

    /// Returns the fault that is planned for a run that begins now; `None` if there is none. `unit` is the unit of
    /// the run and `run` its id.
    fn injected(&self, unit: &'static Unit, run: u64, core: &Arc<Core>) -> Option<Injected> {
        let _ = (unit, run, core);
        None
    }
}

/// The parts of a domain that the global domain does not have.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) surroundings: Arc<dyn Surroundings>,
    accounts: Mutex<HashMap<usize, Box<Account>>>,
}

impl Own {
    pub(crate) fn new(surroundings: Arc<dyn Surroundings>) -> Own {
        Own { surroundings, accounts: Mutex::default() }
    }

    /// Returns the account of a unit in this domain.
    pub(crate) fn account(&self, unit: &'static Unit, clock: &Clock) -> &Account {
        let mut accounts = lock(&self.accounts);
        let key = std::ptr::from_ref(unit).addr();
        let account = accounts.entry(key).or_insert_with(|| Box::new(Account::new(unit.sla, clock)));
        // SAFETY: the box is never taken out of the map, and the map exists as long as `self`.
        unsafe { &*std::ptr::from_ref::<Account>(account) }
    }
}

impl Core {
    /// Returns the surroundings of the domain of a health check or a test; `None` for the global domain.
    #[inline]
    pub(crate) fn surroundings(&self) -> Option<&dyn Surroundings> {
        self.own().map(|own| &*own.surroundings)
    }

    /// Returns whether the runs of the domain belong to a health check.
    pub(crate) fn is_synthetic(&self) -> bool {
        self.surroundings().is_some_and(Surroundings::is_synthetic)
    }

    /// Reports every run that is past its SLA, even if its deadline in the table has not passed. A test calls this
    /// after it has added to the duration of runs, because the deadlines in the table are then too late.
    pub(crate) fn scan_all(&self, report: Overdue<'_>) {
        self.scan_to(NEVER, report);
    }
}

/// Creates the outermost scope of a domain. All runs of the domain inherit `values`.
pub(crate) fn outermost(core: Arc<Core>, values: NamedValues) -> Observed {
    Observed::outermost(DomainRef::Own(core), values)
}

/// Returns a clock that follows the clock of tokio on every thread, also while the clock of tokio is paused.
#[cfg(any(feature = "health", feature = "testing"))]
pub(crate) fn runtime_clock() -> Clock {
    let runtime = tokio::runtime::Handle::try_current().ok();
    let anchor = tokio::time::Instant::now();
    Clock::following(move || {
        // `Handle::enter` panics on an ending thread that has dropped tokio's thread-local value.
        let is_gone = |error: tokio::runtime::TryCurrentError| error.is_thread_local_destroyed();
        let is_ending = tokio::runtime::Handle::try_current().is_err_and(is_gone);
        let _inside = runtime.as_ref().filter(|_| !is_ending).map(tokio::runtime::Handle::enter);
        anchor.elapsed()
    })
}

/// Adds ticks to the duration of this run and of every run around this run.
pub(crate) fn delay(run: &Observed, ticks: u64) {
    run.boundary.delay(ticks);
    if let Some(outer) = run.parent.upgrade() {
        delay(&outer, ticks);
    }
}
