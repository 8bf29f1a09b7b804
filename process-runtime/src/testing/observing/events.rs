//! A Sentry client that keeps events in memory instead of sending them. Injected faults then reach neither the
//! application's client nor the network. Expectations about events do not belong here.

use std::fmt;
use std::sync::{Arc, Mutex};

use sentry_core::protocol::{EnvelopeItem, Event};
use sentry_core::{Client, ClientOptions, Envelope, Hub, HubSwitchGuard, Transport};

use crate::base::lock::lock;
use crate::run::ending_thread::sentry::alive;
use crate::run::frame;
use crate::sentry::Integration;

/// A DSN of a host that does not exist. The client needs a DSN, because a client without a DSN is disabled.
const DSN: &str = "https://public@sentry.invalid/1";

/// A Sentry hub with a client that keeps its events.
pub(in crate::testing) struct Inbox {
    hub: Arc<Hub>,
    sent: Arc<Sent>,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

/// Events, each with the id of the run in which it was sent; `None` outside all runs.
type Events = Vec<(Option<u64>, Event<'static>)>;

#[derive(Default)]
struct Sent(Mutex<Events>);

impl Transport for Sent {
    fn send_envelope(&self, envelope: Envelope) {
        let run = frame::nearest().and_then(|nearest| nearest.run_around()).map(|run| run.id);
        let mut sent = lock(&self.0);
        for item in envelope.into_items() {
            if let EnvelopeItem::Event(event) = item {
                sent.push((run, *event));
            }
        }
    }
}

impl Inbox {
    pub(in crate::testing) fn new() -> Inbox {
        let sent = Arc::new(Sent::default());
        let transport = Arc::clone(&sent);
        let options = ClientOptions::new()
            .dsn(DSN)
            .add_integration(Integration)
            .transport(move |_: &ClientOptions| -> Arc<dyn Transport> { Arc::clone(&transport) as _ });
        let client = Arc::new(Client::with_options(options));
        Inbox { hub: Arc::new(Hub::new(Some(client), Arc::default())), sent }
    }

    /// Sets the hub of this inbox as the current hub of this thread, until the guard is dropped. Returns `None` if the
    /// thread is ending and its thread-local Sentry hub is already destroyed.
    pub(in crate::testing) fn enter(&self) -> Option<HubSwitchGuard> {
        alive(|| HubSwitchGuard::new(Arc::clone(&self.hub)))
    }

    /// Takes the events that were sent so far.
    pub(in crate::testing) fn take(&self) -> Events {
        std::mem::take(&mut *lock(&self.sent.0))
    }
}
