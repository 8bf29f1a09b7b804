//! What a boundary returns, so that a test can have an error returned there.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use crate::run::inject;

/// Makes known how an injected error is returned by what returns `$returned`.
#[doc(hidden)]
#[macro_export]
macro_rules! __returns {
    ($returned:ty) => {{
        use $crate::__private::returns::ReturnsOther as _;
        (&$crate::__private::returns::Returned::<$returned>::NEW).__process_returns();
    }};
}

/// The type of what a run returns.
#[derive(Debug)]
pub struct Returned<R: ?Sized>(PhantomData<fn() -> Box<R>>);

impl<R: ?Sized> Returned<R> {
    /// Of this type.
    pub const NEW: Self = Returned(PhantomData);
}

impl<T, E> Returned<Result<T, E>> {
    /// With errors.
    pub fn __process_returns(&self) {
        inject::learn::<T, E>();
    }
}

impl<'a, T, E> Returned<Pin<Box<dyn Future<Output = Result<T, E>> + 'a>>> {
    /// In a future, with errors.
    pub fn __process_returns(&self) {
        inject::learn::<T, E>();
    }
}

impl<'a, T, E> Returned<Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>> {
    /// In a future, with errors.
    pub fn __process_returns(&self) {
        inject::learn::<T, E>();
    }
}

/// Anything else returns no error.
pub trait ReturnsOther {
    /// Without errors.
    fn __process_returns(&self) {}
}

impl<R: ?Sized> ReturnsOther for &Returned<R> {}
