//! Decisions on types, made where the expansion knows them: is this return a `Result`, is this error an
//! `Error`, can this value be recorded? Each is a ladder of traits on one wrapper behind a different number
//! of references; method lookup takes the first rung whose bounds hold ("autoref specialization"), so an
//! alias, `anyhow::Result` and a plain `Result` are the same, and a user's type of that name is not.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use crate::instrument::kinds::{Boxed, BoxedLocal, BoxedSync, Plain};
use crate::run::context::{ContextValue, Value};
use crate::run::ending::{Ending, ErrorRef, RunError};

/// A return value.
#[derive(Debug)]
pub struct Return<'a, R: ?Sized>(pub &'a R);

/// The error of what is no `Result`.
#[derive(Debug)]
pub enum NotAResult {}

impl<'a, T, E> Return<'a, Result<T, E>> {
    /// The value or the error.
    #[inline]
    pub fn __process_split(&self) -> Result<&'a T, &'a E> {
        self.0.as_ref()
    }
}

/// Everything else is a value.
pub trait SplitOther<'a, R: ?Sized> {
    /// The value.
    fn __process_split(&self) -> Result<&'a R, &'a NotAResult>;
}

impl<'a, R: ?Sized> SplitOther<'a, R> for Return<'a, R> {
    #[inline]
    fn __process_split(&self) -> Result<&'a R, &'a NotAResult> {
        Ok(self.0)
    }
}

/// What was returned, to be judged by its type: in one lookup, since every annotated function pays for it.
#[derive(Debug)]
pub struct Judge<'a, R: ?Sized>(pub &'a R);

/// How a run ends that returned this reference: one more reference than the highest rung has. One name is
/// imported, and not a module: each name would be resolved in every annotated function.
#[doc(hidden)]
#[macro_export]
macro_rules! __by_type {
    ($returned:expr) => {{
        use $crate::__private::probe::ByType as _;
        (&&&&&&&&&&&&&&&&$crate::__private::Judge($returned)).__process_verdict()
    }};
}

/// Decides by the type of a return value how the run ended.
pub trait ByType<'a> {
    /// The end of a run that returned it.
    fn __process_verdict(&self) -> Ending<'a>;
}

/// Anything else is a success.
impl<'a, R: ?Sized> ByType<'a> for Judge<'a, R> {
    #[inline]
    fn __process_verdict(&self) -> Ending<'a> {
        Ending::success()
    }
}

/// A value with an HTTP status is judged by it.
#[cfg(feature = "axum")]
impl<'a, R: crate::instrument::http::HasStatus> ByType<'a> for &Judge<'a, R> {
    fn __process_verdict(&self) -> Ending<'a> {
        crate::instrument::http::judge(self.0.status())
    }
}

