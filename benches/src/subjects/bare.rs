//! The lower bounds: the function without an attribute, the function with the two clock reads that every
//! hand-written timing needs, and the function with two reads of the processor's counter, which is the cheapest
//! clock.

use std::hint::black_box;
use std::time::Instant;

use super::{Subject, subject};
use crate::workload::{Refused, pending, work};

pub(crate) static BARE: Subject = subject!(charge, charge_async);
pub(crate) static TIMED: Subject = subject!(timed, timed_async);
pub(crate) static TICKED: Subject = subject!(ticked, ticked_async);

fn charge(order: u64, customer: u64, region: &str) -> Result<u64, Refused> {
    work(order, customer, region)
}

async fn charge_async(order: u64, customer: u64, region: &str, pends: u32) -> Result<u64, Refused> {
    pending(pends).await;
    work(order, customer, region)
}

fn timed(order: u64, customer: u64, region: &str) -> Result<u64, Refused> {
    let started = Instant::now();
    let charged = work(order, customer, region);
    black_box(started.elapsed());
    charged
}

async fn timed_async(order: u64, customer: u64, region: &str, pends: u32) -> Result<u64, Refused> {
    let started = Instant::now();
    pending(pends).await;
    let charged = work(order, customer, region);
    black_box(started.elapsed());
    charged
}

fn ticked(order: u64, customer: u64, region: &str) -> Result<u64, Refused> {
    let started = ticks();
    let charged = work(order, customer, region);
    black_box(ticks() - started);
    charged
}

async fn ticked_async(order: u64, customer: u64, region: &str, pends: u32) -> Result<u64, Refused> {
    let started = ticks();
    pending(pends).await;
    let charged = work(order, customer, region);
    black_box(ticks() - started);
    charged
}

#[cfg(target_arch = "x86_64")]
fn ticks() -> u64 {
    // SAFETY: `rdtsc` is part of every x86-64 processor, reads no memory and changes no state.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// Reads `Instant`. Our runtime also uses `Instant` as its clock on processors other than x86-64.
#[cfg(not(target_arch = "x86_64"))]
fn ticks() -> u64 {
    static ANCHOR: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    ANCHOR.elapsed().as_nanos() as u64
}
