//! The kinds of functions that are not async, by return type, and how an expansion runs the body of each kind. The
//! choice of the kind does not belong here (`probe`).

use std::future::Future;
use std::pin::Pin;

use super::entry_context::EntryContext;
use super::execution::Run;

/// A function that returns a value other than a boxed future.
#[derive(Debug)]
pub struct Plain;
/// A function that returns a boxed future that is `Send`.
#[derive(Debug)]
pub struct Boxed;
/// A function that returns a boxed future that is not `Send`.
#[derive(Debug)]
pub struct BoxedLocal;
/// A function that returns a boxed future that is `Send` and `Sync`.
#[derive(Debug)]
pub struct BoxedSync;

impl Plain {
    /// Begins the run and takes its context. The run of such a function begins and ends with the call.
    #[inline]
    pub fn take(&self, run: &mut Run, take: &mut dyn FnMut(&mut EntryContext)) {
        run.begin(take);
    }

    /// Calls the body, and passes its value to `judge`, which ends the run.
    #[inline]
    pub fn run<R>(self, mut run: Run, body: impl FnOnce() -> R, judge: impl FnOnce(&mut Run, &R)) -> R {
        let value = run.call(body);
        judge(&mut run, &value);
        value
    }
}

macro_rules! boxed {
    ($($kind:ident: $($bound:ident),*;)+) => {$(
        impl $kind {
            /// Takes the context of the run. The run does not begin here, but when the returned future is first
            /// polled.
            #[inline]
            pub fn take(&self, run: &mut Run, take: &mut dyn FnMut(&mut EntryContext)) {
                run.capture(take);
            }

            /// Returns a future that awaits the body's future inside the run. `judge` receives the output of the
            /// body's future and ends the run.
            pub fn run<'a, T: 'a>(
                self,
                run: Run,
                body: impl FnOnce() -> Pin<Box<dyn Future<Output = T> $(+ $bound)* + 'a>>,
                judge: impl FnOnce(&mut Run, &T) $(+ $bound)* + 'a,
            ) -> Pin<Box<dyn Future<Output = T> $(+ $bound)* + 'a>> {
                run.note_future();
                Box::pin(future(run, body(), judge))
            }
        }
    )+};
}

boxed! {
    Boxed: Send;
    BoxedLocal: ;
    BoxedSync: Send, Sync;
}

/// Awaits a future inside the run. `judge` receives the output of the future and ends the run.
pub async fn future<T, F: Future<Output = T>>(
    mut run: Run,
    future: F,
    judge: impl FnOnce(&mut Run, &T),
) -> T {
    let value = run.drive(future).await;
    judge(&mut run, &value);
    value
}

/// Has the return type `T`, from which the compiler infers the type of an async function's body. This function is
/// never called.
pub fn unreachable_value<T>() -> T {
    unreachable!("only the type of this value is used")
}
