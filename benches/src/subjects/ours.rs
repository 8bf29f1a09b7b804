//! Our attribute, without context and with three context keys. The keys correspond to the three fields and tags
//! of the hand-composed stack.

use process_runtime::critical_process;

use super::{Subject, subject};
use crate::workload::{Refused, pending, work};

pub(crate) static PLAIN: Subject = subject!(plain, plain_async);
pub(crate) static OURS: Subject = subject!(charge, charge_async);

#[critical_process(id = "plain", version = "1.0.0", sla = "2s")]
fn plain(order: u64, customer: u64, region: &str) -> Result<u64, Refused> {
    work(order, customer, region)
}

#[critical_process(id = "plain_async", version = "1.0.0", sla = "2s")]
async fn plain_async(order: u64, customer: u64, region: &str, pends: u32) -> Result<u64, Refused> {
    pending(pends).await;
    work(order, customer, region)
}

#[critical_process(id = "charge", version = "1.0.0", sla = "2s", context(order, customer, region))]
fn charge(order: u64, customer: u64, region: &str) -> Result<u64, Refused> {
    work(order, customer, region)
}

#[critical_process(id = "charge_async", version = "1.0.0", sla = "2s", context(order, customer, region))]
async fn charge_async(order: u64, customer: u64, region: &str, pends: u32) -> Result<u64, Refused> {
    pending(pends).await;
    work(order, customer, region)
}
