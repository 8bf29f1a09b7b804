//! What a run belongs to: a clock, a table of runs in flight, accounts and sinks. A program has one global
//! domain; under `testing`, a test has its own, which is inherited by everything that runs inside it.

#[cfg(any(feature = "health", feature = "testing"))]
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use crate::base::clock::Clock;
use crate::base::lane::Lane;
#[cfg(any(feature = "health", feature = "testing"))]
use crate::base::lock::lock;
use crate::base::lock::{read, write};
use crate::catalog::definition::{ProcessDefinition, StageDefinition};
use crate::observe::{self, RunView, Sink};
use crate::run::inflight::{self, Seen, Table, Ticket};
use crate::run::observed::Observed;
use crate::run::unit::Unit;
use crate::stats::account::Account;
use crate::stats::{self, Stats};

/// Which domain.
#[derive(Clone, Debug)]
pub(crate) enum Domain {
    Global,
    #[cfg(any(feature = "health", feature = "testing"))]
    Own(Arc<Core>),
}

impl Domain {
    /// The one that the thread is inside of.
    pub(crate) fn current() -> Domain {
        Domain::of(crate::run::frame::nearest().as_deref())
    }

    /// The one that a scope is in.
    pub(crate) fn of(observed: Option<&Observed>) -> Domain {
        observed.map_or(Domain::Global, |observed| observed.domain.clone())
    }

    /// Whether it is a test's own.
    #[inline]
    pub(crate) fn is_own(&self) -> bool {
        match self {
            Domain::Global => false,
            #[cfg(any(feature = "health", feature = "testing"))]
            Domain::Own(_) => true,
        }
    }

    /// What keeps its spans and events.
    #[cfg(feature = "testing")]
    pub(crate) fn capture(&self) -> Option<&Arc<crate::testing::Capture>> {
        self.core().capture.as_ref()
    }

    #[inline]
    pub(crate) fn core(&self) -> &Core {
        match self {
            Domain::Global => Core::global(),
            #[cfg(any(feature = "health", feature = "testing"))]
            Domain::Own(core) => core,
        }
    }
}

/// The parts of a domain.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) clock: Clock,
    table: Table<Unit, Observed>,
    sinks: RwLock<Arc<[Arc<dyn Sink>]>>,
    has_sinks: AtomicBool,
    /// `None` in the global domain, whose accounts are in the units.
    #[cfg(any(feature = "health", feature = "testing"))]
    accounts: Option<std::sync::Mutex<HashMap<usize, Box<Account>>>>,
    /// Whether its runs are those of a health check.
    #[cfg(all(feature = "health", feature = "sentry"))]
    pub(crate) is_synthetic: bool,
    /// Whoever waits for the next deadline, where that is no thread.
    #[cfg(feature = "testing")]
    pub(crate) waiter: crate::testing::Waiter,
    /// What keeps the spans and events of a domain that is observed.
    #[cfg(feature = "testing")]
    pub(crate) capture: Option<Arc<crate::testing::Capture>>,
    /// What a test breaks on purpose.
    #[cfg(feature = "testing")]
    pub(crate) plan: crate::testing::Plan,
}

