//! A domain of its own, which a health check or a test has beside the global domain. The rules of checks and tests must
//! not go in here: they implement [`Surroundings`].
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

/// Whether this program can have domains of their own.
pub(crate) const IS_POSSIBLE: bool = cfg!(any(feature = "health", feature = "testing"));

/// The behaviour of a domain of its own, which a health check or a test implements.
pub(crate) trait Surroundings: fmt::Debug + Send + Sync {
    /// Returns whether the runs belong to a health check.
    fn is_synthetic(&self) -> bool {
        false
    }

    /// Called when a run begins. Its deadline may be the next to pass.
    fn run_began(&self) {}

    /// Calls `f` with the thread prepared for the domain.
    fn within(&self, f: &mut dyn FnMut()) {
        f();
    }

    /// Returns the fault that is planned for a run of this unit, which begins now.
    fn injected(&self, unit: &'static Unit, run: u64, core: &Arc<Core>) -> Option<Injected> {
        let _ = (unit, run, core);
        None
    }
}

/// The parts that only a domain of its own has.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) surroundings: Arc<dyn Surroundings>,
    accounts: Mutex<HashMap<usize, Box<Account>>>,
}

impl Own {
    pub(crate) fn new(surroundings: Arc<dyn Surroundings>) -> Own {
        Own { surroundings, accounts: Mutex::default() }
    }

    /// Returns the account of a unit.
    pub(crate) fn account(&self, unit: &'static Unit, clock: &Clock) -> &Account {
        let mut accounts = lock(&self.accounts);
        let key = std::ptr::from_ref(unit).addr();
        let account = accounts.entry(key).or_insert_with(|| Box::new(Account::new(unit.sla, clock)));
        // SAFETY: the box is never taken out of the map, which lives as long as `self`.
        unsafe { &*std::ptr::from_ref::<Account>(account) }
    }
}

impl Core {
    /// Returns the surroundings of a check's or a test's domain; `None` in the global domain.
    #[inline]
    pub(crate) fn surroundings(&self) -> Option<&dyn Surroundings> {
        self.own().map(|own| &*own.surroundings)
    }

    /// Returns whether the runs belong to a health check.
    pub(crate) fn is_synthetic(&self) -> bool {
        self.surroundings().is_some_and(Surroundings::is_synthetic)
    }

    /// Scans all runs, whatever their deadlines. A test that adds to the time of runs changes their deadlines.
    pub(crate) fn scan_all(&self, report: Overdue<'_>) {
        self.scan_to(NEVER, report);
    }
}

/// Creates the outermost scope of a domain, with the values that all its runs inherit.
pub(crate) fn outermost(core: Arc<Core>, values: NamedValues) -> Observed {
    Observed::outermost(DomainRef::Own(core), values)
}

/// Returns a clock that follows tokio's clock, paused or not, on every thread.
#[cfg(any(feature = "health", feature = "testing"))]
pub(crate) fn runtime_clock() -> Clock {
    let runtime = tokio::runtime::Handle::try_current().ok();
    let anchor = tokio::time::Instant::now();
    Clock::following(move || {
        let _inside = runtime.as_ref().map(tokio::runtime::Handle::enter);
        anchor.elapsed()
    })
}

/// Adds to the time of this run and of every run around it.
pub(crate) fn delay(run: &Observed, ticks: u64) {
    run.boundary.delay(ticks);
    if let Some(outer) = run.parent.upgrade() {
        delay(&outer, ticks);
    }
}
