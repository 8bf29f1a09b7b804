//! Log records: the events of `tracing` as a signal of their own. An event becomes a record (`records`), waits in a
//! bounded queue (`queue`), and is sent in batches, unless the collector has refused records (`refusal`). Reading
//! variables and building exporters do not belong here.
//!
//! Events that an export makes are never exported. Otherwise each export would cause the next one. Such events come
//! from threads that only export: those of OpenTelemetry's SDK, which suppresses telemetry on them, and those of this
//! crate, which call [`exports_only`].

mod queue;
mod records;
mod refusal;

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::logs::LoggerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{LogExporter, SdkLoggerProvider};

pub(super) use self::records::{Recorder, is_recorded};
use self::refusal::Refusable;
pub(super) use self::refusal::Refusal;
use super::environment::Records;

/// Returns a provider that sends records to `exporter` until `refusal` is given, and the recorder that makes records of
/// events. A record waits for at most `delay`.
pub(super) fn start(
    exporter: impl LogExporter + 'static,
    refusal: Arc<Refusal>,
    records: &Records,
    delay: Duration,
    resource: Resource,
) -> (SdkLoggerProvider, Recorder) {
    let exporter = Refusable { exporter, refusal: Arc::clone(&refusal) };
    let provider = SdkLoggerProvider::builder()
        .with_resource(resource)
        .with_log_processor(queue::batches(exporter, records, delay))
        .build();
    let recorder = Recorder::new(provider.logger("process-runtime"), records, refusal);
    (provider, recorder)
}

/// Marks this thread as one that only exports. Events and spans that it makes are not exported.
pub(super) fn exports_only() {
    mem::forget(Context::enter_telemetry_suppressed_scope());
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread;

    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::logs::LogBatch;
    use tracing_subscriber::layer::{Identity, SubscriberExt as _};

    use super::super::bridge::Bridge;
    use super::*;
    use crate::base::lock::lock;

    /// An exporter that makes events while it exports, as HTTP clients do.
    #[derive(Debug, Default)]
    struct Logging {
        bodies: Arc<Mutex<Vec<String>>>,
    }

    impl LogExporter for Logging {
        async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
            tracing::error!(target: "ureq", "made by an export");
            let bodies = batch.iter().map(|(record, _)| format!("{:?}", record.body()));
            lock(&self.bodies).extend(bodies);
            Ok(())
        }
    }

    #[test]
    fn events_that_an_export_makes_are_not_exported() {
        let exporter = Logging::default();
        let bodies = Arc::clone(&exporter.bodies);
        let records = Records { queue: 100, batch: 1, delay: None, attributes: 128, longest: None };
        let provider = SdkLoggerProvider::builder()
            .with_log_processor(queue::batches(exporter, &records, Duration::from_millis(1)))
            .build();
        let recorder = Recorder::new(provider.logger("test"), &records, Arc::new(Refusal::new(false)));
        let bridge = Bridge::new(None::<Identity>, Some(recorder));
        // The threads of the exporter have no subscriber of their own, so the subscriber is global. No other test of
        // this binary sets one.
        let subscriber = tracing_subscriber::registry().with(bridge);
        tracing::subscriber::set_global_default(subscriber).expect("no other test sets one");
        for number in 0..3 {
            tracing::warn!("event {number}");
            provider.force_flush().expect("it is exported");
        }
        let on_a_thread_of_ours = || {
            exports_only();
            tracing::error!(target: "h2", "made by a connection");
        };
        thread::spawn(on_a_thread_of_ours).join().expect("it ends well");
        provider.shutdown().expect("it is exported");
        let bodies = lock(&bodies).join(" ");
        assert!((0..3).all(|number| bodies.contains(&format!("event {number}"))), "{bodies}");
        assert!(!bodies.contains("made by"), "{bodies}");
    }
}
