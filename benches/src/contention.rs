//! Measures how much two threads slow each other down when they run the same row on two cores. The throughput
//! of both together is divided by the sum of their throughputs when each runs alone. This ratio is divided by
//! the same ratio for a loop that shares nothing. Therefore the result shows the cost of the row's shared
//! state, without the effect of a slower second core.

use std::hint::{black_box, spin_loop};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::attach::Attachment;
use crate::cores;
use crate::sample::burst_size;
use crate::scenarios::Scenario;
use crate::statistics::median;
use crate::workload::Shape;

const REPETITIONS: usize = 15;
const CONTROL_CALLS: u32 = 200_000;

/// For each phase, whether the first worker runs, and whether the second worker runs.
const PHASES: [[bool; 2]; 3] = [[true, false], [false, true], [true, true]];

/// Returns the throughput of two threads, divided by the sum of their throughputs when each runs alone, and
/// then divided by the same ratio for the control loop. The result is 1 if the threads share nothing.
pub(crate) fn relative_throughput(scenario: &Scenario, attachment: &Attachment, shape: Shape) -> f64 {
    let calls = match scenario.attached.burst_limit() {
        // A burst is so long that the two threads overlap for nearly all of it.
        u32::MAX => burst_size(scenario, attachment, shape) * 4,
        // Both threads fill the same queue, and each of them runs its burst twice before the queue is emptied.
        // The first of the two bursts is a warm-up.
        limit => limit / 4,
    };
    let cores = cores::all();
    let start = SpinBarrier::default();
    let end = Barrier::new(2);
    let phase = |worker: usize, runs: [bool; 2], run: &dyn Fn() -> f64| {
        let rate = || if runs[worker] { run() } else { 0.0 };
        rate();
        start.wait();
        let rate = rate();
        end.wait();
        if worker == 0 {
            attachment.drain();
            attachment.collect();
        }
        rate
    };
    let repeat = |worker: usize| {
        cores::pin(&[cores[worker % cores.len()]]);
        let subject = || rate(calls, || (scenario.subject.burst)(shape, calls));
        let control = || rate(CONTROL_CALLS, share_nothing);
        let repetition = || Rates {
            subject: PHASES.map(|runs| phase(worker, runs, &subject)),
            control: PHASES.map(|runs| phase(worker, runs, &control)),
        };
        (0..REPETITIONS).map(|_| repetition()).collect::<Vec<_>>()
    };
    let (first, second) = thread::scope(|scope| {
        let second = scope.spawn(|| repeat(1));
        (repeat(0), second.join().expect("the second worker finishes"))
    });
    let relative = |(first, second): (&Rates, &Rates)| {
        scaling(first.subject, second.subject) / scaling(first.control, second.control)
    };
    median(&mut first.iter().zip(&second).map(relative).collect::<Vec<_>>())
}

/// The calls per second of one worker in each phase, for the row and for the control loop.
struct Rates {
    subject: [f64; PHASES.len()],
    control: [f64; PHASES.len()],
}

/// Returns the throughput of both workers together, divided by the sum of their throughputs when each runs
/// alone.
fn scaling(first: [f64; PHASES.len()], second: [f64; PHASES.len()]) -> f64 {
    (first[2] + second[2]) / (first[0] + second[1])
}

fn rate(calls: u32, burst: impl Fn()) -> f64 {
    let started = Instant::now();
    burst();
    f64::from(calls) / started.elapsed().as_secs_f64()
}

fn share_nothing() {
    let mut state = 1_u64;
    for _ in 0..CONTROL_CALLS {
        state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

/// A barrier that releases two threads within nanoseconds of each other. A barrier that puts threads to sleep
/// takes microseconds.
#[derive(Default)]
struct SpinBarrier {
    arrived: AtomicUsize,
}

impl SpinBarrier {
    fn wait(&self) {
        let ticket = self.arrived.fetch_add(1, Ordering::AcqRel);
        let both = (ticket / 2 + 1) * 2;
        let mut spins = 0_u32;
        while self.arrived.load(Ordering::Acquire) < both {
            spins += 1;
            // The other thread may have lost its core to another program.
            if spins.is_multiple_of(10_000) {
                thread::yield_now();
            }
            spin_loop();
        }
    }
}
