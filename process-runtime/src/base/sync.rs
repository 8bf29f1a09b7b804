//! Atomics, locks and cells for lock-free code. In this crate they are the types of std. The crate `model-checks`
//! compiles some source files of this crate again, with loom's types under the same names. These files must therefore
//! take the types only from this module.

#[cfg(feature = "metrics")]
pub(crate) use std::sync::OnceLock;
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub(crate) use std::thread_local;

/// Declares statics. `model-checks` declares them in another way, because loom's types have no `const` constructors.
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

/// A cell whose owner synchronises access to the value. The owner accesses the value in closures, so loom detects
/// when an access begins and ends.
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
