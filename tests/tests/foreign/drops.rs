//! Values of the application whose last owner is gone: a client, a subscriber, a sink, a meter provider. Their `Drop`
//! may panic. The toolkit keeps no client alive, and where it is the last owner, the panic goes no further.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::{Meter, MeterProvider};
use process_runtime::{Carrier, Install};
use process_tests::events::Inbox;
use process_tests::isolated::isolated;
use sentry::{ClientOptions, Hub};
use tracing::Dispatch;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;

use super::{failing, innocent};

/// A value that counts its drops and panics in each.
#[derive(Clone, Debug)]
struct Grenade(Arc<AtomicUsize>);

impl Drop for Grenade {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("in Drop");
    }
}

fn grenade() -> (Grenade, impl Fn() -> usize) {
    let drops = Arc::new(AtomicUsize::new(0));
    (Grenade(Arc::clone(&drops)), move || drops.load(Ordering::SeqCst))
}

/// Returns a hub that is the only owner of its client, which owns the value.
fn hub_of(grenade: Grenade) -> Arc<Hub> {
    let before_send = move |event| {
        let _ = &grenade;
        Some(event)
    };
    Arc::clone(Inbox::of(ClientOptions::new().before_send(before_send)).hub())
}

/// Runs a process with a client that the application then drops. The panic in its `Drop` belongs to the application.
fn run_with_a_client() {
    let (grenade, drops) = grenade();
    let hub = hub_of(grenade);
    let run = || Hub::run(hub, || innocent(1));
    catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    assert_eq!(drops(), 1, "the toolkit keeps no client alive");
}

#[test]
fn a_client_that_the_application_drops_is_not_kept_for_a_later_run() {
    isolated(|| {
        run_with_a_client();
        assert_eq!(innocent(2), 2);
        // The thread ends with the answer about a client that is gone.
        thread::spawn(run_with_a_client).join().unwrap();
    });
}

impl<S: tracing::Subscriber> Layer<S> for Grenade {}

#[test]
fn a_client_or_subscriber_whose_last_owner_is_a_run_or_carrier_may_panic_in_drop() {
    let (client, client_drops) = grenade();
    let (layer, layer_drops) = grenade();
    let hub = hub_of(client);
    let dispatch = Dispatch::new(Registry::default().with(layer));
    #[process_runtime::critical_process(id = "lent", version = "1.0.0", sla = "10s")]
    fn lent() -> Carrier {
        Carrier::current()
    }
    let run = || tracing::dispatcher::with_default(&dispatch, lent);
    let carrier = Hub::run(Arc::clone(&hub), run);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(hub))).is_ok(), "the carrier owns the client");
    assert!(catch_unwind(AssertUnwindSafe(|| drop(dispatch))).is_ok(), "the carrier owns the subscriber");
    assert_eq!((client_drops(), layer_drops()), (0, 0));
    drop(carrier);
    assert_eq!((client_drops(), layer_drops()), (1, 1));
    assert_eq!(innocent(3), 3);
}

/// A meter provider that makes no instruments. Each clone of it panics when it is dropped.
#[derive(Clone, Debug)]
struct Provider {
    _grenade: Grenade,
}

impl MeterProvider for Provider {
    fn meter_with_scope(&self, scope: InstrumentationScope) -> Meter {
        opentelemetry::metrics::noop::NoopMeterProvider::new().meter_with_scope(scope)
    }
}

#[test]
fn a_meter_provider_whose_clone_panics_in_drop_is_installed() {
    isolated(|| {
        let (grenade, drops) = grenade();
        let provider = std::mem::ManuallyDrop::new(Provider { _grenade: grenade });
        let installation = Install::new().meter_provider(&*provider).start();
        assert_eq!(drops(), 1);
        assert_eq!(innocent(4), 4);
        failing().unwrap_err();
        installation.stop();
    });
}
