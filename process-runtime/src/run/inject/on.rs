//! Fault injection in a program with the feature `testing`. This module has the storage that keeps the fault of a run
//! between polls, and the code that writes the error that a fault returns instead of the body's value. The kinds of
//! faults, and the plan of a test, do not belong here.

use std::any::{Any, TypeId, type_name};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{MaybeUninit, replace};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::task::{Context, Poll};

use crate::base::lock::{lock, read, write};

/// Whether this program can inject faults.
pub(crate) const IS_POSSIBLE: bool = true;

/// The maximum time that a test can add to a run: a century. It is in nanoseconds, because these are the ticks of a
/// test's clock.
const MOST_ADDED: u64 = 100 * 365 * 24 * 3600 * 1_000_000_000;

/// The decision of a fault before one poll or call of the body.
pub(crate) enum Instead {
    /// The body runs.
    Body,
    /// The poll is pending, and the body does not run.
    Pending,
    /// The poll or call returns the value that the fault wrote to the [`Slot`], and the body does not run.
    Value,
}

/// A fault that decides the polls or the call of the body of one run.
pub(crate) trait Injection: fmt::Debug + Send {
    /// Decides what happens instead of one poll of the body. Called before each poll.
    fn poll(&mut self, value: &mut Slot, cx: &mut Context<'_>) -> Instead;

    /// Decides what happens instead of the call of the body. Called before the call.
    fn call(&mut self, value: &mut Slot) -> Instead;
}

/// A fault that is planned for a run.
#[derive(Debug)]
pub(crate) struct Injected(pub(crate) Box<dyn Injection>);

impl Injected {
    /// Lets the fault decide a poll. Returns the result of the poll; `None` if the body must be polled.
    pub(crate) fn poll<R>(&mut self, cx: &mut Context<'_>) -> Option<Poll<R>> {
        let mut room = MaybeUninit::uninit();
        let mut slot = Slot::of(&mut room);
        let instead = self.0.poll(&mut slot, cx);
        match instead {
            Instead::Pending => Some(Poll::Pending),
            _ => slot.is_written.then(|| {
                // SAFETY: `Slot::write_error` has written an `R`.
                Poll::Ready(unsafe { room.assume_init() })
            }),
        }
    }

    /// Lets the fault decide a call. Returns the value of the call; `None` if the body must be called.
    pub(crate) fn call<R>(&mut self) -> Option<R> {
        let mut room = MaybeUninit::uninit();
        let mut slot = Slot::of(&mut room);
        self.0.call(&mut slot);
        slot.is_written.then(|| {
            // SAFETY: `Slot::write_error` has written an `R`.
            unsafe { room.assume_init() }
        })
    }
}

/// The storage in which the fault of a run is kept between polls. It is part of `Observed`, the data of an observed
/// run. The run itself and the futures that contain it are therefore not larger than without `testing`.
#[derive(Debug, Default)]
pub(crate) struct Boundary {
    waiting: Mutex<Option<Injected>>,
    /// The ticks that a test added to the duration of the run.
    added: AtomicU64,
}

impl Boundary {
    pub(crate) fn take(&self) -> Option<Injected> {
        lock(&self.waiting).take()
    }

    pub(crate) fn put(&self, injected: Option<Injected>) {
        // The old fault is dropped without the lock, because it may contain code of the test.
        let old = replace(&mut *lock(&self.waiting), injected);
        drop(old);
    }

    /// Returns the ticks that a test added to the duration of the run.
    pub(crate) fn added(&self) -> u64 {
        self.added.load(Ordering::Relaxed)
    }

    /// Adds ticks to the duration of the run. The sum is at most [`MOST_ADDED`].
    pub(crate) fn delay(&self, ticks: u64) {
        let longer = |added: u64| Some(added.saturating_add(ticks).min(MOST_ADDED));
        let _ = self.added.fetch_update(Ordering::Relaxed, Ordering::Relaxed, longer);
    }

    pub(crate) fn clear(&mut self) {
        *self = Boundary::default();
    }
}

/// The memory to which a fault writes the value that the run returns instead of the body's value.
pub(crate) struct Slot {
    returned: TypeId,
    returned_name: &'static str,
    room: *mut (),
    is_written: bool,
}

/// The reason why a fault cannot return an error from a run.
pub(crate) enum NotReturned {
    /// The attribute cannot recognise that the function returns a `Result`.
    NoResult,
    /// The compiler does not print the lifetimes in the names of types.
    LifetimesUnknown,
    /// The error may hold borrows.
    HoldsBorrows,
    /// The function returns errors of another type.
    OtherType,
}

impl Slot {
    fn of<R>(room: &mut MaybeUninit<R>) -> Slot {
        Slot {
            returned: typeid::of::<R>(),
            returned_name: type_name::<R>(),
            room: room.as_mut_ptr().cast(),
            is_written: false,
        }
    }

