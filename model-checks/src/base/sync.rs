//! Provides loom's types under the names that `base::sync` of `process-runtime` gives to the types of std. The
//! environment variable [`WEAKENED`] can name one ordering in the source of `process-runtime`. This ordering then
//! becomes `Relaxed`.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::Location;
use std::rc::Rc;
use std::sync::LazyLock;

pub(crate) use loom::cell::UnsafeCell;
pub(crate) use loom::sync::atomic::Ordering;
pub(crate) use loom::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
// `OnceLock` is the type of std, which loom does not check. It contains the ring of a sample buffer. A consumer reads
// the ring only after it has loaded the atomic `written`, so nothing depends on how `OnceLock` synchronises.
pub(crate) use std::sync::OnceLock;

/// The environment variable that names the ordering to weaken, in the form in which [`sites`] lists it.
pub(crate) const WEAKENED: &str = "MODEL_CHECK_WEAKENED";
/// The environment variable that makes [`sites`] list orderings. If the variable is not set, the list is empty.
pub(crate) const LIST: &str = "MODEL_CHECK_LIST";

static WEAK: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(WEAKENED).ok());
static LISTS: LazyLock<bool> = LazyLock::new(|| std::env::var_os(LIST).is_some());
static SITES: std::sync::Mutex<BTreeSet<String>> = std::sync::Mutex::new(BTreeSet::new());

/// Returns every ordering, except `Relaxed`, that the code of `process-runtime` has used so far. An ordering is
/// listed with file, line, column and the part of the operation that it is for.
pub(crate) fn sites() -> Vec<String> {
    SITES.lock().unwrap().iter().cloned().collect()
}

/// Returns the ordering to use at this place: `Relaxed` if [`WEAKENED`] names this ordering, otherwise `order`.
/// `part` is the part of the operation that the ordering is for, for example `success`.
fn at(place: &Location<'_>, part: &str, order: Ordering) -> Ordering {
    if order == Ordering::Relaxed || !place.file().contains("process-runtime") || (WEAK.is_none() && !*LISTS)
    {
        return order;
    }
    let site = format!("{}:{}:{}:{part}:{order:?}", place.file(), place.line(), place.column());
    if WEAK.as_ref() == Some(&site) {
        return Ordering::Relaxed;
    }
    if *LISTS {
        SITES.lock().unwrap().insert(site);
    }
    order
}

macro_rules! atomics {
    ($($name:ident$(<$parameter:ident>)?: $value:ty,)*) => {$(
        /// The type of loom with this name, together with an allocation that loom tracks. Because of the allocation,
        /// loom reports a value that is leaked, or that is used after it was dropped.
        #[derive(Debug)]
        pub(crate) struct $name$(<$parameter>)? {
            atomic: loom::sync::atomic::$name$(<$parameter>)?,
            _alive: loom::alloc::Track<()>,
        }

        impl$(<$parameter>)? $name$(<$parameter>)? {
            pub(crate) fn new(value: $value) -> Self {
                $name { atomic: loom::sync::atomic::$name::new(value), _alive: loom::alloc::Track::new(()) }
            }

            #[track_caller]
            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.atomic.load(at(Location::caller(), "load", order))
            }

            #[track_caller]
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                self.atomic.store(value, at(Location::caller(), "store", order));
            }

            #[track_caller]
            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                self.atomic.swap(value, at(Location::caller(), "swap", order))
            }

            #[track_caller]
            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                let (success, failure) = either(Location::caller(), success, failure);
                self.atomic.compare_exchange(current, new, success, failure)
            }

            #[track_caller]
            pub(crate) fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                let (success, failure) = either(Location::caller(), success, failure);
                self.atomic.compare_exchange_weak(current, new, success, failure)
            }

            #[track_caller]
            pub(crate) fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                f: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let (success, failure) = either(Location::caller(), success, failure);
                self.atomic.fetch_update(success, failure, f)
            }
        }
    )*};
}

fn either(place: &Location<'_>, success: Ordering, failure: Ordering) -> (Ordering, Ordering) {
    (at(place, "success", success), at(place, "failure", failure))
}

atomics! {
    AtomicPtr<T>: *mut T,
    AtomicU32: u32,
    AtomicU64: u64,
    AtomicUsize: usize,
}