/// The rungs of a kind of error: beside any value, and beside one with an HTTP status.
macro_rules! results {
    ($(
        $(#[$docs:meta])+
        [$($bounds:tt)*] at [$($plain:tt)*], beside a status at [$($status:tt)*]:
            |$error:ident| $ending:expr;
    )+) => {$(
        // Not `'static`: method lookup does not see lifetimes, so a rung is taken for borrowed errors too.
        $(#[$docs])+
        impl<'a, 'e: 'a, T, E: 'a + $($bounds)*> ByType<'a> for $($plain)* Judge<'a, Result<T, E>> {
            #[inline]
            fn __process_verdict(&self) -> Ending<'a> {
                // Out of line: functions that return the same type share it.
                #[inline(never)]
                fn judge<'a, 'e: 'a, T, E: 'a + $($bounds)*>(returned: &'a Result<T, E>) -> Ending<'a> {
                    returned.as_ref().map_or_else(|$error| $ending, |_| Ending::success())
                }
                judge(self.0)
            }
        }

        #[cfg(feature = "axum")]
        impl<'a, 'e: 'a, T: crate::instrument::http::HasStatus, E: 'a + $($bounds)*> ByType<'a>
            for $($status)* Judge<'a, Result<T, E>>
        {
            fn __process_verdict(&self) -> Ending<'a> {
                self.0.as_ref().map_or_else(|$error| $ending, |value| crate::instrument::http::judge(value.status()))
            }
        }
    )+};
}

results! {
    /// An error of the standard trait.
    [Error] at [&&&&&&&&], beside a status at [&&&&&&&&&&&&&&&]:
        |error| failed::<E>(ErrorRef::Chain(error));
    /// A box or report around an error that can cross threads (`anyhow::Error`, `Box<dyn Error + Send + Sync>`).
    [AsRef<dyn Error + Send + Sync + 'e>] at [&&&&&&&], beside a status at [&&&&&&&&&&&&&&]:
        |error| failed::<E>(ErrorRef::Chain(error.as_ref()));
    /// A box around an error that can only be sent.
    [AsRef<dyn Error + Send + 'e>] at [&&&&&&], beside a status at [&&&&&&&&&&&&&]:
        |error| failed::<E>(ErrorRef::Chain(error.as_ref()));
    /// A box around an error that stays on its thread.
    [AsRef<dyn Error + 'e>] at [&&&&&], beside a status at [&&&&&&&&&&&&]:
        |error| failed::<E>(ErrorRef::Chain(error.as_ref()));
    /// An error with an HTTP status.
    #[cfg(feature = "axum")]
    [crate::instrument::http::HasStatus] at [&&&&], beside a status at [&&&&&&&&&&&]:
        |error| crate::instrument::http::judge_error(error.status());
    /// An error with nothing but a text.
    [fmt::Display] at [&&&], beside a status at [&&&&&&&&&&]:
        |error| failed::<E>(ErrorRef::Text(error));
    /// An error of which nothing is known.
    [] at [&&], beside a status at [&&&&&&&&&]:
        |_error| failed::<E>(ErrorRef::Opaque);
}

fn failed<E>(error: ErrorRef<'_>) -> Ending<'_> {
    Ending::error(RunError::of::<E>(error))
}

/// What `error_type = path` calls an error.
pub fn error_type<E: ?Sized>(error: &E, path: impl FnOnce(&E) -> &'static str) -> &'static str {
    path(error)
}

/// An error in whose chain `rejects(as Type: …)` searches.
#[derive(Debug)]
pub struct Search<'a, E: ?Sized>(pub &'a E);

macro_rules! search {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub trait $name<'a> {
            /// The first error of type `T` in the chain.
            fn __process_find<T: Error + 'static>(&self) -> Option<&'a T>;
        }
    };
}

search!(
    /// In a box or report around an error that can cross threads.
    SearchReport
);
search!(
    /// In a box around an error that can only be sent.
    SearchSendBox
);
search!(
    /// In a box around an error that stays on its thread.
    SearchBox
);
search!(
    /// In an error of the standard trait.
    SearchError
);

impl<'a, E: AsRef<dyn Error + Send + Sync>> SearchReport<'a> for &&&Search<'a, E> {
    fn __process_find<T: Error + 'static>(&self) -> Option<&'a T> {
        find_in_chain(self.0.as_ref())
    }
}

impl<'a, E: AsRef<dyn Error + Send>> SearchSendBox<'a> for &&Search<'a, E> {
    fn __process_find<T: Error + 'static>(&self) -> Option<&'a T> {
        find_in_chain(self.0.as_ref())
    }
}

impl<'a, E: AsRef<dyn Error>> SearchBox<'a> for &Search<'a, E> {
    fn __process_find<T: Error + 'static>(&self) -> Option<&'a T> {
        find_in_chain(self.0.as_ref())
    }
}

impl<'a, E: Error + 'static> SearchError<'a> for Search<'a, E> {
    fn __process_find<T: Error + 'static>(&self) -> Option<&'a T> {
        find_in_chain(self.0)
    }
}

/// Anything else: the error is then about [`Chained`], which says what to do.
pub trait SearchRefused<'a, E: ?Sized>: Sized {
    /// In nothing, which fails.
    fn __process_find<T>(self) -> Option<&'a T>
    where
        E: Chained,
    {
        None
    }
}

impl<'a, E: ?Sized> SearchRefused<'a, E> for Search<'a, E> {}

/// An error in whose chain can be searched.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no error chain to search",
    label = "`rejects(as …)` can search errors, boxed errors and `anyhow::Error`",
    note = "write the pattern without `as`, or implement `std::error::Error` for `{Self}`"
)]
pub trait Chained {}

fn find_in_chain<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The return type of a plain function.
#[derive(Debug)]
pub struct Kind<R>(PhantomData<fn() -> R>);

impl<R> Kind<R> {
    /// Of this type.
    pub const NEW: Self = Kind(PhantomData);
}

impl<'a, T> Kind<Pin<Box<dyn Future<Output = T> + 'a>>> {
    /// A boxed future that stays on its thread.
    pub fn __process_kind(&self, _same: &Self) -> BoxedLocal {
        BoxedLocal
    }
}