    /// Returns the name of the function's return type.
    pub(crate) fn returned_name(&self) -> &'static str {
        self.returned_name
    }

    /// Writes `Err(make())` as the value that the run returns. `make` must return a box with a value of the type
    /// `error`.
    ///
    /// # Errors
    /// Returns the reason if the function cannot return such an error.
    pub(crate) fn write_error(
        &mut self,
        error: TypeId,
        make: &dyn Fn() -> Box<dyn Any>,
    ) -> Result<(), NotReturned> {
        let known = read(&KNOWN).get(&self.returned).copied().ok_or(NotReturned::NoResult)?;
        if !lifetimes_are_named() {
            return Err(NotReturned::LifetimesUnknown);
        }
        if may_hold_lifetimes(known.error, known.error_name) {
            return Err(NotReturned::HoldsBorrows);
        }
        if known.error != error {
            return Err(NotReturned::OtherType);
        }
        // SAFETY: `room` is memory for the `Result` type for which `learn` stored `write`, and `error` is the error
        // type of this `Result`.
        unsafe { (known.write)(make(), self.room) };
        self.is_written = true;
        Ok(())
    }
}

/// The error type of a `Result` that runs return, and the function that writes such a `Result`.
///
/// Types are compared without their lifetimes, which do not exist at run time. An error that a test makes has a
/// `'static` type, but the error type of the function may have shorter lifetimes. An error type with lifetimes is
/// therefore refused (`may_hold_lifetimes`). If the compiler does not print lifetimes, every error type is refused
/// (`lifetimes_are_named`).
#[derive(Clone, Copy)]
struct Known {
    error: TypeId,
    error_name: &'static str,
    write: unsafe fn(Box<dyn Any>, *mut ()),
}

/// The `Result` types that [`learn`] has recorded, by the id of the type.
static KNOWN: RwLock<BTreeMap<TypeId, Known>> = RwLock::new(BTreeMap::new());

/// Records `Result<T, E>` as a type that runs return. A fault looks up the entry by the return type, so a run does
/// not store the entry.
pub(crate) fn learn<T, E>() {
    let returned = typeid::of::<Result<T, E>>();
    if read(&KNOWN).contains_key(&returned) {
        return;
    }
    let known = Known { error: typeid::of::<E>(), error_name: type_name::<E>(), write: write_error::<T, E> };
    write(&KNOWN).insert(returned, known);
}

/// Returns whether a type may hold or accept borrows with a lifetime, judged by its name. The compiler prints the
/// lifetimes of a struct, a trait or a function as `'_`. It prints no lifetime of a reference (`&`), no bound of a
/// trait object (`dyn `), and no lifetime of a closure or async block (`{{closure}}`). Function pointers (`fn(`) may
/// accept borrows.
///
/// `&str` and the usual boxed errors are allowed. A test writes a `&'static str` or a box without borrows, and both
/// are valid for any lifetime, because these types are covariant.
fn may_hold_lifetimes(error: TypeId, name: &str) -> bool {
    let covariant = [
        typeid::of::<&str>(),
        typeid::of::<Box<dyn Error>>(),
        typeid::of::<Box<dyn Error + Send>>(),
        typeid::of::<Box<dyn Error + Send + Sync>>(),
        typeid::of::<Rc<dyn Error>>(),
        typeid::of::<Arc<dyn Error>>(),
        typeid::of::<Arc<dyn Error + Send + Sync>>(),
    ];
    !covariant.contains(&error) && ["'", "&", "fn(", "dyn ", "{"].iter().any(|mark| name.contains(mark))
}

/// Returns whether this compiler prints the lifetimes in the names of types. The compiler of Rust 1.89 does not.
fn lifetimes_are_named() -> bool {
    struct Borrows<'a>(PhantomData<&'a ()>);
    type_name::<Borrows<'static>>().contains('\'')
}

/// Writes `Err(error)`.
///
/// # Safety
/// `error` must hold a value of type `E`, in which only the lifetimes may differ. `to` must have room for a
/// `Result<T, E>`.
unsafe fn write_error<T, E>(error: Box<dyn Any>, to: *mut ()) {
    // SAFETY: `error` holds an `E`, as the caller guarantees. `Slot::write_error` has refused every error type whose
    // lifetimes could differ.
    let error = unsafe { Box::from_raw(Box::into_raw(error).cast::<E>()) };
    // SAFETY: `to` has room for a `Result<T, E>`, as the caller guarantees.
    unsafe { to.cast::<Result<T, E>>().write(Err(*error)) };
}
