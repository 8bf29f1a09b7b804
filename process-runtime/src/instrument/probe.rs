//! Decisions on types, which the compiler makes in the expansion. Examples are whether a return type is a `Result`,
//! whether an error implements `Error`, and whether a value can be recorded. Each decision is a ladder of traits for
//! one wrapper type. Each rung of the ladder implements its trait for the wrapper behind a different number of
//! references. Method lookup takes the first rung whose bounds hold ("autoref specialization"). So an alias of
//! `Result` and `anyhow::Result` are treated as `Result`, and a user's own type with the name `Result` is not.
//! Running a body does not belong here (`kinds`).

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use crate::instrument::kinds::{Boxed, BoxedLocal, BoxedSync, Plain};
use crate::run::context::{ContextValue, Value};
use crate::run::ending::{Ending, ErrorRef, RunError};

/// A return value that may be a `Result`.
#[derive(Debug)]
pub struct Return<'a, R: ?Sized>(pub &'a R);

/// The error type of a return value that is not a `Result`.
#[derive(Debug)]
pub enum NotAResult {}

impl<'a, T, E> Return<'a, Result<T, E>> {
    /// Returns the value or the error.
    #[inline]
    pub fn __process_split(&self) -> Result<&'a T, &'a E> {
        self.0.as_ref()
    }
}

/// The rung for every type that is not a `Result`.
pub trait SplitOther<'a, R: ?Sized> {
    /// Returns the value.
    fn __process_split(&self) -> Result<&'a R, &'a NotAResult>;
}

impl<'a, R: ?Sized> SplitOther<'a, R> for Return<'a, R> {
    #[inline]
    fn __process_split(&self) -> Result<&'a R, &'a NotAResult> {
        Ok(self.0)
    }
}

/// A return value whose type decides the outcome. The decision takes a single method lookup, because the compiler
/// repeats it in every annotated function.
#[derive(Debug)]
pub struct Judge<'a, R: ?Sized>(pub &'a R);

/// Decides how a run ended, by the type of a reference to its return value. The macro adds one reference more than
/// the highest rung has, because the method takes `&self`. It imports a single name instead of a whole module,
/// because the compiler would resolve each imported name in every annotated function.
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
    /// Returns the end of a run that returned this value.
    fn __process_verdict(&self) -> Ending<'a>;
}

/// The rung for every other type. The run is a success.
impl<'a, R: ?Sized> ByType<'a> for Judge<'a, R> {
    #[inline]
    fn __process_verdict(&self) -> Ending<'a> {
        Ending::success()
    }
}

/// The rung for a value with an HTTP status. The status decides the outcome.
#[cfg(feature = "axum")]
impl<'a, R: crate::instrument::http::HasStatus> ByType<'a> for &Judge<'a, R> {
    fn __process_verdict(&self) -> Ending<'a> {
        crate::instrument::http::judge(self.0.status())
    }
}

