//! Locks that ignore poison. The data behind every lock of this crate is consistent after each statement, so a thread
//! that panics while it holds a lock leaves the data consistent. Data that may be inconsistent between two statements
//! must not be locked with these functions.

use std::sync::{LockResult, PoisonError};

use crate::base::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks a mutex, poisoned or not.
#[inline]
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

/// Locks a read-write lock for reading, poisoned or not.
#[inline]
pub(crate) fn read<T: ?Sized>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    unpoisoned(lock.read())
}

/// Locks a read-write lock for writing, poisoned or not.
#[inline]
pub(crate) fn write<T: ?Sized>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    unpoisoned(lock.write())
}

/// Returns the content of a `LockResult`, for example a guard, even if the lock is poisoned.
#[inline]
pub(crate) fn unpoisoned<G>(result: LockResult<G>) -> G {
    result.unwrap_or_else(PoisonError::into_inner)
}
