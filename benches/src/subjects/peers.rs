//! The peers' attributes, as their own documentation uses them.

use fastrace::future::FutureExt as _;
use fastrace::prelude::{Span, SpanContext};

use super::{Subject, subject};
use crate::workload::{Refused, pending, work};

pub(crate) static INSTRUMENT: Subject = subject!(instrumented, instrumented_async);
pub(crate) static AUTOMETRICS: Subject = subject!(counted, counted_async);
pub(crate) static FASTRACE: Subject = subject!(traced, traced_async);
pub(crate) static FASTRACE_SAMPLED: Subject = subject!(rooted::<true>, rooted_async::<true>);
pub(crate) static FASTRACE_UNSAMPLED: Subject = subject!(rooted::<false>, rooted_async::<false>);

#[tracing::instrument(skip_all)]
fn instrumented(order: u64, customer: u64, region: &str) -> Result<u64, Refused> {
    work(order, customer, region)
}

#[tracing::instrument(skip_all)]
async fn instrumented_async(order: u64, customer: u64, region: &str, pends: u32) -> Result<u64, Refused> {
    pending(pends).await;
    work(order, customer, region)
}

#[autometrics::autometrics]
fn counted(order: u64, customer: u64, region: &str) -> Result<u64, Refused> {
    work(order, customer, region)
}

#[autometrics::autometrics]
async fn counted_async(order: u64, customer: u64, region: &str, pends: u32) -> Result<u64, Refused> {
    pending(pends).await;
    work(order, customer, region)
}

#[fastrace::trace]
fn traced(order: u64, customer: u64, region: &str) -> Result<u64, Refused> {
    work(order, customer, region)
}

#[fastrace::trace]
async fn traced_async(order: u64, customer: u64, region: &str, pends: u32) -> Result<u64, Refused> {
    pending(pends).await;
    work(order, customer, region)
}

// fastrace records nothing without a root span, which its users open for each request. The spans of the
// other libraries are roots themselves, so here the root is part of the run.

fn rooted<const SAMPLED: bool>(order: u64, customer: u64, region: &str) -> Result<u64, Refused> {
    let root = Span::root("request", SpanContext::random().sampled(SAMPLED));
    let _entered = root.set_local_parent();
    traced(order, customer, region)
}

fn rooted_async<const SAMPLED: bool>(
    order: u64,
    customer: u64,
    region: &str,
    pends: u32,
) -> impl Future<Output = Result<u64, Refused>> {
    let root = Span::root("request", SpanContext::random().sampled(SAMPLED));
    traced_async(order, customer, region, pends).in_span(root)
}
