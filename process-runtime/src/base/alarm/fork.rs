//! Notices that the program runs in the child of a `fork` without `exec`. The child has a copy of the memory and none
//! of the threads, so no thread empties the queues. Starting threads does not belong here.

#[cfg(unix)]
pub(crate) use self::unix::{is_child, report, watch};

#[cfg(unix)]
mod unix {
    use std::ffi::c_int;
    use std::fs::File;
    use std::io::Write as _;
    use std::mem::ManuallyDrop;
    use std::os::fd::FromRawFd as _;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    const REPORT: &[u8] = b"critical_process: this process was made by `fork` without `exec`, and the threads and \
        queues of the toolkit stayed in the parent process: from here on, runs are only counted, and nothing is \
        reported or sent; start child processes with `std::process::Command`, or call `Install::start` and \
        `telemetry::init` only after the fork\n";

    static RAISED: OnceLock<&'static AtomicU64> = OnceLock::new();
    static IS_CHILD: AtomicBool = AtomicBool::new(false);
    static IS_REPORTED: AtomicBool = AtomicBool::new(false);

    unsafe extern "C" {
        fn pthread_atfork(
            prepare: Option<extern "C" fn()>,
            parent: Option<extern "C" fn()>,
            child: Option<extern "C" fn()>,
        ) -> c_int;
    }

    /// Watches for forks from now on. In a child, `raised` has the value [`u64::MAX`]. Every run compares its deadline
    /// with `raised` anyway, so the first run in a child notices the fork, and no run pays for this.
    pub(crate) fn watch(raised: &'static AtomicU64) {
        RAISED.get_or_init(|| {
            // SAFETY: The function is part of POSIX and has this signature. `in_child` only stores to atomics, which
            // is permitted in the child of a program with several threads, and lives as long as the program. If the
            // call fails for want of memory, forks are not noticed.
            unsafe { pthread_atfork(None, None, Some(in_child)) };
            raised
        });
    }

    /// Runs in each child, also in one that calls `exec` next, so it does not report anything.
    extern "C" fn in_child() {
        IS_CHILD.store(true, Ordering::Relaxed);
        IS_REPORTED.store(false, Ordering::Relaxed);
        if let Some(raised) = RAISED.get() {
            raised.store(u64::MAX, Ordering::Relaxed);
        }
    }

    /// Returns whether the program runs in the child of a fork, and has started the threads of the toolkit before it.
    pub(crate) fn is_child() -> bool {
        IS_CHILD.load(Ordering::Relaxed)
    }

    /// Does the same as [`is_child`], and reports it with one write to standard error, once in each child.
    pub(crate) fn report() -> bool {
        if is_child() && !IS_REPORTED.swap(true, Ordering::Relaxed) {
            // A lock may have been held by a thread of the parent when it forked, and is then never released. The
            // standard library locks standard error, so this write does not use it.
            // SAFETY: 2 is the descriptor of standard error, which is not closed here, because the file is not dropped.
            let mut standard_error = ManuallyDrop::new(unsafe { File::from_raw_fd(2) });
            let _ = standard_error.write(REPORT);
        }
        is_child()
    }
}

#[cfg(not(unix))]
pub(crate) fn watch(_: &'static std::sync::atomic::AtomicU64) {}

#[cfg(not(unix))]
pub(crate) fn is_child() -> bool {
    false
}

#[cfg(not(unix))]
pub(crate) fn report() -> bool {
    false
}
