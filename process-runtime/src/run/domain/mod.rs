//! Domains. Each run belongs to a domain, which has a clock, a table of runs in flight, accounts and sinks. A program
//! has one global domain. Each test and each health check has a domain of its own, to which all runs inside the test
//! or check belong. A run enters and leaves its domain through [`Core`], which counts the start of the run, puts the
//! run into the table and wakes the watchdog if necessary. `observed` is in this folder because an observed run refers
//! to its domain. Destinations of the toolkit do not belong here.

pub(crate) mod observed;
pub(crate) mod own;
pub(crate) mod sink;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use self::observed::Observed;
use self::own::Own;
use self::sink::{NamedSink, RunView, Sink};
use super::inflight::{self, Seen, Table, Ticket};
use super::unit::Unit;
use crate::base::alarm;
use crate::base::clock::Clock;
use crate::base::destination::{release, unharmed};
use crate::base::lane::Lane;
use crate::base::lock::{read, write};
use crate::catalog::definition::{ProcessDefinition, StageDefinition};
use crate::stats::account::Account;
use crate::stats::{self, Stats};

/// A reference to a domain.
#[derive(Clone, Debug)]
pub(crate) enum DomainRef {
    Global,
    Own(Arc<Core>),
}

impl DomainRef {
    /// Returns the domain of an observed run or scope; the global domain for `None`.
    pub(crate) fn of(observed: Option<&Observed>) -> DomainRef {
        observed.map_or(DomainRef::Global, |observed| observed.domain.clone())
    }

