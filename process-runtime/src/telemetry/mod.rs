//! Sets up `tracing`, OpenTelemetry and Sentry in one call (feature `telemetry`).
//!
//! Use this module in a service that has no set-up of its own. A service that already has a set-up keeps it and starts
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
//! The standard environment variables decide where telemetry is sent. If none of them is set, traces, log records and
//! metrics are written to files in the directory `telemetry`, and [`timeline`] reads the traces and their log records
//! from these files. The log is written to standard output. While traces are written to files, standard error has one
//! line for each run.
//!
//! # Destinations
//!
//! A signal is traces, metrics or logs. A signal that none of the following variables configures is written to
//! OTLP-JSON files. A variable for one signal does not affect another signal.
//!
//! * `OTEL_EXPORTER_OTLP_ENDPOINT` sends all signals to the collector at this URL.
//! * `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` and `OTEL_EXPORTER_OTLP_LOGS_ENDPOINT`
//!   each send one signal to the URL in the variable.
//! * `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER` and `OTEL_LOGS_EXPORTER` choose the exporter of a signal:
//!
//!   | exporter | where the signal is sent |
//!   |---|---|
//!   | `otlp` | to the configured endpoint, or to a collector on this machine if none is configured |
//!   | `console` | to the files |
//!   | `none` | it is not exported |
//!   | `prometheus` | metrics only, with feature `prometheus`: a Prometheus server [scrapes them](#prometheus) |
//!
//!   `prometheus` can be combined with another exporter, as in `otlp,prometheus`.
//!
//! * `OTEL_SDK_DISABLED=true` turns all signals off.
//!
//! The directory contains at most 256 OTLP-JSON files, with 128 MiB in total. If a new file needs room, the least
//! recently written files are removed.
//!
//! # OTLP
//!
//! `OTEL_EXPORTER_OTLP_PROTOCOL` is `http/protobuf` (the default), `http/json` or `grpc`. A gRPC endpoint can be a host
//! and a port without a scheme; the connection then uses TLS unless `OTEL_EXPORTER_OTLP_INSECURE` is `true`.
//!
//! Over TLS, the collector's certificate must be signed by an authority in the PEM file that
//! `OTEL_EXPORTER_OTLP_CERTIFICATE` names. If that variable is not set, the authorities come from the file that
//! `SSL_CERT_FILE` names. If neither is set, they come from Mozilla's list, which is compiled into the program.
//! `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` and `OTEL_EXPORTER_OTLP_CLIENT_KEY` name the files with the client's
//! certificate and key. If they do not belong together, this is reported and the pair is ignored.
//!
//! Each variable whose name starts with `OTEL_EXPORTER_OTLP_` also exists for a single signal, as in
//! `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`.
//!
//! The path of the signal is added to the path of `OTEL_EXPORTER_OTLP_ENDPOINT`, before its query. A user name and a
//! password in the URL are not sent; use a header instead.
//!
//! A connection over HTTP uses the proxy in `HTTPS_PROXY` or `HTTP_PROXY`, depending on the scheme of the endpoint, or
//! in `ALL_PROXY`. It is direct for the hosts in `NO_PROXY`, which contains domains, addresses and ranges of addresses,
//! or `*`. These four names can be in lower case. The proxy must be an HTTP proxy. gRPC uses no proxy. If
//! `REQUEST_METHOD` is set, as in a CGI program, `HTTP_PROXY` in upper case is ignored and reported, because a client
//! of the web server can set it.
//!
//! # Variables
//!
//! The variables follow the
//! [specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/). Spaces around a
//! value or an entry of a list are ignored, and a variable with an empty value counts as not set. If a value is not
//! valid, a line names the variable, its value and what applies instead, and the other values stay in force. Values
//! that may be secrets, such as those of headers, are never in such a line.
//!
//! | variable | value |
//! |---|---|
//! | `OTEL_SDK_DISABLED` | only `true` turns all signals off; anything else is false |
//! | `OTEL_SERVICE_NAME` | the name of the service |
//! | `OTEL_RESOURCE_ATTRIBUTES` | `key=value,…`; keys and values are percent-decoded |
//! | `OTEL_PROPAGATORS` | `tracecontext` or `none`; only the module `propagation` carries baggage |
//! | `OTEL_TRACES_SAMPLER` | `always_on`, `always_off` or `traceidratio`, each also with `parentbased_` before it |
//! | `OTEL_TRACES_SAMPLER_ARG` | the ratio of a sampler with `traceidratio`, from 0 to 1 |
//! | `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` | a number from 1 to 65536 |
//! | `OTEL_BSP_SCHEDULE_DELAY` | how long a span waits, in milliseconds; by default 500 for files, and otherwise 5000 |
//! | `OTEL_BLRP_MAX_QUEUE_SIZE`, `OTEL_BLRP_MAX_EXPORT_BATCH_SIZE` | a number from 1 to 65536 |
//! | `OTEL_BLRP_SCHEDULE_DELAY` | how long a log record waits; by default 500 for files, and otherwise 1000 |
//! | `OTEL_BSP_EXPORT_TIMEOUT`, `OTEL_METRIC_EXPORT_TIMEOUT` | an upper limit for `OTEL_EXPORTER_OTLP_TIMEOUT` |
//! | `OTEL_BLRP_EXPORT_TIMEOUT` | the same for log records |
//! | `OTEL_METRIC_EXPORT_INTERVAL` | milliseconds |
//! | `OTEL_ATTRIBUTE_…_LIMIT`, `OTEL_SPAN_…_LIMIT`, `OTEL_LOGRECORD_…_LIMIT` | a number from 1 |
//! | `OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT`, `OTEL_LINK_ATTRIBUTE_COUNT_LIMIT` | a number from 1 |
//! | `OTEL_EXPORTER_OTLP_HEADERS` | `name=value,…`; names and values are percent-decoded |
//! | `OTEL_EXPORTER_OTLP_TIMEOUT` | milliseconds; 0 means no limit, which is a day |
//! | `OTEL_EXPORTER_OTLP_COMPRESSION` | `gzip` or `none` |
//! | `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` | `cumulative`, `delta` or `lowmemory` |
//! | `SENTRY_RELEASE`, `SENTRY_ENVIRONMENT` | names of at most 200 and 64 bytes, without slashes or controls |
//! | `SSL_VERIFY` | `false` accepts every certificate of a Sentry server |
//! | `RUST_LOG` | see [The log](#the-log) |
//! | `NO_COLOR`, `CLICOLOR`, `TERM` | any value that is not empty, `0` and `dumb` turn colours on a terminal off |
//!
//! A line also names each variable that starts with `OTEL_` or `SENTRY_` and has no effect here. After 16 of them, one
//! line counts the others. Variables of other programs, such as `OTEL_JAVA_…` and `SENTRY_AUTH_TOKEN`, are not named. A
//! name may have a mistake in it, so its value is shown only for a few variables that contain no secrets.
//!
//! # Sentry
//!
//! `SENTRY_DSN` enables Sentry. `SENTRY_ENVIRONMENT`, `SENTRY_RELEASE`, `SENTRY_TRACES_SAMPLE_RATE` (0 to 1, 0 by
//! default) and `SSL_CERT_FILE` configure it. The default release is the service's `name@version`. A rate limit of
//! Sentry stops sending for at most one hour, whatever the answer says.
//!
//! # The log
//!
//! `RUST_LOG` filters the log on standard output by targets and levels, as in `info,my_crate=debug`; the default is
//! `info`. A directive that is not valid is reported and ignored, and `info` applies to targets without a directive. A
//! word that is not a level is a target at level `trace`. It may be a level with a mistake in it, so it is also
//! reported, unless it is a path with `::`, several words joined by `_`, or the name of a crate that contains a
//! process. Write `hyper=trace` instead of `hyper`.
//! `RUST_LOG` does not affect what is exported.
//!
//! Records of the `log` crate are events like those of `tracing`, unless the application has set a logger of its own.
//! The log contains escape sequences only if standard output is a terminal. A field is written as `key=value`, and its
//! value is quoted if it contains anything that could be taken for another field or line. Texts have the limits of
//! [log records](#spans-and-events), except that an error with its sources has at most 16 KiB
//! ([`Limits::chain_text`](crate::Limits::chain_text)).
//!
//! # Spans and events
//!
//! Spans are exported if their level is INFO or above, and events if their level is WARN or above. Events with the
//! target `critical_process` are exported from INFO on. Details that libraries log below these levels, such as queries
//! and headers, appear only in the log. Every span that starts inside a run carries the business context of the run.
//! This includes the spans of libraries that use `tracing` or OpenTelemetry's API.
//!
//! The texts of a span have [`Limits`](crate::Limits), whichever library records them: a name and the value of an
//! attribute 1 KiB, a text about an error 8 KiB, a key 256 bytes, and the whole span 64 KiB. A batch of spans or log
//! records is sent in requests of at most 2 MiB, and a line in a file has at most as many bytes.
//!
//! An exported event is a log record with the ids of its trace and span, or an event of its span, and never both. It is
//! a record unless logs are not exported, as with `OTEL_LOGS_EXPORTER=none`. A collector that answers the first log
//! records with the HTTP status 404, 405, 410 or 501, or with the gRPC status `UNIMPLEMENTED`, accepts no log records.
//! This is reported once, and from then on events are added to spans. An event without a span that is exported is then
//! lost and counted. Once the collector has accepted records, such an answer is a failure like any other. An event of
//! level ERROR makes an error of its span in both cases.
//!
//! The message of an event is the body of its record, and the target is the name of the record's scope. The other
//! fields are attributes. The text of an error that a field contains as `&dyn Error` is in `exception.message`; inside
//! a run it leaves the program only with `error_text = everywhere`. All texts of a record together have at most 16 KiB,
//! an attribute has at most 1 KiB, and the text of an error at most 8 KiB ([`Limits`](crate::Limits)). At most 2048
//! records (`OTEL_BLRP_MAX_QUEUE_SIZE`) and 16 MiB wait. `critical_process.telemetry.dropped` counts every record that
//! is lost, with the reason `log_record`. An event of a span has these limits and those of its span. `error_text` also
//! applies to an error in a field of a span. The text leaves the program only if the run of the span and the run that
//! the thread is in, where they exist, both allow it.
//!
//! Events that are made while telemetry is exported are never exported. They would cause further exports without end.
//!
//! # Prometheus
//!
//! With feature `prometheus` and `OTEL_METRICS_EXPORTER=prometheus`, the metrics are served at
//! `http://localhost:9464/metrics`. `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT` change the
//! address. Use `TelemetryBuilder::prometheus` to serve the metrics on a route of the service instead. Prometheus sees
//! these metrics:
//!
//! | instrument | metric |
//! |---|---|
//! | `critical_process.duration` | histogram `critical_process_duration_seconds` |
//! | `critical_process.sla.utilization` | histogram `critical_process_sla_utilization_ratio` |
//! | `critical_process.stage.duration` | histogram `critical_process_stage_duration_seconds` |
//! | `critical_process.started` | counter `critical_process_started_total` |
//! | `critical_process.runs` | counter `critical_process_runs_total` |
//! | `critical_process.errors` | counter `critical_process_errors_total` |
//! | `critical_process.sli.valid` | counter `critical_process_sli_valid_total` |
//! | `critical_process.sli.bad` | counter `critical_process_sli_bad_total` |
//! | `critical_process.active` | gauge `critical_process_active` |
//! | `critical_process.overdue` | gauge `critical_process_overdue` |
//! | `critical_process.telemetry.dropped` | counter `critical_process_telemetry_dropped_total` |
//!
//! All of them have the label `critical_process_id`, except for `critical_process_telemetry_dropped_total`, which has
//! `reason`. The histograms and `critical_process_runs_total` also have `critical_process_outcome`. The histogram of
//! stages has `critical_process_stage`, `critical_process_runs_total` has `critical_process_late`, and
//! `critical_process_errors_total` has `error_type`.
//!
//! Every series also has the label `otel_scope_name="critical_process"`. Aggregate with `sum by (…)` to omit this
//! label. The metric `target_info` carries the service's name and version.
//!
//! The counters of runs and of the objective exist from the start with the value 0, so that `increase()` sees the first
//! failure. For the same reason, `init` exports the metrics once. It waits until their values are read, for at most
//! one second, and not until they are sent. Runs that end before the first scrape of Prometheus are not part of any
//! `increase()`.
//!
//! # Problems
//!
//! An invalid variable is reported once, as a line on standard error. A problem that can last, such as an unreachable
//! collector or a full disk, has a line when it begins, one every 15 minutes with the number of its occurrences while
//! it lasts, and one when it ends. A problem that begins and ends all the time has at most 8 lines in 15 minutes.
//! [`Installation::report`](crate::Installation::report) lists all of them. Text from outside, such as the answer of a
//! collector, is cut and escaped. The application keeps running, and lost telemetry is counted.
//!
//! Each queue is bounded in bytes ([`Limits::queue`](crate::Limits::queue)): spans, events for Sentry, the log, and
//! lines on standard error. One thread writes the log, and another thread writes these lines. If standard output or
//! standard error is not read, lines that do not fit into the queue are lost.
//!
//! In the child of a `fork` without `exec`, these threads and those that send telemetry are missing. The first run or
//! line of the log in the child reports this. Set up telemetry after the fork.
//!
//! A program can set a subscriber of `tracing` once. If `init` is called again after its value was dropped, it
//! therefore sets up metrics and Sentry, but no traces and no logs, and reports this.

mod bridge;
mod builder;
mod console;
mod diagnostics;
mod environment;
mod exporters;
mod fields;
mod files;
mod guard;
mod http_client;
mod logs;
#[cfg(feature = "prometheus")]
mod prometheus;
mod queue;
mod requests;
mod room;
mod sentry;
mod signal;
pub mod timeline;

pub use self::builder::TelemetryBuilder;
pub use self::guard::Telemetry;
#[cfg(feature = "prometheus")]
pub use self::prometheus::{CollectError, Prometheus};

/// Sets up telemetry from the environment variables that the [module](self) lists.
///
/// Keep the returned [`Telemetry`] until the end of `main`. Its drop sends the remaining telemetry and waits for at
/// most five seconds. A signal of the operating system ends the program without any drop. Therefore handle SIGTERM,
/// which orchestrators send, and return from `main`.
///
/// ```no_run
/// let _telemetry = process_runtime::telemetry::init();
/// ```
///
/// To report the service's version, pass `env!("CARGO_PKG_VERSION")` to [`TelemetryBuilder::service`]. `init` reports
/// a version only if `OTEL_RESOURCE_ATTRIBUTES` contains `service.version`.
pub fn init() -> Telemetry {
    TelemetryBuilder::new().init()
}
