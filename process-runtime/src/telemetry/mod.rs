//! Sets up `tracing`, OpenTelemetry and Sentry in one call (feature `telemetry`).
//!
//! Use this module in a service that has no set-up of its own. A service that has one keeps it and calls
//! [`Install`](crate::Install) instead; the page [`adopting`](crate::adopting) shows how.
//!
//! Put this at the start of `main`:
//!
//! ```no_run
//! use process_runtime::telemetry::TelemetryBuilder;
//!
//! let _telemetry = TelemetryBuilder::new().service("shop", env!("CARGO_PKG_VERSION")).init();
//! ```
//!
//! The standard environment variables decide where telemetry is sent. Without any, traces and metrics are written to
//! files in the directory `telemetry`; [`timeline`] reads the traces. Standard output receives the log, and standard
//! error one line for each run.
//!
//! # Destinations
//!
//! Without any of these variables, both signals are written to OTLP-JSON files.
//!
//! * `OTEL_EXPORTER_OTLP_ENDPOINT` sends both signals to this collector.
//! * `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` and `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` send one signal to this URL. The
//!   other signal is not exported unless a variable configures it.
//! * `OTEL_TRACES_EXPORTER` and `OTEL_METRICS_EXPORTER` choose the exporter of a signal:
//!
//!   | exporter | where the signal is sent |
//!   |---|---|
//!   | `otlp` | to the endpoint; without an endpoint to a collector on this machine |
//!   | `console` | to the files |
//!   | `none` | it is not exported |
//!   | `prometheus` | metrics only, with feature `prometheus`: a server [scrapes them](#prometheus) |
//!
//!   `prometheus` can be combined with another exporter, as in `otlp,prometheus`.
//!
//! * `OTEL_SDK_DISABLED=true` turns both signals off.
//!
//! If one signal uses `otlp` or `prometheus`, the other is not exported unless a variable configures it.
//!
//! The directory contains at most 256 files of 128 MiB in all. The files that were written to longest ago are removed
//! first.
//!
//! # OTLP
//!
//! `OTEL_EXPORTER_OTLP_PROTOCOL` is `http/protobuf` (the default), `http/json` or `grpc`. A gRPC endpoint can be a host
//! and a port without a scheme; the connection then uses TLS unless `OTEL_EXPORTER_OTLP_INSECURE` is `true`.
//!
//! Over TLS, the collector's certificate must be signed by an authority in the PEM file that
//! `OTEL_EXPORTER_OTLP_CERTIFICATE` names. If that variable is not set, the authorities come from the file that
//! `SSL_CERT_FILE` names, or else from the list of Mozilla that was compiled into the program.
//! `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` and `OTEL_EXPORTER_OTLP_CLIENT_KEY` name the files with the client's
//! certificate and key.
//!
//! Each of these variables also exists for a single signal, as in `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`.
//!
//! Headers, timeouts, compression, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, the sampler, the span limits, the
//! batches and the interval of metrics follow the
//! [specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/). One default
//! differs: spans wait half a second, and not five, before they are written to a file. `OTEL_BSP_SCHEDULE_DELAY`
//! changes this.
//!
//! # Sentry
//!
//! `SENTRY_DSN` enables Sentry. `SENTRY_ENVIRONMENT`, `SENTRY_RELEASE`, `SENTRY_TRACES_SAMPLE_RATE` (0 to 1, 0 by
//! default) and `SSL_CERT_FILE` configure it. The default release is the service's `name@version`.
//!
//! # The log
//!
//! `RUST_LOG` filters the log on standard output by targets and levels, as in `info,my_crate=debug`; the default is
//! `info`. It does not filter what is exported.
//!
//! # Spans and events
//!
//! Spans of level INFO and above are exported, and events of level WARN and above. Details that libraries log below
//! these levels, such as queries and headers, appear only in the log. Every span that starts inside a run carries the
//! business context of the run. This includes spans of libraries, whether they use `tracing` or OpenTelemetry's API.
//!
//! # Prometheus
//!
//! With feature `prometheus` and `OTEL_METRICS_EXPORTER=prometheus`, the metrics are served at
//! `http://localhost:9464/metrics`. `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT` change the
//! address. Use `TelemetryBuilder::prometheus` to serve them on a route of the service instead. Prometheus sees these
//! metrics:
//!
//! | instrument | metric |
//! |---|---|
//! | `critical_process.duration` | histogram `critical_process_duration_seconds` |
//! | `critical_process.sla.utilization` | histogram `critical_process_sla_utilization_ratio` |
//! | `critical_process.stage.duration` | histogram `critical_process_stage_duration_seconds` |
//! | `critical_process.started` | counter `critical_process_started_total` |
//! | `critical_process.runs` | counter `critical_process_runs_total` |
//! | `critical_process.active` | gauge `critical_process_active` |
//! | `critical_process.overdue` | gauge `critical_process_overdue` |
//! | `critical_process.telemetry.dropped` | counter `critical_process_telemetry_dropped_total` |
//!
//! All of them have the label `critical_process_id`, except for `critical_process_telemetry_dropped_total`, which has
//! `reason`. The histograms and `critical_process_runs_total` also have `critical_process_outcome`. The histogram of
//! stages has `critical_process_stage`, and `critical_process_runs_total` has `critical_process_late` and `error_type`.
//! The bucket `le="1"` of the utilization counts the runs that met their SLA.
//!
//! Every series also has the label `otel_scope_name="critical_process"`, so aggregate with `sum by (…)`. The metric
//! `target_info` carries the service's name and version. Prometheus 3 writes the bucket as `le="1.0"`; `le=~"1(\\.0)?"`
//! matches both.
//!
//! # Problems
//!
//! An invalid variable, an unreachable collector and a full disk are each reported once, as a line on standard error
//! and in [`Installation::report`](crate::Installation::report). The application keeps running, and lost telemetry is
//! counted. Threads of their own write the log and these lines; if the streams are not read, at most 1 MiB of each is
//! kept in memory.

mod bridge;
mod builder;
mod console;
mod diagnostics;
mod environment;
mod exporters;
mod files;
mod guard;
mod http_client;
#[cfg(feature = "prometheus")]
mod prometheus;
mod queue;
mod sentry_transport;
pub mod timeline;

pub use self::builder::TelemetryBuilder;
pub use self::guard::Telemetry;
#[cfg(feature = "prometheus")]
pub use self::prometheus::{CollectError, Prometheus};

/// Sets up telemetry from the environment variables that the [module](self) lists.
///
/// Keep the returned [`Telemetry`] until the end of `main`: its drop sends the remaining telemetry and waits for at
/// most five seconds. A signal ends a program without running drops, so handle the SIGTERM that orchestrators send
/// and return from `main`.
///
/// ```no_run
/// let _telemetry = process_runtime::telemetry::init();
/// ```
///
/// The environment does not contain the service's version; pass `env!("CARGO_PKG_VERSION")` to
/// [`TelemetryBuilder::service`] to report it.
pub fn init() -> Telemetry {
    TelemetryBuilder::new().init()
}
