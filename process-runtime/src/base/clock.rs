//! The clock of runs. It counts ticks of the processor's counter if the counter can be trusted, and otherwise
//! nanoseconds of [`Instant`]. Reading the clock is the largest cost of a run without destinations. The crate
//! `quanta` has such a clock too, but its calibration at the first use would delay a run by up to 200 ms.
//!
//! The rate of the counter is measured against `Instant` over the time since the clock was created. The longer this
//! time, the more precise the rate. A duration cannot be longer than this time. If the rate is measured at the end of
//! a duration ([`Clock::refine`]), the error of the duration is therefore at most the error of one reading of
//! `Instant`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The time for which [`Clock::best`] waits before it measures the rate of the counter for the first time.
const FIRST_LOOK: Duration = Duration::from_micros(200);

/// A source of ticks, with the length of a tick.
#[derive(Debug)]
pub(crate) struct Clock {
    source: Source,
    nanos_per_tick: AtomicU64,
}

enum Source {
    #[cfg(target_arch = "x86_64")]
    Counter {
        anchor: Instant,
        anchor_ticks: u64,
    },
    Instant(Instant),
    /// A clock that the caller provides.
    Foreign(Box<dyn Fn() -> Duration + Send + Sync>),
}

impl Source {
    /// Returns the nanoseconds since the clock was created. This function is not inlined, so that runs, which mostly
    /// read the counter, do not contain its code.
    #[inline(never)]
    fn elapsed(&self) -> u64 {
        let elapsed = match self {
            #[cfg(target_arch = "x86_64")]
            Source::Counter { anchor, .. } => anchor.elapsed(),
            Source::Instant(anchor) => anchor.elapsed(),
            Source::Foreign(elapsed) => elapsed(),
        };
        elapsed.as_nanos() as u64
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            #[cfg(target_arch = "x86_64")]
            Source::Counter { .. } => "Counter",
            Source::Instant(_) => "Instant",
            Source::Foreign(_) => "Foreign",
        })
    }
}

impl Clock {
    /// Returns the most precise clock of this machine.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn best() -> Clock {
        if !counter::is_trusted() {
            return Clock::of(Source::Instant(Instant::now()), 1.0);
        }
        let (anchor, anchor_ticks) = (Instant::now(), counter::read());
        let clock = Clock::of(Source::Counter { anchor, anchor_ticks }, 1.0);
        while anchor.elapsed() < FIRST_LOOK {
            std::hint::spin_loop();
        }
        clock.refine();
        clock
    }

    /// Returns the most precise clock of this machine.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn best() -> Clock {
        Clock::of(Source::Instant(Instant::now()), 1.0)
    }

    /// Creates a clock that follows another clock. `elapsed` must return the time that has passed on the other clock
    /// since this call. A tick is a nanosecond.
    #[allow(dead_code, reason = "only domains of health checks and tests follow another clock")]
    pub(crate) fn following(elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Clock {
        Clock::of(Source::Foreign(Box::new(elapsed)), 1.0)
    }

    fn of(source: Source, nanos_per_tick: f64) -> Clock {
        Clock { source, nanos_per_tick: AtomicU64::new(nanos_per_tick.to_bits()) }
    }

    /// Returns the current tick.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        match &self.source {
            #[cfg(target_arch = "x86_64")]
            Source::Counter { .. } => counter::read(),
            other => other.elapsed(),
        }
    }

    /// Returns the length of a tick in nanoseconds.
    #[inline]
    pub(crate) fn nanos_per_tick(&self) -> f64 {
        f64::from_bits(self.nanos_per_tick.load(Ordering::Relaxed))
    }

    /// Measures the rate of the counter against `Instant` over the time since the clock was created. Does nothing if
    /// the clock does not use the counter, because a tick is then always a nanosecond.
    pub(crate) fn refine(&self) {
        match &self.source {
            #[cfg(target_arch = "x86_64")]
            Source::Counter { anchor, anchor_ticks } => {
                let (nanos, ticks) = (anchor.elapsed().as_nanos(), counter::read());
                let ticks = ticks.saturating_sub(*anchor_ticks);
                if ticks > 0 {
                    let rate = nanos as f64 / ticks as f64;
                    self.nanos_per_tick.store(rate.to_bits(), Ordering::Relaxed);
                }
            }
            _ => {}
        }
    }

    /// Converts ticks to a duration.
    pub(crate) fn duration(&self, ticks: u64) -> Duration {
        Duration::from_nanos((ticks as f64 * self.nanos_per_tick()) as u64)
    }

    /// Converts a duration to ticks.
    pub(crate) fn ticks(&self, duration: Duration) -> u64 {
        (duration.as_nanos() as f64 / self.nanos_per_tick()) as u64
    }
}

#[cfg(target_arch = "x86_64")]
mod counter {
    //! The time-stamp counter of the processor.

    use std::arch::x86_64::{__cpuid, _rdtsc};

    /// Reads the counter of this core.
    #[inline]
    pub(super) fn read() -> u64 {
        // SAFETY: `rdtsc` is part of every x86-64 processor, reads no memory and changes no state.
        unsafe { _rdtsc() }
    }

    /// Returns whether the counter has a constant rate (Intel SDM volume 3, "Invariant TSC": CPUID 80000007H, EDX bit
    /// 8). On Linux, the counter must also be the clock source of the kernel, because the kernel rejects a counter
    /// that differs between sockets.
    pub(super) fn is_trusted() -> bool {
        // Miri cannot execute `cpuid` and `rdtsc`.
        if cfg!(miri) {
            return false;
        }
        const LEAF: u32 = 0x8000_0007;
        let invariant = __cpuid(0x8000_0000).eax >= LEAF && __cpuid(LEAF).edx & (1 << 8) != 0;
        invariant && kernel_trusts_it()
    }

    #[cfg(target_os = "linux")]
    fn kernel_trusts_it() -> bool {
        const SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        std::fs::read_to_string(SOURCE).is_ok_and(|source| source.trim() == "tsc")
    }

    #[cfg(not(target_os = "linux"))]
    fn kernel_trusts_it() -> bool {
        true
    }
}
