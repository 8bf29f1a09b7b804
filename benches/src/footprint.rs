//! Measures the memory of our runtime and the duration of a scan for late runs, in a child process without
//! other runs in flight.

use std::sync::Barrier;
use std::task::{Context, Waker};
use std::thread;

use process_runtime::__private::measure::{account_bytes, scan};
use process_runtime::{critical_process, registry};

use crate::allocations::Allocated;
use crate::child;
use crate::statistics::median;
use crate::subjects::bare::BARE;
use crate::subjects::ours::OURS;
use crate::workload::pending;

/// The subcommand of the child process.
pub(crate) const SUBCOMMAND: &str = "footprint-child";

const IN_FLIGHT: u64 = 100_000;
const SCANS: usize = 21;
/// The number of threads in a service of medium size. Each thread that runs a process adds memory to the
/// statistics of that process.
const THREADS: usize = 8;

pub(crate) struct Footprint {
    /// Bytes that the attribute adds to a future.
    pub(crate) future_bytes_added: f64,
    /// Heap bytes of a critical process that has run on [`THREADS`] threads, and whose statistics were read.
    pub(crate) process_bytes: f64,
    /// Heap bytes of each run in flight, without its future.
    pub(crate) in_flight_bytes: f64,
    /// Milliseconds of one scan for late runs, with [`IN_FLIGHT`] runs in flight.
    pub(crate) scan_millis: f64,
}

pub(crate) fn measure() -> Footprint {
    let output = child::this_program().arg(SUBCOMMAND).output().expect("the driver can start itself");
    assert!(output.status.success(), "the footprint's child ended with {}", output.status);
    let answer = String::from_utf8(output.stdout).expect("the child answers in UTF-8");
    let figures: Vec<f64> = answer.split_whitespace().flat_map(str::parse).collect();
    let [process_bytes, in_flight_bytes, scan_millis] =
        figures.try_into().unwrap_or_else(|_| panic!("the footprint's child answered {answer:?}"));
    Footprint {
        future_bytes_added: (OURS.future_bytes)() as f64 - (BARE.future_bytes)() as f64,
        process_bytes,
        in_flight_bytes,
        scan_millis,
    }
}

/// Measures in the child process, and prints the figures.
pub(crate) fn serve() {
    let process_bytes = process_bytes();

    let mut context = Context::from_waker(Waker::noop());
    let mut runs: Vec<_> = (0..IN_FLIGHT).map(|_| Box::pin(waiting())).collect();
    let before = Allocated::by_this_thread();
    for run in &mut runs {
        assert!(run.as_mut().poll(&mut context).is_pending());
    }
    let in_flight_bytes = (Allocated::by_this_thread() - before).held() as f64 / IN_FLIGHT as f64;
    let mut scans: Vec<_> = (0..SCANS).map(|_| scan().as_secs_f64() * 1e3).collect();

    println!("{process_bytes} {in_flight_bytes} {}", median(&mut scans));
}

/// A process whose SLA is so long that no run is late during the measurement.
#[critical_process(id = "waiting", version = "1.0.0", sla = "1h")]
async fn waiting() {
    pending(1).await;
}

macro_rules! processes {
    ($($function:ident $id:literal,)*) => {
        $(#[critical_process(id = $id, version = "1.0.0", sla = "2s")]
        fn $function() {})*

        static PROCESSES: &[(fn(), &str)] = &[$(($function, $id)),*];
    };
}

processes! {
    first "first",
    second "second",
    third "third",
    fourth "fourth",
    fifth "fifth",
}

/// Returns the heap bytes of a critical process: the bytes that are allocated when a first thread runs it,
/// plus the bytes that the other threads add.
fn process_bytes() -> f64 {
    let run = |(process, id): &(fn(), &str)| {
        process();
        registry::stats(id).expect("the process is registered");
    };
    // The run of the first process allocates the state that all processes share, so it is not measured.
    let (warm_up, others) = PROCESSES.split_first().expect("there are several");
    run(warm_up);
    let before = Allocated::by_this_thread();
    others.iter().for_each(run);
    let first_thread = (Allocated::by_this_thread() - before).held();

    let accounts = || -> usize { others.iter().filter_map(|(_, id)| account_bytes(id)).sum() };
    let before = accounts();
    let all_ran = Barrier::new(THREADS - 1);
    thread::scope(|scope| {
        for _ in 1..THREADS {
            scope.spawn(|| {
                others.iter().for_each(run);
                // If a thread ended before the next one started, the next one would use the ended thread's part
                // of the statistics.
                all_ran.wait();
            });
        }
    });
    (first_thread + (accounts() - before) as u64) as f64 / others.len() as f64
}
