//! The stack that a user composes by hand instead of using our attribute: a span with three fields, a Sentry
//! hub with three tags and a context, a histogram with three attributes, and timing.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use opentelemetry::metrics::Histogram;
use opentelemetry::{KeyValue, global};
use sentry::protocol::Context;
use sentry::{Hub, SentryFutureExt as _};
use tracing::field::Empty;

use super::{Subject, subject};
use crate::workload::{Refused, pending, work};

pub(crate) static COMPOSED: Subject = subject!(charge, charge_async);
/// The same stack, with the fields of our span on its span.
pub(crate) static COMPOSED_SAME_FIELDS: Subject = subject!(charge_same_fields, charge_same_fields_async);

static DURATION: LazyLock<Histogram<f64>> =
    LazyLock::new(|| global::meter("shop").f64_histogram("charge.duration").with_unit("s").build());

#[tracing::instrument(skip_all, fields(order, customer, region))]
fn charge(order: u64, customer: u64, region: &str) -> Result<u64, Refused> {
    composed(order, customer, region)
}

#[tracing::instrument(skip_all, fields(order, customer, region))]
async fn charge_async(order: u64, customer: u64, region: &str, pends: u32) -> Result<u64, Refused> {
    composed_async(order, customer, region, pends).await
}

#[tracing::instrument(skip_all, fields(
    critical_process.id = "charge",
    critical_process.version = "1.0.0",
    critical_process.criticality = "high",
    critical_process.outcome = Empty,
    critical_process.late = Empty,
    code.function.name = "charge",
    order,
    customer,
    region,
))]
fn charge_same_fields(order: u64, customer: u64, region: &str) -> Result<u64, Refused> {
    let charged = composed(order, customer, region);
    report(&charged);
    charged
}

#[tracing::instrument(skip_all, fields(
    critical_process.id = "charge",
    critical_process.version = "1.0.0",
    critical_process.criticality = "high",
    critical_process.outcome = Empty,
    critical_process.late = Empty,
    code.function.name = "charge",
    order,
    customer,
    region,
))]
async fn charge_same_fields_async(
    order: u64,
    customer: u64,
    region: &str,
    pends: u32,
) -> Result<u64, Refused> {
    let charged = composed_async(order, customer, region, pends).await;
    report(&charged);
    charged
}

fn report(charged: &Result<u64, Refused>) {
    let span = tracing::Span::current();
    span.record("critical_process.outcome", outcome(charged));
    span.record("critical_process.late", false);
}

fn composed(order: u64, customer: u64, region: &str) -> Result<u64, Refused> {
    let started = Instant::now();
    let charged = Hub::run(hub(order, customer, region), || work(order, customer, region));
    record(started, &charged, region);
    charged
}

async fn composed_async(order: u64, customer: u64, region: &str, pends: u32) -> Result<u64, Refused> {
    let started = Instant::now();
    let charged = async {
        pending(pends).await;
        work(order, customer, region)
    };
    let charged = charged.bind_hub(hub(order, customer, region)).await;
    record(started, &charged, region);
    charged
}

fn outcome(charged: &Result<u64, Refused>) -> &'static str {
    if charged.is_ok() { "success" } else { "failure" }
}

fn hub(order: u64, customer: u64, region: &str) -> Arc<Hub> {
    let hub = Arc::new(Hub::new_from_top(Hub::current()));
    hub.configure_scope(|scope| {
        scope.set_tag("order", order);
        scope.set_tag("customer", customer);
        scope.set_tag("region", region);
        let charge = BTreeMap::from([
            ("order".to_owned(), order.into()),
            ("customer".to_owned(), customer.into()),
            ("region".to_owned(), region.into()),
        ]);
        scope.set_context("charge", Context::Other(charge));
    });
    hub
}

fn record(started: Instant, charged: &Result<u64, Refused>, region: &str) {
    let attributes = [
        KeyValue::new("process", "charge"),
        KeyValue::new("outcome", outcome(charged)),
        KeyValue::new("region", region.to_owned()),
    ];
    DURATION.record(started.elapsed().as_secs_f64(), &attributes);
}
