//! The subscriber and the Sentry hub that a thread of a check takes over from the thread that called
//! `health::Setup::start`. An application that has made them global needs neither; tests often have them for one
//! thread only. Starting threads does not belong here.

#[cfg(feature = "sentry")]
use std::sync::Arc;

#[cfg(feature = "sentry")]
use sentry_core::{Hub, HubSwitchGuard};
#[cfg(feature = "tracing")]
use tracing::dispatcher::{self, DefaultGuard, Dispatch};
#[cfg(feature = "tracing")]
use tracing::subscriber::NoSubscriber;

/// The current subscriber and hub of a thread.
#[derive(Clone, Debug)]
pub(super) struct Inherited {
    #[cfg(feature = "tracing")]
    dispatch: Dispatch,
    #[cfg(feature = "sentry")]
    hub: Arc<Hub>,
}

/// Makes what was inherited current until it is dropped.
pub(super) struct Current {
    #[cfg(feature = "tracing")]
    _dispatch: Option<DefaultGuard>,
    #[cfg(feature = "sentry")]
    _hub: Option<HubSwitchGuard>,
}

impl Inherited {
    /// Takes over from the current thread.
    pub(super) fn new() -> Inherited {
        Inherited {
            #[cfg(feature = "tracing")]
            dispatch: dispatcher::get_default(Dispatch::clone),
            #[cfg(feature = "sentry")]
            hub: Hub::current(),
        }
    }

    /// Makes the subscriber current if this thread has none, and the hub if the hub of this thread has no client.
    pub(super) fn enter(&self) -> Current {
        Current {
            #[cfg(feature = "tracing")]
            _dispatch: (dispatcher::get_default(Dispatch::is::<NoSubscriber>)
                && !self.dispatch.is::<NoSubscriber>())
            .then(|| dispatcher::set_default(&self.dispatch)),
            #[cfg(feature = "sentry")]
            _hub: Hub::current()
                .client()
                .is_none()
                .then(|| HubSwitchGuard::new(Arc::new(Hub::new_from_top(&self.hub)))),
        }
    }
}
