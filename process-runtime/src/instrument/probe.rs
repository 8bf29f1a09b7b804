//! Decisions that depend on types. The compiler makes them in the expansion. The main decision is with which outcome a
//! return value ends its run. Others are whether an error implements `Error`, and whether a value can be recorded.
//!
//! Each decision is a ladder of traits for one wrapper type. Each rung of the ladder is a trait that is implemented
//! for the wrapper behind a different number of references. Method lookup starts with the most references and takes
//! the first rung whose bounds hold ("autoref specialization"). It compares types and not names. An alias of `Result`,
//! such as `anyhow::Result`, is therefore treated as a `Result`, and a user's own type with the name `Result` is not.
//! Running a body does not belong here (`execution`; for functions that are not async, `kinds`).

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use crate::base::foreign::chain::sources;
use crate::base::foreign::guard::evaluate;
use crate::instrument::kinds::{Boxed, BoxedLocal, BoxedSync, Plain};
use crate::run::context::{ContextValue, Value};
use crate::run::ending::{Ending, ErrorRef, RunError};

/// A return value that may be a `Result`.
#[derive(Debug)]
pub struct Return<'a, R: ?Sized>(pub &'a R);

/// The error type of a return value that is not a `Result`.
#[derive(Debug)]
pub enum ReturnTypeIsNotAResult {}

impl<'a, T, E> Return<'a, Result<T, E>> {
    /// Returns `Ok` with a reference to the value, or `Err` with a reference to the error.
    #[inline]
    pub fn __process_split(&self) -> Result<&'a T, &'a E> {
        self.0.as_ref()
    }
}

/// The rung for every type that is not a `Result`.
pub trait SplitOther<'a, R: ?Sized> {
    /// Returns `Ok` with a reference to the return value.
    fn __process_split(&self) -> Result<&'a R, &'a ReturnTypeIsNotAResult>;
}

impl<'a, R: ?Sized> SplitOther<'a, R> for Return<'a, R> {
    #[inline]
    fn __process_split(&self) -> Result<&'a R, &'a ReturnTypeIsNotAResult> {
        Ok(self.0)
    }
}

/// A return value whose type decides the outcome. The compiler repeats the decision in every annotated function. To
/// save compile time, the decision takes a single method lookup.
#[derive(Debug)]
pub struct Judge<'a, R: ?Sized>(pub &'a R);

/// Decides how a run ended from the type of its return value, to which `$returned` is a reference. The macro adds one
/// reference more than the highest rung has, because the method takes `&self`. It imports only one name, because the
/// compiler would resolve every name of an imported module in every annotated function.
#[doc(hidden)]
#[macro_export]
macro_rules! __by_type {
    ($returned:expr) => {{
        use $crate::__private::probe::ByType as _;
        (&&&&&&&&&&&&&&&&$crate::__private::Judge($returned)).__process_verdict()
    }};
}

/// A rung of the ladder that decides from the type of a return value how the run ended.
pub trait ByType<'a> {
    /// Decides from this return value how the run ended.
    fn __process_verdict(&self) -> Ending<'a>;
}