macro_rules! counters {
    ($($name:ident: $value:ty,)*) => {$(
        impl $name {
            #[track_caller]
            pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                self.atomic.fetch_add(value, at(Location::caller(), "add", order))
            }

            #[track_caller]
            pub(crate) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                self.atomic.fetch_sub(value, at(Location::caller(), "sub", order))
            }

            #[track_caller]
            pub(crate) fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                self.atomic.fetch_max(value, at(Location::caller(), "max", order))
            }

            #[track_caller]
            pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                self.atomic.fetch_or(value, at(Location::caller(), "or", order))
            }
        }
    )*};
}

counters! {
    AtomicU32: u32,
    AtomicU64: u64,
    AtomicUsize: usize,
}

/// Declares statics. Every schedule starts with new values.
macro_rules! statics {
    ($(static $name:ident: $type:ty = $value:expr;)*) => {
        loom::lazy_static! {
            $(static ref $name: $type = $value;)*
        }
    };
}
pub(crate) use statics;

/// Declares a constructor that is not `const`, because loom's atomics have no `const` constructors.
macro_rules! constructor {
    ($($function:tt)*) => {
        $($function)*
    };
}
pub(crate) use constructor;

/// Declares thread-local values. Each of loom's threads has its own values, although all of them run on one thread of
/// the system.
macro_rules! locals {
    ($(static $name:ident: $type:ty = const { $value:expr };)*) => {$(
        static $name: $crate::base::sync::LocalKey<$type> = $crate::base::sync::LocalKey::new(|| $value);
    )*};
}
pub(crate) use locals as thread_local;

/// A key of thread-local values that live as long as those of std. A value with a destructor is dropped before its
/// thread can be joined, and a value without a destructor exists until the thread is joined. loom's own thread-local
/// values end only after the join, which is too late for a check that continues after the join.
#[derive(Debug)]
pub(crate) struct LocalKey<T: 'static> {
    value: fn() -> T,
}

#[derive(Default)]
struct Locals {
    values: Vec<(usize, Rc<dyn Any>)>,
    destructors: Vec<usize>,
    is_ending: bool,
}

loom::thread_local! {
    static LOCALS: RefCell<Locals> = RefCell::default();
}

/// The error of an access to a value that has been dropped.
#[derive(Debug)]
pub(crate) struct AccessError;

impl<T: 'static> LocalKey<T> {
    pub(crate) const fn new(value: fn() -> T) -> LocalKey<T> {
        LocalKey { value }
    }

    pub(crate) fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let key = std::ptr::from_ref(self).addr();
        let value = LOCALS.with(|locals| {
            let mut locals = locals.borrow_mut();
            if let Some((_, value)) = locals.values.iter().find(|(known, _)| *known == key) {
                return Some(Rc::clone(value));
            }
            if std::mem::needs_drop::<T>() {
                if locals.is_ending {
                    return None;
                }
                locals.destructors.push(key);
            }
            let value: Rc<dyn Any> = Rc::new((self.value)());
            locals.values.push((key, Rc::clone(&value)));
            Some(value)
        });
        let value = value.ok_or(AccessError)?;
        Ok(f(value.downcast_ref().expect("the key's own type")))
    }
}

impl<T: Copy + 'static> LocalKey<Cell<T>> {
    pub(crate) fn get(&'static self) -> T {
        self.try_with(Cell::get).expect("a value without a destructor")
    }

    pub(crate) fn set(&'static self, value: T) {
        self.replace(value);
    }

    pub(crate) fn replace(&'static self, value: T) -> T {
        self.try_with(|cell| cell.replace(value)).expect("a value without a destructor")
    }
}

/// Starts a thread that drops its thread-local values before it can be joined.
pub(crate) fn spawn<R: 'static>(f: impl FnOnce() -> R + 'static) -> loom::thread::JoinHandle<R> {
    loom::thread::spawn(|| {
        let result = f();
        end_thread();
        result
    })
}

/// Drops the thread-local values of this thread that have a destructor.
pub(crate) fn end_thread() {
    let ended = LOCALS.with(|locals| {
        let mut locals = locals.borrow_mut();
        locals.is_ending = true;
        let destructors = std::mem::take(&mut locals.destructors);
        let (ended, rest): (Vec<_>, _) =
            std::mem::take(&mut locals.values).into_iter().partition(|(key, _)| destructors.contains(key));
        locals.values = rest;
        ended
    });
    drop(ended);
}

/// Forgets the thread-local values of this thread without running their destructors. What they hold, for example a
/// lane, is never given back.
pub(crate) fn abandon_thread() {
    LOCALS.with(|locals| std::mem::forget(std::mem::take(&mut locals.borrow_mut().values)));
}
