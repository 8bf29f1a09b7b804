//! The measured subjects. Each subject is the same business function under one attribute, in a sync and an
//! async form. The macro below makes the subjects callable from the table of rows.

pub(crate) mod bare;
pub(crate) mod composed;
pub(crate) mod ours;
pub(crate) mod peers;

use crate::workload::Shape;

/// A sync and an async function under the same attribute, which can run in bursts.
pub(crate) struct Subject {
    /// Runs the function of a shape the given number of times, one run after the other.
    pub(crate) burst: fn(Shape, u32),
    /// Size in bytes of the future that the async function returns.
    pub(crate) future_bytes: fn() -> usize,
}

/// Makes a [`Subject`] of a sync and an async function with the workload's parameters.
macro_rules! subject {
    ($sync:expr, $asynchronous:expr) => {
        $crate::subjects::Subject {
            burst: |shape, calls| {
                use std::hint::black_box;
                use $crate::workload::{Shape, finish};
                let pends = shape.pends();
                for order in 0..u64::from(calls) {
                    let order = black_box(order);
                    let paid = match shape {
                        Shape::Sync => $sync(order, 7, "eu"),
                        _ => finish(std::pin::pin!($asynchronous(order, 7, "eu", pends))),
                    };
                    let _ = black_box(paid);
                }
            },
            future_bytes: || size_of_val(&$asynchronous(0, 7, "eu", 0)),
        }
    };
}
pub(crate) use subject;
