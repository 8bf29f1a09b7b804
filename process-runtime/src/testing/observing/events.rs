//! A Sentry client whose transport keeps what it would send. Neither the application's own client nor a network hears
//! of what a test breaks on purpose.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use sentry_core::protocol::{EnvelopeItem, Event};
use sentry_core::{Client, ClientOptions, Envelope, Hub, HubSwitchGuard, Transport};

use crate::run::frame;
use crate::sentry::Integration;

/// What leads nowhere; a client without it is disabled.
const DSN: &str = "https://public@sentry.invalid/1";

/// A hub with such a client.
pub(in crate::testing) struct Inbox {
    hub: Arc<Hub>,
    kept: Arc<Kept>,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

/// Events, each with the id of the run that it was sent in.
type Events = Vec<(Option<u64>, Event<'static>)>;

#[derive(Default)]
struct Kept(Mutex<Events>);

impl Transport for Kept {
    fn send_envelope(&self, envelope: Envelope) {
        let run = frame::nearest().and_then(|nearest| nearest.run_around()).map(|run| run.id);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for item in envelope.into_items() {
            if let EnvelopeItem::Event(event) = item {
                kept.push((run, *event));
            }
        }
    }
}

impl Inbox {
    pub(in crate::testing) fn new() -> Inbox {
        let kept = Arc::new(Kept::default());
        let transport = Arc::clone(&kept);
        let options = ClientOptions::new()
            .dsn(DSN)
            .add_integration(Integration)
            .transport(move |_: &ClientOptions| -> Arc<dyn Transport> { Arc::clone(&transport) as _ });
        let client = Arc::new(Client::with_options(options));
        Inbox { hub: Arc::new(Hub::new(Some(client), Arc::default())), kept }
    }

    /// Makes the hub this thread's, unless the thread is ending and has none.
    pub(in crate::testing) fn enter(&self) -> HubSwitchGuard {
        HubSwitchGuard::new(Arc::clone(&self.hub))
    }

    /// What was sent.
    pub(in crate::testing) fn take(&self) -> Events {
        std::mem::take(&mut *self.kept.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
