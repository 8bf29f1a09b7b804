//! The Sentry data of a run. The most important part is the hub, which holds the Sentry client and scope. The runs
//! inside a run share the hub of the outer run. A run makes its hub the thread's current hub for each poll.
//! `observe::sentry` opens the hub. Events do not belong here.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use sentry_core::{Hub, HubSwitchGuard};

use crate::run::ending_thread::sentry::alive;

/// The hub that is current when a run starts.
#[derive(Debug)]
pub(crate) struct OuterHub {
    pub(crate) hub: Arc<Hub>,
    /// Whether the client of the hub accepts transactions.
    pub(crate) traces: bool,
}

/// The link of a run or scope to Sentry: its hub, and other data that is needed for reports to Sentry.
#[derive(Debug, Default)]
pub(crate) struct HubLink {
    /// The hub of the run around this one, or a hub that [`HubLink::of_run`] made. `None` if [`HubLink::open`] makes
    /// the hub, or if no Sentry client accepts events.
    shared: Option<Arc<Hub>>,
    /// The hub that [`HubLink::open`] made.
    opened: OnceLock<Arc<Hub>>,
    /// The hub that was current when the run started. `None` if [`HubLink::open`] has nothing to do.
    outer: Option<OuterHub>,
    is_open: AtomicBool,
    /// Data that few runs need. `observe::sentry` defines the type.
    details: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl HubLink {
    /// Creates the link of a scope inside `outer`. The scope shares the hub of `outer`.
    pub(crate) fn inside(outer: Option<&HubLink>) -> HubLink {
        HubLink { shared: outer.and_then(HubLink::hub).cloned(), ..HubLink::default() }
    }

    /// Creates the link of a run inside `outer`. The run shares the hub of `outer`. If `outer` has no hub, the run
    /// needs a hub of its own. If the run has no span, this function makes the hub. Entering a span can change the
    /// current hub, so [`HubLink::open`] makes the hub of a run with a span at the first poll. If `around` is `None`,
    /// no Sentry client accepts events, and no hub is made.
    #[inline(always)]
    pub(crate) fn of_run(outer: Option<&HubLink>, around: Option<OuterHub>, has_span: bool) -> HubLink {
        let mut shared = outer.and_then(HubLink::hub).cloned();
        if let (None, Some(around), false) = (&shared, &around, has_span) {
            shared = Some(Arc::new(Hub::new_from_top(&around.hub)));
        }
        let outer = around.filter(|around| shared.is_none() || around.traces);
        HubLink { shared, outer, ..HubLink::default() }
    }

    /// Returns whether [`HubLink::open`] has something to do and was not called yet.
    #[inline]
    pub(crate) fn is_to_open(&self) -> bool {
        self.outer.is_some() && !self.is_open.load(Ordering::Relaxed)
    }

    /// Opens the hub at the run's first poll. Returns the hub of the run and the hub that was current when the run
    /// started. If the run needs a hub of its own, calls `make` to create it. Returns `None` if the link has no
    /// [`OuterHub`], because there is then nothing to open.
    pub(crate) fn open(&self, make: impl FnOnce(&OuterHub) -> Arc<Hub>) -> Option<(&Arc<Hub>, &OuterHub)> {
        let outer = self.outer.as_ref()?;
        self.is_open.store(true, Ordering::Relaxed);
        let hub = self.shared.as_ref().unwrap_or_else(|| self.opened.get_or_init(|| make(outer)));
        Some((hub, outer))
    }

    /// Makes the run's hub the thread's current hub until the guard is dropped. Returns `None` if the run has no hub,
    /// or if the thread is ending and can no longer have a current hub.
    #[inline]
    pub(crate) fn enter(&self) -> Option<HubSwitchGuard> {
        let hub = self.hub()?;
        alive(|| HubSwitchGuard::new(Arc::clone(hub)))
    }

    #[inline]
    pub(crate) fn hub(&self) -> Option<&Arc<Hub>> {
        self.shared.as_ref().or_else(|| self.opened.get())
    }

    /// Returns the details, if there are any.
    pub(crate) fn details<D: Any>(&self) -> Option<&D> {
        self.details.get()?.downcast_ref()
    }

    /// Returns whether there are details.
    #[inline]
    pub(crate) fn has_details(&self) -> bool {
        self.details.get().is_some()
    }

    /// Returns the details, and creates empty ones at the first call.
    ///
    /// # Panics
    /// Panics if the run has details of another type than `D`.
    pub(crate) fn details_or_default<D: Any + Default + Send + Sync>(&self) -> &D {
        let details = self.details.get_or_init(|| Box::new(D::default()));
        details.downcast_ref().expect("the details of a run always have the same type")
    }
}