impl<'a, T> Kind<Pin<Box<dyn Future<Output = T> + Send + 'a>>> {
    /// A boxed future.
    pub fn __process_kind(&self, _same: &Self) -> Boxed {
        Boxed
    }
}

impl<'a, T> Kind<Pin<Box<dyn Future<Output = T> + Send + Sync + 'a>>> {
    /// A boxed future that can be shared.
    pub fn __process_kind(&self, _same: &Self) -> BoxedSync {
        BoxedSync
    }
}

/// Everything else is a value.
pub trait KindOther<R> {
    /// A value.
    fn __process_kind(&self, _same: &Kind<R>) -> Plain;
}

impl<R> KindOther<R> for &Kind<R> {
    fn __process_kind(&self, _same: &Kind<R>) -> Plain {
        Plain
    }
}

/// The rung that is there where the type decides alone, which it cannot for a future of another type.
pub mod by_type_alone {
    use super::{Future, Kind, MeasuredFuture, Plain};

    /// Any other future: the error is then about [`MeasuredFuture`], which says what to do.
    pub trait KindFuture<R> {
        /// A value, which fails.
        fn __process_kind(&self, _same: &Kind<R>) -> Plain
        where
            R: MeasuredFuture;
    }

    impl<R: Future> KindFuture<R> for Kind<R> {
        fn __process_kind(&self, _same: &Kind<R>) -> Plain
        where
            R: MeasuredFuture,
        {
            Plain
        }
    }
}

/// A future that is a run when a function returns it.
#[diagnostic::on_unimplemented(
    message = "the run would end when the function returns this future, before the future has run",
    label = "`{Self}` is a future whose run cannot be measured",
    note = "make the function `async`, or return `impl Future<Output = T>` or `Pin<Box<dyn Future<Output = T> + Send>>`",
    note = "if the call alone is the run, decide how it ended with `outcome = path`, the path of a function `fn(&R) -> Verdict`"
)]
pub trait MeasuredFuture {}

/// Nothing: no fault is injected.
#[cfg(not(feature = "testing"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __returns {
    ($returned:ty) => {};
}

/// A value to record.
#[derive(Debug)]
pub struct CaptureKind<'a, T: ?Sized>(pub &'a T);

impl<T: ?Sized> Clone for CaptureKind<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for CaptureKind<'_, T> {}

/// Recorded as it is.
#[derive(Debug)]
pub struct AsIs;
/// Recorded as text.
#[derive(Debug)]
pub struct AsText;
/// Text that may be absent.
#[derive(Debug)]
pub struct AsOptionalText;

/// A value that can be recorded as it is.
pub trait CaptureAsIs {
    /// As it is.
    fn __process_capture(&self) -> AsIs {
        AsIs
    }
}

impl<T: ContextValue + ?Sized> CaptureAsIs for &&CaptureKind<'_, T> {}

/// A value with a text.
pub trait CaptureAsText {
    /// As text.
    fn __process_capture(&self) -> AsText {
        AsText
    }
}

impl<T: fmt::Display + ?Sized> CaptureAsText for &CaptureKind<'_, T> {}

/// An optional value with a text.
pub trait CaptureAsOptionalText {
    /// As text, if any.
    fn __process_capture(&self) -> AsOptionalText {
        AsOptionalText
    }
}

impl<T: fmt::Display> CaptureAsOptionalText for CaptureKind<'_, Option<T>> {}

/// Anything else: the error is then about [`ContextValue`], which says what to do.
pub trait CaptureRefused: Sized {
    /// As it is, which fails.
    fn __process_capture(self) -> AsIs {
        AsIs
    }
}

impl<T: ?Sized> CaptureRefused for CaptureKind<'_, T> {}

impl AsIs {
    /// The value.
    pub fn __process_value<T: ContextValue + ?Sized>(self, value: &T) -> Option<Value> {
        value.to_value()
    }
}

impl AsText {
    /// The text.
    pub fn __process_value<T: fmt::Display + ?Sized>(self, value: &T) -> Option<Value> {
        display(value)
    }
}

impl AsOptionalText {
    /// The text, if any.
    pub fn __process_value<T: fmt::Display>(self, value: &Option<T>) -> Option<Value> {
        display(value.as_ref()?)
    }
}

/// `%value`.
pub fn display<T: fmt::Display + ?Sized>(value: &T) -> Option<Value> {
    Some(Value::Text(value.to_string().into()))
}

/// `?value`.
pub fn debug<T: fmt::Debug + ?Sized>(value: &T) -> Option<Value> {
    Some(Value::Text(format!("{value:?}").into()))
}