impl Core {
    pub(crate) fn global() -> &'static Core {
        static GLOBAL: OnceLock<Core> = OnceLock::new();
        GLOBAL.get_or_init(|| Core {
            clock: Clock::best(),
            table: Table::new(inflight::LIMIT),
            sinks: RwLock::new(Arc::new([])),
            has_sinks: AtomicBool::new(false),
            #[cfg(any(feature = "health", feature = "testing"))]
            accounts: None,
            #[cfg(all(feature = "health", feature = "sentry"))]
            is_synthetic: false,
            #[cfg(feature = "testing")]
            waiter: Default::default(),
            #[cfg(feature = "testing")]
            capture: None,
            #[cfg(feature = "testing")]
            plan: Default::default(),
        })
    }

    /// A domain on tokio's clock.
    #[cfg(any(feature = "health", feature = "testing"))]
    pub(crate) fn own(limit: usize, sinks: Vec<Arc<dyn Sink>>) -> Core {
        Core {
            clock: Clock::tokio(),
            table: Table::new(limit),
            has_sinks: AtomicBool::new(!sinks.is_empty()),
            sinks: RwLock::new(sinks.into()),
            accounts: Some(Default::default()),
            #[cfg(all(feature = "health", feature = "sentry"))]
            is_synthetic: false,
            #[cfg(feature = "testing")]
            waiter: Default::default(),
            #[cfg(feature = "testing")]
            capture: None,
            #[cfg(feature = "testing")]
            plan: Default::default(),
        }
    }

    /// The domain of a health check.
    #[cfg(feature = "health")]
    pub(crate) fn synthetic(limit: usize, sink: Arc<dyn Sink>) -> Core {
        Core {
            #[cfg(feature = "sentry")]
            is_synthetic: true,
            ..Core::own(limit, vec![sink])
        }
    }

    /// A domain on tokio's clock that is observed.
    #[cfg(feature = "testing")]
    pub(crate) fn captured(
        limit: usize,
        mut sinks: Vec<Arc<dyn Sink>>,
        capture: Option<Arc<crate::testing::Capture>>,
    ) -> Core {
        sinks.extend(capture.clone().map(|capture| capture as Arc<dyn Sink>));
        Core { capture, ..Core::own(limit, sinks) }
    }

    /// Whether this is the program's one domain.
    #[inline]
    pub(crate) fn is_global(&self) -> bool {
        #[cfg(any(feature = "health", feature = "testing"))]
        return self.accounts.is_none();
        #[cfg(not(any(feature = "health", feature = "testing")))]
        true
    }

    /// The account of a unit in this domain.
    #[inline]
    pub(crate) fn account(&self, unit: &'static Unit) -> &Account {
        #[cfg(any(feature = "health", feature = "testing"))]
        if let Some(accounts) = &self.accounts {
            let mut accounts = lock(&accounts);
            let key = std::ptr::from_ref(unit).addr();
            let account =
                accounts.entry(key).or_insert_with(|| Box::new(Account::new(unit.sla, &self.clock)));
            // SAFETY: the box is never taken out of the map, which lives as long as `self`.
            return unsafe { &*std::ptr::from_ref::<Account>(account) };
        }
        unit.account.get_or_init(|| Account::new(unit.sla, &self.clock))
    }

    /// A run enters, at `now`.
    #[inline]
    pub(crate) fn enter(&self, unit: &'static Unit, now: u64, observed: Option<&Arc<Observed>>) -> Ticket {
        let account = self.account(unit);
        let lane = Lane::current();
        account.start(lane);
        let deadline = account.deadline(now);
        let ticket = self.table.enter(lane, unit, now, deadline, observed);
        if self.is_global() {
            crate::install::watchdog::expect(deadline);
        }
        #[cfg(feature = "testing")]
        if !self.is_global() {
            self.waiter.wake();
        }
        ticket
    }

    /// A run leaves. Whether the watchdog told of it as late.
    #[inline]
    pub(crate) fn leave(&self, lane: Lane, account: &Account, ticket: Ticket) -> bool {
        let told = self.table.leave(lane, ticket);
        if told {
            account.remove_overdue();
        }
        told
    }

    /// Whether a run of this length is late. Far from the limit a rough idea of the clock's rate will do.
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

    /// Tells of every run that has passed its SLA since the last scan. Returns the time to the next
    /// deadline.
    pub(crate) fn scan(&self) -> Option<Duration> {
        self.scan_to(self.clock.now())
    }

    /// The same after a test added to the time that runs take, and thus changed their deadlines.
    #[cfg(feature = "testing")]
    pub(crate) fn scan_all(&self) {
        self.scan_to(crate::stats::account::NEVER);
    }

    fn scan_to(&self, limit: u64) -> Option<Duration> {
        let now = self.clock.now();
        // The clock's rate may be better known than when the deadline was set.
        let confirm = |seen: &Seen<Unit, Observed>| {
            let account = self.account(seen.unit);
            account.refine(seen.unit.sla, &self.clock);
            let added = seen.payload.as_ref().map_or(0, |observed| observed.added());
            let deadline = account.deadline(seen.started).saturating_sub(added);
            (deadline > now).then_some(deadline)
        };
        let next = self.table.scan(limit, confirm, |seen| {
            self.account(seen.unit).add_overdue();
            observe::overdue(self, seen.unit, seen.payload.as_ref(), self.elapsed(&seen));
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

    /// Runs that found no room in the table.
    pub(crate) fn untracked(&self) -> u64 {
        self.table.untracked()
    }

    /// Bytes of the table.
    pub(crate) fn table_memory(&self) -> usize {
        self.table.memory()
    }

    pub(crate) fn add_sink(&self, sink: Arc<dyn Sink>) {
        let mut sinks = write(&self.sinks);
        *sinks = sinks.iter().cloned().chain([sink]).collect();
        self.has_sinks.store(true, Ordering::Release);
    }

    /// Whether anybody added a sink.
    #[inline]
    pub(crate) fn has_sinks(&self) -> bool {
        self.has_sinks.load(Ordering::Relaxed)
    }

    /// Tells every sink. One that panics is told no more.
    #[inline]
    pub(crate) fn tell(&self, run: &RunView<'_>, tell: impl Fn(&dyn Sink, &RunView<'_>)) {
        if self.has_sinks() {
            self.tell_all(run, &tell);
        }
    }

    #[cold]
    fn tell_all(&self, run: &RunView<'_>, tell: &dyn Fn(&dyn Sink, &RunView<'_>)) {
        let sinks = Arc::clone(&read(&self.sinks));
        for sink in sinks.iter() {
            if !observe::unharmed(|| tell(&**sink, run)) {
                let mut sinks = write(&self.sinks);
                *sinks = sinks.iter().filter(|other| !Arc::ptr_eq(other, sink)).cloned().collect();
            }
        }
    }
}

/// A run that is going on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InFlight {
    /// The process that runs, or for which the stage runs.
    pub process: Option<&'static ProcessDefinition>,
    /// The stage, where a stage runs.
    pub stage: Option<&'static StageDefinition>,
    /// The id of the dependency, where it is a call to one.
    pub dependency: Option<&'static str>,
    /// How long it has been running.
    pub elapsed: Duration,
    /// Whether it is past its SLA.
    pub overdue: bool,
    /// Its business context, where some sink wanted it.
    pub context: Vec<(&'static str, String)>,
}
