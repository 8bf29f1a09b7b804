//! Finds out whether an instrumented function returns a `Result`, so that a test can inject an error as its return
//! value. Planning faults does not belong here.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use crate::run::inject;

/// Registers how a function with the return type `$returned` can return an injected error. Does nothing for
/// types other than a `Result` and a boxed future of a `Result`. The future may be `Send`, but not `Sync`.
#[doc(hidden)]
#[macro_export]
macro_rules! __returns {
    ($returned:ty) => {{
        use $crate::__private::injectable::ReturnsOther as _;
        (&$crate::__private::injectable::Returned::<$returned>::NEW).__process_returns();
    }};
}

/// The return type of an annotated function.
#[derive(Debug)]
pub struct Returned<R: ?Sized>(PhantomData<fn() -> Box<R>>);

impl<R: ?Sized> Returned<R> {
    /// The only value of this type.
    pub const NEW: Self = Returned(PhantomData);
}

impl<T, E> Returned<Result<T, E>> {
    /// Registers how to return an error as this `Result`.
    pub fn __process_returns(&self) {
        inject::learn::<T, E>();
    }
}

impl<'a, T, E> Returned<Pin<Box<dyn Future<Output = Result<T, E>> + 'a>>> {
    /// Registers how to return an error from a boxed future of this `Result`.
    pub fn __process_returns(&self) {
        inject::learn::<T, E>();
    }
}

impl<'a, T, E> Returned<Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>> {
    /// Registers how to return an error from a boxed future of this `Result`.
    pub fn __process_returns(&self) {
        inject::learn::<T, E>();
    }
}

/// The rung for return types into which an error cannot be injected.
pub trait ReturnsOther {
    /// Does nothing.
    fn __process_returns(&self) {}
}

impl<R: ?Sized> ReturnsOther for &Returned<R> {}
