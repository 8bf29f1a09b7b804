//! Takes one sample of one row inside its child process. A sample consists of short timed bursts of runs; the
//! queues are emptied between bursts, which is not timed. The result is the median burst, so that a burst that
//! the scheduler interrupts has no effect.

use std::time::{Duration, Instant};

use crate::allocations::Allocated;
use crate::attach::Attachment;
use crate::scenarios::Scenario;
use crate::statistics::median;
use crate::workload::Shape;

/// The intended duration of a burst. It is long enough to make two clock reads negligible, and short enough for
/// one time slice of the scheduler.
const BURST: Duration = Duration::from_micros(150);
const SAMPLE: Duration = Duration::from_millis(3);
/// The minimum number of bursts in a sample, even if these bursts take longer than [`SAMPLE`]. It is large
/// enough for most of the bursts to be undisturbed.
const LEAST_BURSTS: usize = 7;
/// The number of bursts between two collections of metrics. It is so small that no buffer of metrics samples
/// fills up.
const COLLECT_EVERY: usize = 4;

/// The cost of a single run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Nanoseconds on the caller's thread.
    pub(crate) nanos: f64,
    /// Processor nanoseconds of all threads, including drains and collections of metrics.
    pub(crate) processor_nanos: f64,
    pub(crate) allocations: f64,
    pub(crate) allocated_bytes: f64,
}

/// Takes a sample. Each burst has `calls` runs; the caller passes the result of [`burst_size`].
pub(crate) fn cost(scenario: &Scenario, attachment: &Attachment, shape: Shape, calls: u32) -> Cost {
    let burst = scenario.subject.burst;

    let before = Allocated::by_this_thread();
    burst(shape, calls);
    let allocated = Allocated::by_this_thread() - before;
    attachment.drain();

    let mut bursts = Vec::new();
    let mut timed = Duration::ZERO;
    let processor_before = processor_time();
    while timed < SAMPLE || bursts.len() < LEAST_BURSTS {
        let started = Instant::now();
        burst(shape, calls);
        let elapsed = started.elapsed();
        timed += elapsed;
        bursts.push(elapsed.as_nanos() as f64 / f64::from(calls));
        attachment.drain();
        if bursts.len().is_multiple_of(COLLECT_EVERY) {
            attachment.collect();
        }
    }
    let processor = processor_time() - processor_before;

    Cost {
        processor_nanos: processor.as_nanos() as f64 / (bursts.len() as f64 * f64::from(calls)),
        nanos: median(&mut bursts),
        allocations: allocated.count as f64 / f64::from(calls),
        allocated_bytes: allocated.bytes as f64 / f64::from(calls),
    }
}

/// Returns the number of runs in a burst. Finding the number is also the warm-up of the row.
pub(crate) fn burst_size(scenario: &Scenario, attachment: &Attachment, shape: Shape) -> u32 {
    let limit = scenario.attached.burst_limit();
    let mut calls = 50;
    loop {
        // The fastest of three, because a burst that lost its core is not representative.
        let elapsed = [(); 3].map(|()| {
            let started = Instant::now();
            (scenario.subject.burst)(shape, calls);
            let elapsed = started.elapsed();
            attachment.drain();
            attachment.collect();
            elapsed
        });
        if elapsed.into_iter().min() >= Some(BURST) || calls >= limit {
            return calls.min(limit);
        }
        calls *= 2;
    }
}

/// Returns the processor time of the whole process.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writes of its type.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0, "the process has a processor clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