    /// Returns the domain if it belongs to a health check or a test; `None` for the global domain.
    #[inline]
    pub(crate) fn own(&self) -> Option<&Arc<Core>> {
        match self {
            DomainRef::Own(core) if own::IS_POSSIBLE => Some(core),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn core(&self) -> &Core {
        match self.own() {
            Some(core) => core,
            None => Core::global(),
        }
    }
}

/// A function that reports a run past its SLA, with the time that the run has taken so far.
pub(crate) type Overdue<'a> = &'a dyn Fn(&'static Unit, Option<&Arc<Observed>>, Duration);

/// A domain.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) clock: Clock,
    table: Table<Unit, Observed>,
    sinks: RwLock<Arc<[NamedSink]>>,
    has_sinks: AtomicBool,
    /// `None` in the global domain, whose accounts are in the units.
    own: Option<Own>,
}

impl Core {
    pub(crate) fn global() -> &'static Core {
        static GLOBAL: OnceLock<Core> = OnceLock::new();
        GLOBAL.get_or_init(|| Core::new(Clock::best(), inflight::LIMIT, Vec::new(), None))
    }

    pub(crate) fn new(clock: Clock, limit: usize, sinks: Vec<NamedSink>, own: Option<Own>) -> Core {
        Core {
            clock,
            table: Table::new(limit),
            has_sinks: AtomicBool::new(!sinks.is_empty()),
            sinks: RwLock::new(sinks.into()),
            own,
        }
    }

    #[inline]
    pub(super) fn own(&self) -> Option<&Own> {
        self.own.as_ref().filter(|_| own::IS_POSSIBLE)
    }

    /// Returns whether this is the global domain.
    #[inline]
    pub(crate) fn is_global(&self) -> bool {
        self.own().is_none()
    }

    /// Returns the account of a unit in this domain.
    #[inline]
    pub(crate) fn account(&self, unit: &'static Unit) -> &Account {
        if let Some(own) = self.own() {
            return own.account(unit, &self.clock);
        }
        unit.account.get_or_init(|| Account::new(unit.sla, &self.clock))
    }

    /// Counts the start of a run at `now`, and enters the run in the table. In the global domain, also wakes the
    /// watchdog if it would sleep past the deadline of the run. In any other domain, notifies the domain's
    /// [`own::Surroundings`].
    #[inline]
    pub(crate) fn enter(&self, unit: &'static Unit, now: u64, observed: Option<&Arc<Observed>>) -> Ticket {
        let account = self.account(unit);
        let lane = Lane::current();
        account.start(lane);
        let deadline = account.deadline(now);
        let ticket = self.table.enter(lane, unit, now, deadline, observed);
        match self.surroundings() {
            None => alarm::expect(deadline),
            Some(surroundings) => surroundings.run_began(),
        }
        ticket
    }

    /// Removes a run from the table. Returns whether a scan has already reported the run as late.
    #[inline]
    pub(crate) fn leave(&self, lane: Lane, account: &Account, ticket: Ticket) -> bool {
        let was_overdue = self.table.leave(lane, ticket);
        if was_overdue {
            account.remove_overdue();
        }
        was_overdue
    }

    /// Returns whether a run of this length is late. A run that is clearly shorter than its SLA is on time, even if
    /// the rate of the clock is slightly imprecise. For every other run, the rate is measured again before the
    /// decision.
    #[inline]
    pub(crate) fn is_late(&self, unit: &'static Unit, account: &Account, ticks: u64) -> bool {
        ticks + ticks / 64 >= account.limit() && self.is_just_late(unit, account, ticks)
    }

    #[cold]
    fn is_just_late(&self, unit: &'static Unit, account: &Account, ticks: u64) -> bool {
        self.clock.refine();
        account.refine(unit.sla, &self.clock);
        unit.sla.is_some_and(|sla| self.clock.duration(ticks) > sla)
    }

    /// Calls `report` for every run that is past its SLA and that no earlier scan has reported. Returns the time to
    /// the next deadline of a run in flight; `None` if no run has a deadline.
    pub(crate) fn scan(&self, report: Overdue<'_>) -> Option<Duration> {
        self.scan_to(self.clock.now(), report)
    }

    pub(super) fn scan_to(&self, limit: u64, report: Overdue<'_>) -> Option<Duration> {
        let now = self.clock.now();
        // The clock may have measured its rate more precisely since the deadline was set.
        let confirm = |seen: &Seen<Unit, Observed>| {
            let account = self.account(seen.unit);
            account.refine(seen.unit.sla, &self.clock);
            let added = seen.payload.as_ref().map_or(0, |observed| observed.added());
            let deadline = account.deadline(seen.started).saturating_sub(added);
            (deadline > now).then_some(deadline)
        };
        let next = self.table.scan(limit, confirm, |seen| {
            self.account(seen.unit).add_overdue();
            report(seen.unit, seen.payload.as_ref(), self.elapsed(&seen));
        })?;
        Some(self.clock.duration(next.saturating_sub(self.clock.now())))
    }

    fn elapsed(&self, seen: &Seen<Unit, Observed>) -> Duration {
        let added = seen.payload.as_ref().map_or(0, |observed| observed.added());
        self.clock.duration(self.clock.now().saturating_sub(seen.started) + added)
    }

    pub(crate) fn stats(&self, unit: &'static Unit) -> Stats {
        stats::read(self.account(unit), &self.clock)
    }

    pub(crate) fn in_flight(&self) -> Vec<InFlight> {
        let mut seen = self.table.list();
        seen.sort_by_key(|seen| seen.started);
        let one = |seen: Seen<Unit, Observed>| {
            let elapsed = self.elapsed(&seen);
            let values = seen.payload.map(|observed| observed.values_now()).unwrap_or_default();
            InFlight {
                process: seen.unit.process,
                stage: seen.unit.stage(),
                dependency: seen.unit.dependency(),
                elapsed,
                overdue: seen.reported || seen.unit.definition.sla().is_some_and(|sla| elapsed > sla),
                context: values.iter().map(|(name, value)| (name, value.to_string())).collect(),
            }
        };
        seen.into_iter().map(one).collect()
    }

    /// Returns the number of runs that began while the table was full.
    pub(crate) fn untracked(&self) -> u64 {
        self.table.untracked()
    }

    /// Returns the size of the table in bytes.
    pub(crate) fn table_memory(&self) -> usize {
        self.table.memory()
    }

    pub(crate) fn add_sink(&self, sink: NamedSink) {
        let mut sinks = write(&self.sinks);
        *sinks = sinks.iter().cloned().chain([sink]).collect();
        self.has_sinks.store(true, Ordering::Release);
    }

    /// Returns whether a sink was added.
    #[inline]
    pub(crate) fn has_sinks(&self) -> bool {
        self.has_sinks.load(Ordering::Relaxed)
    }

    /// Calls `notify` for every sink. A sink that panics is removed.
    #[inline]
    pub(crate) fn notify(&self, run: &RunView<'_>, notify: impl Fn(&dyn Sink, &RunView<'_>)) {
        if self.has_sinks() {
            self.notify_all(run, &notify);
        }
    }

    #[cold]
    fn notify_all(&self, run: &RunView<'_>, notify: &dyn Fn(&dyn Sink, &RunView<'_>)) {
        let sinks = Arc::clone(&read(&self.sinks));
        let mut removed = None;
        for NamedSink { sink, destination } in sinks.iter() {
            if !unharmed(*destination, || notify(&**sink, run)) {
                let mut sinks = write(&self.sinks);
                *sinks = sinks.iter().filter(|other| !Arc::ptr_eq(&other.sink, sink)).cloned().collect();
                removed = Some(*destination);
            }
        }
        // This may be the last owner of a sink that was removed, here or by another thread. Its `Drop` may panic or
        // hang.
        match removed.or_else(|| Some(sinks.first()?.destination)) {
            Some(destination) => release(destination, sinks),
            None => drop(sinks),
        }
    }
}

/// A run in flight.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InFlight {
    /// The process to which this run belongs; `None` for a stage or a call to a dependency that belongs to no
    /// process.
    pub process: Option<&'static ProcessDefinition>,
    /// The stage; `None` if this is not a run of a stage.
    pub stage: Option<&'static StageDefinition>,
    /// The id of the dependency; `None` if this is not a call to a dependency.
    pub dependency: Option<&'static str>,
    /// The time since the run started.
    pub elapsed: Duration,
    /// Whether the run is past its SLA.
    pub overdue: bool,
    /// The business context, as text; empty if no destination observes the run.
    pub context: Vec<(&'static str, String)>,
}