/// The lowest rung, for every type that no other rung accepts. The run is a success.
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
        // `E` is not bound by `'static`. Method lookup ignores lifetimes, so it would select a rung with this bound
        // even for an error that borrows, and compilation would then fail.
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
        |error| failed::<E>(report(|| error.as_ref()));
    /// A box around an error that is `Send` but not `Sync`.
    [AsRef<dyn Error + Send + 'e>] at [&&&&&&], beside a status at [&&&&&&&&&&&&&]:
        |error| failed::<E>(report(|| error.as_ref()));
    /// A box around an error that is not `Send`.
    [AsRef<dyn Error + 'e>] at [&&&&&], beside a status at [&&&&&&&&&&&&]:
        |error| failed::<E>(report(|| error.as_ref()));
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

/// Returns the error inside a box or report. `inside` is foreign code, which may panic or call the process again.
fn report<'a>(inside: impl FnOnce() -> &'a (dyn Error + 'a)) -> ErrorRef<'a> {
    evaluate(inside).and_then(Result::ok).map_or(ErrorRef::Opaque, ErrorRef::Chain)
}

/// Returns the `error.type` of an error, by calling the function that `error_type = path` names.
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

/// The fallback, which the compiler chooses for a type that no other `Search…` trait accepts. A call of its method does
/// not compile, and the message of [`Chained`] says what to write instead.
pub trait SearchRefused<'a, E: ?Sized>: Sized {
    /// Does not compile, because no type implements [`Chained`].
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
    std::iter::once(error).chain(sources(error)).find_map(|link| link.downcast_ref())
}

/// The return type of an annotated function that is not async.
#[derive(Debug)]
pub struct Kind<R>(PhantomData<fn() -> R>);

impl<R> Kind<R> {
    /// The only value of this type.
    pub const NEW: Self = Kind(PhantomData);
}

impl<'a, T> Kind<Pin<Box<dyn Future<Output = T> + 'a>>> {
    /// Returns the kind of a function whose boxed future is not `Send`.
    pub fn __process_kind(&self, _same: &Self) -> BoxedLocal {
        BoxedLocal
    }
}

impl<'a, T> Kind<Pin<Box<dyn Future<Output = T> + Send + 'a>>> {
    /// Returns the kind of a function whose boxed future is `Send`.
    pub fn __process_kind(&self, _same: &Self) -> Boxed {
        Boxed
    }
}

impl<'a, T> Kind<Pin<Box<dyn Future<Output = T> + Send + Sync + 'a>>> {
    /// Returns the kind of a function whose boxed future is `Send` and `Sync`.
    pub fn __process_kind(&self, _same: &Self) -> BoxedSync {
        BoxedSync
    }
}

/// The rung for every return type that no other rung accepts. The run begins and ends with the call of the function.
pub trait KindOther<R> {
    /// Returns the kind of a function that does not return a boxed future.
    fn __process_kind(&self, _same: &Kind<R>) -> Plain;
}

impl<R> KindOther<R> for &Kind<R> {
    fn __process_kind(&self, _same: &Kind<R>) -> Plain {
        Plain
    }
}

/// The rung that rejects futures that are not boxed trait objects, because their runs cannot be measured. An
/// expansion does not import this rung if the attribute has `outcome = path`, because the call alone is then the run.
pub mod by_type_alone {
    use super::{Future, Kind, MeasuredFuture, Plain};

    /// The rung for a future that is not a boxed trait object. A call of its method does not compile, and the message
    /// of [`MeasuredFuture`] says what to write instead.
    pub trait KindFuture<R> {
        /// Does not compile, because no type implements [`MeasuredFuture`].
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

/// The way to record a value that implements [`ContextValue`].
#[derive(Debug)]
pub struct AsIs;
/// The way to record a value that implements `Display`.
#[derive(Debug)]
pub struct AsText;
/// The way to record an `Option` of a value that implements `Display`.
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

/// The lowest rung, for every type that no other rung accepts. Recording the value does not compile, and the message
/// of [`ContextValue`] says what to write instead.
pub trait CaptureRefused: Sized {
    /// Returns the way to record a [`ContextValue`]. The value does not implement [`ContextValue`], so recording it
    /// in this way does not compile.
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
    /// Returns the text to record, or `None` without a value.
    pub fn __process_value<T: fmt::Display>(self, value: &Option<T>) -> Option<Value> {
        display(value.as_ref()?)
    }
}

/// Returns the text that `%value` records.
pub fn display<T: fmt::Display + ?Sized>(value: &T) -> Option<Value> {
    Some(Value::text(&format_args!("{value}")))
}

/// Returns the text that `?value` records.
pub fn debug<T: fmt::Debug + ?Sized>(value: &T) -> Option<Value> {
    Some(Value::text(&format_args!("{value:?}")))
}
