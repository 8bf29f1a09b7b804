//! The duration of a span, if the wall clock is set while the span is open.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Span as _, SpanBuilder, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use process_runtime::{DescribedTracer, critical_process};
use process_tests::isolated::isolated;
use process_tests::traces::Traces;

const HOUR: Duration = Duration::from_secs(3600);

/// Returns the start and the duration of a span that starts at `start`, is open for 30 ms, and ends at `end`, by the
/// wall clock at that time.
fn exported(start: SystemTime, end: impl FnOnce() -> SystemTime) -> (SystemTime, Duration) {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let tracer = DescribedTracer::new(provider.tracer("tests"));
    let mut span = tracer.build(SpanBuilder::from_name("pay").with_start_time(start));
    std::thread::sleep(Duration::from_millis(30));
    span.end_with_timestamp(end());
    let span = exporter.get_finished_spans().unwrap().remove(0);
    (span.start_time, span.end_time.duration_since(span.start_time).unwrap())
}

#[test]
fn a_clock_that_is_set_changes_no_duration() {
    // A `DescribedTracer` changes the spans of the whole program.
    isolated(|| {
        let now = SystemTime::now();
        let about_30_ms = Duration::from_millis(30)..Duration::from_secs(5);
        // The clock is set back by an hour while the span is open.
        let (start, took) = exported(now + HOUR, SystemTime::now);
        assert_eq!(start, now + HOUR);
        assert!(about_30_ms.contains(&took), "{took:?}");
        // It is set forward.
        let (_, took) = exported(SystemTime::now(), || SystemTime::now() + HOUR);
        assert!(about_30_ms.contains(&took), "{took:?}");
        // It is not set.
        let (_, took) = exported(SystemTime::now(), SystemTime::now);
        assert!(about_30_ms.contains(&took), "{took:?}");
    });
}

#[test]
fn a_span_that_is_built_late_or_closed_late_keeps_its_times() {
    isolated(|| {
        // A bridge builds a span when it is first entered, and closes it some time after it was last left.
        let start = SystemTime::now() - HOUR;
        let (_, took) = exported(start, || start + Duration::from_secs(60));
        assert!(took.abs_diff(Duration::from_secs(60)) < Duration::from_secs(1), "{took:?}");
    });
}

/// Lends a clone of its span, as a database driver's connection keeps one until its thread has time.
#[critical_process(id = "lending", version = "1.0.0", sla = "10s", criticality = critical)]
fn lending() -> tracing::Span {
    tracing::Span::current()
}

#[critical_process(id = "borrowing", version = "1.0.0", sla = "10s", criticality = critical)]
fn borrowing() -> tracing::Span {
    lending()
}

#[test]
fn a_run_whose_span_a_driver_keeps_ends_before_the_span_around_it() {
    isolated(|| {
        let traces = Traces::new();
        tracing::dispatcher::set_global_default(traces.described()).unwrap();
        let request = tracing::info_span!("request");
        let lent = request.in_scope(borrowing);
        drop(request);
        std::thread::sleep(Duration::from_millis(50));
        std::thread::scope(|threads| threads.spawn(|| drop(lent)).join().unwrap());
        let [request, outer, inner] = ["request", "borrowing", "lending"].map(|name| traces.only(name));
        assert!(inner.end_time <= outer.end_time && outer.end_time <= request.end_time);
        let took = outer.end_time.duration_since(outer.start_time).unwrap();
        assert!(took < Duration::from_millis(50), "{took:?}");
    });
}
