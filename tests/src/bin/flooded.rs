//! A program for `tests/telemetry` whose clients and libraries send texts of any size. It sets up its telemetry in one
//! call. Its second argument selects the flood.

use std::panic::catch_unwind;
use std::time::Duration;

use opentelemetry::global;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, Status, TraceFlags, TraceId, TraceState, Tracer as _,
};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use process_runtime::telemetry::TelemetryBuilder;
use process_runtime::{Install, Limits, critical_process};
use tracing::info_span;

/// A run that must be found afterwards.
#[critical_process(id = "victim", version = "1.0.0", sla = "10s", context(customer_id))]
fn victim(customer_id: &str) -> Result<(), String> {
    Err(format!("{customer_id} was refused"))
}

#[critical_process(
    id = "full",
    version = "1.0.0",
    sla = "10s",
    context(number, a = text, b = text, c = text, d = text, e = text, f = text, g = text, h = text, i = text)
)]
fn full(number: usize, text: &str) -> usize {
    number + text.len()
}

#[critical_process(id = "panicking", version = "1.0.0", sla = "10s")]
fn panicking(text: &str) {
    panic!("{text}");
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().expect("a directory, and a flood");
    let (directory, flood) = (next(), next());
    let mut limits = Limits::default();
    if flood == "a small queue" {
        limits.queue = 4 << 10;
    } else if flood == "a small event" {
        limits.sentry_event = 4 << 10;
    }
    let install = Install::new().limits(limits);
    let telemetry =
        TelemetryBuilder::new().service("shop", "2.0.0").directory(directory).install(install).init();
    match flood.as_str() {
        "spans of other libraries" => {
            let _ = victim("c-1");
            let long = "M".repeat(390_000);
            for _ in 0..400 {
                drop(info_span!(
                    "request",
                    http.method = %long,
                    otel.name = %long,
                    otel.status_code = "error",
                    otel.status_description = %long,
                    exception.message = %long
                ));
                telemetry_of_a_driver(&long);
            }
        }
        "full values" => {
            let text = "\u{1}".repeat(1 << 10);
            for number in 0..512 {
                let _ = full(number, &text);
            }
        }
        "a long panic" => {
            let text = "x".repeat(400_000);
            catch_unwind(|| panicking(&text)).expect_err("it panics");
        }
        "two failures" => {
            for customer in ["c-1", "c-2"] {
                let _ = victim(customer);
                telemetry.flush(Duration::from_secs(5));
            }
            telemetry.installation().report().iter().for_each(|line| println!("{line}"));
        }
        "a small queue" => (0..100).for_each(|_| drop(victim("c-1"))),
        "a small event" => {
            sentry::configure_scope(|scope| scope.set_extra("large", "x".repeat(64 << 10).into()));
            let _ = victim("c-1");
        }
        other => panic!("no flood {other}"),
    }
}

/// Makes a span through OpenTelemetry's own interface, with a long text in each of its parts.
fn telemetry_of_a_driver(long: &str) {
    let short = &long[..5000];
    let text = || Value::from(short.to_owned());
    let list = Value::Array(Array::String(vec![StringValue::from(short.to_owned()); 9]));
    let mut span = global::tracer("driver").start("query");
    span.set_attribute(KeyValue::new(short.to_owned(), text()));
    span.set_attribute(KeyValue::new("list", list.clone()));
    span.set_attribute(KeyValue::new("numbers", Value::Array(Array::I64(vec![i64::MIN; 5000]))));
    span.add_event(long.to_owned(), vec![KeyValue::new(short.to_owned(), text())]);
    for _ in 0..100 {
        span.add_event("exception", vec![KeyValue::new("exception.message", text())]);
    }
    let other =
        SpanContext::new(TraceId::from(1), SpanId::from(1), TraceFlags::SAMPLED, true, TraceState::NONE);
    span.add_link(other, vec![KeyValue::new("list", list)]);
    span.set_status(Status::error(long.to_owned()));
    span.end();
}