/// Defines two rungs for each kind of error: one for a `Result` with any value, and one for a `Result` whose value
/// has an HTTP status.
macro_rules! results {
    ($(
        $(#[$docs:meta])+
        [$($bounds:tt)*] at [$($plain:tt)*], beside a status at [$($status:tt)*]:
            |$error:ident| $ending:expr;
    )+) => {$(
        // `E` has no bound `'static`. Method lookup ignores lifetimes, so it would take such a rung for a borrowing
        // error too, and compilation would then fail.
        $(#[$docs])+
        impl<'a, 'e: 'a, T, E: 'a + $($bounds)*> ByType<'a> for $($plain)* Judge<'a, Result<T, E>> {
            #[inline]
            fn __process_verdict(&self) -> Ending<'a> {
                // Not inlined, so that functions with the same return type share the code.
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
    /// An error that implements `std::error::Error`.
    [Error] at [&&&&&&&&], beside a status at [&&&&&&&&&&&&&&&]:
        |error| failed::<E>(ErrorRef::Chain(error));
    /// A box or report around an error that is `Send` and `Sync` (`anyhow::Error`, `Box<dyn Error + Send + Sync>`).
    [AsRef<dyn Error + Send + Sync + 'e>] at [&&&&&&&], beside a status at [&&&&&&&&&&&&&&]:
        |error| failed::<E>(ErrorRef::Chain(error.as_ref()));
    /// A box around an error that is `Send` but not `Sync`.
    [AsRef<dyn Error + Send + 'e>] at [&&&&&&], beside a status at [&&&&&&&&&&&&&]:
        |error| failed::<E>(ErrorRef::Chain(error.as_ref()));
    /// A box around an error that is not `Send`.
    [AsRef<dyn Error + 'e>] at [&&&&&], beside a status at [&&&&&&&&&&&&]:
        |error| failed::<E>(ErrorRef::Chain(error.as_ref()));
    /// An error with an HTTP status.
    #[cfg(feature = "axum")]
    [crate::instrument::http::HasStatus] at [&&&&], beside a status at [&&&&&&&&&&&]:
        |error| crate::instrument::http::judge_error(error.status());
    /// An error that implements `Display`, and none of the traits above.
    [fmt::Display] at [&&&], beside a status at [&&&&&&&&&&]:
        |error| failed::<E>(ErrorRef::Text(error));
    /// An error that implements none of these traits.
    [] at [&&], beside a status at [&&&&&&&&&]:
        |_error| failed::<E>(ErrorRef::Opaque);
}

fn failed<E>(error: ErrorRef<'_>) -> Ending<'_> {
    Ending::error(RunError::of::<E>(error))
}

/// Returns the `error.type` of an error, which the function in `error_type = path` returns.
pub fn error_type<E: ?Sized>(error: &E, path: impl FnOnce(&E) -> &'static str) -> &'static str {
    path(error)
}

/// An error whose chain `rejects(as Type: …)` searches.
#[derive(Debug)]
pub struct Search<'a, E: ?Sized>(pub &'a E);

macro_rules! search {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub trait $name<'a> {
            /// Returns the first error of type `T` in the chain, or `None` if there is none.
            fn __process_find<T: Error + 'static>(&self) -> Option<&'a T>;
        }
    };
}

search!(
    /// Searches a box or report around an error that is `Send` and `Sync`.
    SearchReport
);
search!(
    /// Searches a box around an error that is `Send` but not `Sync`.
    SearchSendBox
);
search!(
    /// Searches a box around an error that is not `Send`.
    SearchBox
);
search!(
    /// Searches an error that implements `Error`.
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

/// The rung for every other type. It fails to compile with the message of [`Chained`], which says what to write
/// instead.
pub trait SearchRefused<'a, E: ?Sized>: Sized {
    /// Fails to compile.
    fn __process_find<T>(self) -> Option<&'a T>
    where
        E: Chained,
    {
        None
    }
}

impl<'a, E: ?Sized> SearchRefused<'a, E> for Search<'a, E> {}

/// A trait that no type implements. A bound on it makes the compiler report that an error has no chain to search.
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
    /// The value for this type.
    pub const NEW: Self = Kind(PhantomData);
}

impl<'a, T> Kind<Pin<Box<dyn Future<Output = T> + 'a>>> {
    /// Returns the kind of a boxed future that is not `Send`.
    pub fn __process_kind(&self, _same: &Self) -> BoxedLocal {
        BoxedLocal
    }
}

impl<'a, T> Kind<Pin<Box<dyn Future<Output = T> + Send + 'a>>> {
    /// Returns the kind of a boxed future that is `Send`.
    pub fn __process_kind(&self, _same: &Self) -> Boxed {
        Boxed
    }
}

impl<'a, T> Kind<Pin<Box<dyn Future<Output = T> + Send + Sync + 'a>>> {
    /// Returns the kind of a boxed future that is `Send` and `Sync`.
    pub fn __process_kind(&self, _same: &Self) -> BoxedSync {
        BoxedSync
    }
}

/// The rung for every other type. The run is the call of the function.
pub trait KindOther<R> {
    /// Returns the kind of a function that returns a value.
    fn __process_kind(&self, _same: &Kind<R>) -> Plain;
}

impl<R> KindOther<R> for &Kind<R> {
    fn __process_kind(&self, _same: &Kind<R>) -> Plain {
        Plain
    }
}

/// The rung for futures that are not boxed trait objects. It rejects them, because their runs cannot be measured. An
/// expansion imports this rung unless the attribute has `outcome = path`.
pub mod by_type_alone {
    use super::{Future, Kind, MeasuredFuture, Plain};

    /// The rung for a future of another type. It fails to compile with the message of [`MeasuredFuture`], which says
    /// what to write instead.
    pub trait KindFuture<R> {
        /// Fails to compile.
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

/// A trait that no type implements. A bound on it makes the compiler report that the run of a future cannot be
/// measured.
#[diagnostic::on_unimplemented(
    message = "the run would end before the future that the function returns has run",
    label = "the run of a `{Self}` cannot be measured",
    note = "make the function `async`, or return `impl Future<Output = T>` or `Pin<Box<dyn Future<Output = T> + Send>>`",
    note = "if the call alone is the run, decide how it ended with `outcome = path`, the path of a function `fn(&R) -> Verdict`"
)]
pub trait MeasuredFuture {}

/// Expands to nothing, because without the feature `testing` no fault is injected.
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

/// The way to record a [`ContextValue`].
#[derive(Debug)]
pub struct AsIs;
/// The way to record a value with `Display`.
#[derive(Debug)]
pub struct AsText;
/// The way to record an `Option` of a value with `Display`.
#[derive(Debug)]
pub struct AsOptionalText;

/// The rung for a [`ContextValue`].
pub trait CaptureAsIs {
    /// Returns the way to record the value.
    fn __process_capture(&self) -> AsIs {
        AsIs
    }
}

impl<T: ContextValue + ?Sized> CaptureAsIs for &&CaptureKind<'_, T> {}

/// The rung for a value with `Display`.
pub trait CaptureAsText {
    /// Returns the way to record the value.
    fn __process_capture(&self) -> AsText {
        AsText
    }
}

impl<T: fmt::Display + ?Sized> CaptureAsText for &CaptureKind<'_, T> {}

/// The rung for an `Option` of a value with `Display`.
pub trait CaptureAsOptionalText {
    /// Returns the way to record the value.
    fn __process_capture(&self) -> AsOptionalText {
        AsOptionalText
    }
}

impl<T: fmt::Display> CaptureAsOptionalText for CaptureKind<'_, Option<T>> {}

/// The rung for every other type. It fails to compile with the message of [`ContextValue`], which says what to write
/// instead.
pub trait CaptureRefused: Sized {
    /// Returns a way to record the value. Recording it in this way fails to compile.
    fn __process_capture(self) -> AsIs {
        AsIs
    }
}

impl<T: ?Sized> CaptureRefused for CaptureKind<'_, T> {}

impl AsIs {
    /// Returns the value to record.
    pub fn __process_value<T: ContextValue + ?Sized>(self, value: &T) -> Option<Value> {
        value.to_value()
    }
}

impl AsText {
    /// Returns the text to record.
    pub fn __process_value<T: fmt::Display + ?Sized>(self, value: &T) -> Option<Value> {
        display(value)
    }
}

impl AsOptionalText {
    /// Returns the text to record, or `None` if there is no value.
    pub fn __process_value<T: fmt::Display>(self, value: &Option<T>) -> Option<Value> {
        display(value.as_ref()?)
    }
}

/// Returns the text that `%value` records.
pub fn display<T: fmt::Display + ?Sized>(value: &T) -> Option<Value> {
    Some(Value::Text(value.to_string().into()))
}

/// Returns the text that `?value` records.
pub fn debug<T: fmt::Debug + ?Sized>(value: &T) -> Option<Value> {
    Some(Value::Text(format!("{value:?}").into()))
}
