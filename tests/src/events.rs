//! A Sentry client for one test. It keeps in memory everything that it would send.

use std::sync::Arc;

use process_runtime::sentry::Integration;
use sentry::protocol::{Context, EnvelopeItem, Event, Transaction, Value};
use sentry::test::TestTransport;
use sentry::{Client, ClientOptions, Envelope, Hub, HubSwitchGuard};

/// A hub with a client whose transport keeps everything.
#[derive(Clone)]
pub struct Inbox {
    hub: Arc<Hub>,
    transport: Arc<TestTransport>,
}

/// What a client sent, sorted by kind.
#[derive(Debug, Default)]
pub struct Sent {
    /// Errors, messages and warnings.
    pub events: Vec<Event<'static>>,
    /// Transactions.
    pub transactions: Vec<Transaction<'static>>,
    /// All envelopes, as they are on the wire.
    pub wire: String,
}

impl Inbox {
    /// Creates a client that has only the integration of the runtime.
    pub fn new() -> Inbox {
        Inbox::of(ClientOptions::new().add_integration(Integration))
    }

    /// Creates a client with these options. Only the transport and the DSN are replaced.
    pub fn of(options: ClientOptions) -> Inbox {
        let transport = TestTransport::new();
        let options = options.dsn("https://public@sentry.invalid/1").transport(transport.clone());
        let client = Arc::new(Client::with_options(options));
        Inbox { hub: Arc::new(Hub::new(Some(client), Arc::default())), transport }
    }

    /// Creates a client as `sentry::init` does, with the default integrations. One of them is Sentry's panic hook.
    pub fn with_defaults(options: ClientOptions) -> Inbox {
        let transport = TestTransport::new();
        let options = options.dsn("https://public@sentry.invalid/1").transport(transport.clone());
        let client = Arc::new(Client::with_options(sentry::apply_defaults(options)));
        Inbox { hub: Arc::new(Hub::new(Some(client), Arc::default())), transport }
    }

    /// Makes the hub with the client the current hub of this thread, until the guard is dropped.
    #[must_use = "the hub is current for as long as the guard lives"]
    pub fn bind(&self) -> HubSwitchGuard {
        HubSwitchGuard::new(Arc::clone(&self.hub))
    }

    /// Creates a client with the integration of the runtime, bound to this thread.
    pub fn bound() -> (Inbox, HubSwitchGuard) {
        let inbox = Inbox::new();
        let guard = inbox.bind();
        (inbox, guard)
    }

    /// Returns the hub.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Takes everything that was sent since the last call.
    pub fn take(&self) -> Sent {
        Sent::through(&self.transport)
    }

    /// Takes the events that were sent since the last call.
    pub fn events(&self) -> Vec<Event<'static>> {
        self.take().events
    }

    /// Takes the only event since the last call.
    ///
    /// # Panics
    /// If no event was sent, or more than one.
    #[track_caller]
    pub fn only_event(&self) -> Event<'static> {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "{events:#?}");
        events.remove(0)
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Inbox::new()
    }
}

impl Sent {
    /// Takes everything that went through a transport since the last call.
    pub fn through(transport: &TestTransport) -> Sent {
        let mut sent = Sent::default();
        transport.fetch_and_clear_envelopes().iter().for_each(|envelope| sent.add(envelope));
        sent
    }

    fn add(&mut self, envelope: &Envelope) {
        let mut wire = Vec::new();
        envelope.to_writer(&mut wire).expect("memory takes everything");
        self.wire.push_str(&String::from_utf8_lossy(&wire));
        for item in envelope.items() {
            match item {
                EnvelopeItem::Event(event) => self.events.push((**event).clone()),
                EnvelopeItem::Transaction(transaction) => self.transactions.push((**transaction).clone()),
                _ => {}
            }
        }
    }
}

/// Returns a value in the context block `process`, or `None` if the event does not have it.
pub fn in_block<'a>(event: &'a Event<'_>, key: &str) -> Option<&'a Value> {
    match event.contexts.get("process")? {
        Context::Other(block) => block.get(key),
        _ => None,
    }
}

/// Returns the value of a tag, or `None` if the event does not have the tag.
pub fn tag<'a>(event: &'a Event<'_>, name: &str) -> Option<&'a str> {
    event.tags.get(name).map(String::as_str)
}

/// Returns the texts of the exceptions in the order of the event, the innermost first.
pub fn exception_texts(event: &Event<'_>) -> Vec<String> {
    event.exception.iter().map(|exception| exception.value.clone().unwrap_or_default()).collect()
}

/// Returns the texts of the breadcrumbs.
pub fn breadcrumbs(event: &Event<'_>) -> Vec<String> {
    event.breadcrumbs.iter().filter_map(|breadcrumb| breadcrumb.message.clone()).collect()
}
