//! Selects the core that a thread runs on. The cores of a shared machine differ in speed. If another program
//! uses the second hyperthread of a core, some code takes 1.5 times as long, and other code is as fast as
//! before. Therefore rows that are compared run on the same core, which is the fastest at the moment.

use std::hint::black_box;
use std::mem;
use std::time::{Duration, Instant};

/// The number that the kernel gives to a core.
pub(crate) type Core = usize;

/// Returns the cores that this thread may run on.
pub(crate) fn all() -> Vec<Core> {
    // SAFETY: a set of cores consists of bits, for which zero is valid.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `set` is valid for writes of its own size.
    let failed = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) };
    assert_eq!(failed, 0, "a thread may ask where it runs");
    let is_in = |core: &Core| {
        // SAFETY: `core` is within the set's size.
        unsafe { libc::CPU_ISSET(*core, &set) }
    };
    (0..libc::CPU_SETSIZE as usize).filter(is_in).collect()
}

/// Binds this thread, and all threads that it starts later, to these cores.
pub(crate) fn pin(cores: &[Core]) {
    // SAFETY: as in `all`.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    for core in cores {
        // SAFETY: `core` came from `all`, so it is within the set's size.
        unsafe { libc::CPU_SET(*core, &mut set) };
    }
    // SAFETY: `set` is a valid set of its own size.
    let failed = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) };
    assert_eq!(failed, 0, "a thread may stay where it is allowed to be");
}

/// Returns the core that currently runs a demanding loop the fastest.
pub(crate) fn fastest() -> Core {
    let cores = all();
    let time = |core: &Core| {
        pin(&[*core]);
        (0..20).map(|_| time_units()).min()
    };
    let fastest = cores.iter().copied().min_by_key(time).expect("a thread runs somewhere");
    pin(&cores);
    fastest
}

/// Returns how long independent chains of operations take. Unlike a single chain, they become slower if another
/// program shares the core.
fn time_units() -> Duration {
    let started = Instant::now();
    let mut chains = [1_u64, 2, 3, 4, 5, 6];
    for _ in 0..20_000 {
        chains = black_box(chains.map(|chain| (chain ^ (chain << 13)).wrapping_add(chain >> 7)));
    }
    started.elapsed()
}
