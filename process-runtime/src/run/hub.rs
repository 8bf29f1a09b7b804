//! The Sentry hub of a run, shared by the runs inside it. `observe::sentry` opens it; here is what a run needs of it:
//! to make it the thread's for one poll.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use sentry_core::{Hub, HubSwitchGuard};

use crate::base::guard::caught;

/// The hub that a run finds around it.
#[derive(Debug)]
pub(crate) struct OuterHub {
    pub(crate) hub: Arc<Hub>,
    /// Whether its client takes transactions.
    pub(crate) traces: bool,
}

/// What a run or scope keeps for Sentry.
#[derive(Debug, Default)]
pub(crate) struct HubLink {
    /// Shared with the run around it, or its own if nothing can bring another before its first poll.
    shared: Option<Arc<Hub>>,
    /// Made by [`HubLink::open`].
    opened: OnceLock<Arc<Hub>>,
    /// What `open` needs, if there is anything to open.
    outer: Option<OuterHub>,
    is_open: AtomicBool,
    /// What few runs need; its type is `observe::sentry`'s.
    details: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl HubLink {
    /// Creates the link of a scope inside `outer`, which shares its hub.
    pub(crate) fn inside(outer: Option<&HubLink>) -> HubLink {
        HubLink { shared: outer.and_then(HubLink::hub).cloned(), ..HubLink::default() }
    }

    /// Creates the link of a run inside `outer`. Only a span of the run can bring another hub before its first poll, so
    /// without one the run's hub is made right here.
    #[inline(always)]
    pub(crate) fn of_run(outer: Option<&HubLink>, around: Option<OuterHub>, has_span: bool) -> HubLink {
        let mut shared = outer.and_then(HubLink::hub).cloned();
        if let (None, Some(around), false) = (&shared, &around, has_span) {
            shared = Some(Arc::new(Hub::new_from_top(&around.hub)));
        }
        let outer = around.filter(|around| shared.is_none() || around.traces);
        HubLink { shared, outer, ..HubLink::default() }
    }

    /// Returns whether [`HubLink::open`] has something to do.
    #[inline]
    pub(crate) fn is_to_open(&self) -> bool {
        self.outer.is_some() && !self.is_open.load(Ordering::Relaxed)
    }

    /// Opens the hub at the run's first poll, where `make` makes one of its own. Returns it and the hub around it.
    pub(crate) fn open(&self, make: impl FnOnce(&OuterHub) -> Arc<Hub>) -> Option<(&Arc<Hub>, &OuterHub)> {
        let outer = self.outer.as_ref()?;
        self.is_open.store(true, Ordering::Relaxed);
        let hub = self.shared.as_ref().unwrap_or_else(|| self.opened.get_or_init(|| make(outer)));
        Some((hub, outer))
    }

    /// Makes the run's hub the thread's, unless the thread is ending and has none.
    #[inline]
    pub(crate) fn enter(&self) -> Option<HubSwitchGuard> {
        let hub = self.hub()?;
        let mut guard = None;
        caught(|| guard = Some(HubSwitchGuard::new(Arc::clone(hub))));
        guard
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

    /// Returns the details, which are empty at the first call. There is one type of them.
    pub(crate) fn details_or_default<D: Any + Default + Send + Sync>(&self) -> &D {
        let details = self.details.get_or_init(|| Box::new(D::default()));
        details.downcast_ref().expect("details of a run have one type")
    }
}
