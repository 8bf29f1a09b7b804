//! Atomics, locks and cells for lock-free code. Here they are those of std; the crate `model-checks` compiles the same
//! source files with loom's types, under the same names. A file that `model-checks` compiles must take these types from
//! here alone.

#[cfg(feature = "metrics")]
pub(crate) use std::sync::OnceLock;
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub(crate) use std::thread_local;

/// Declares statics. Their types have `const` constructors in std, but not in loom.
macro_rules! statics {
    ($($statics:tt)*) => {
        $($statics)*
    };
}
pub(crate) use statics;

/// Declares a constructor that is `const` with std, but not with loom.
#[cfg(feature = "metrics")]
macro_rules! constructor {
    ($(#[$attribute:meta])* $visibility:vis fn $($function:tt)*) => {
        $(#[$attribute])* $visibility const fn $($function)*
    };
}
#[cfg(feature = "metrics")]
pub(crate) use constructor;

/// A cell whose owner synchronises access to it. Access is through closures, so that loom sees when it begins and ends.
#[cfg(feature = "metrics")]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(feature = "metrics")]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> UnsafeCell<T> {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    /// Calls `f` with a pointer for reading.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Calls `f` with a pointer for writing.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}
