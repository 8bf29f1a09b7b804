//! Log records: the events of `tracing` as a signal of their own. An event becomes a record (`records`), waits in a
//! bounded queue (`queue`), and is sent in batches (`exporter`). Reading variables does not belong here.
//!
//! Events that an export makes are never exported. Otherwise each export would cause the next one. Such events come
//! from threads that only export: those of OpenTelemetry's SDK, which suppresses telemetry on them, and those of this
//! crate, which call [`exports_only`].

mod exporter;
mod queue;
mod records;

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::logs::LoggerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;

pub(super) use self::exporter::{Logs, Refusal};
pub(super) use self::records::{Recorder, is_recorded};
use super::environment::Records;

/// Returns a provider that sends records to `exporter`, and the recorder that makes records of events. A record waits
/// for at most `delay`.
pub(super) fn start(
    exporter: Logs,
    records: &Records,
    delay: Duration,
    resource: Resource,
) -> (SdkLoggerProvider, Recorder) {
    let refusal = Arc::clone(exporter.refusal());
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
