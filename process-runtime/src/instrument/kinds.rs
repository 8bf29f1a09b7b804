//! The kinds of functions that an expansion tells apart by what they return, and how the body of each is run.

use std::future::Future;
use std::pin::Pin;

use super::entry::EntryContext;
use super::execution::Run;

/// A function that returns a value.
#[derive(Debug)]
pub struct Plain;
/// A function that returns a boxed future.
#[derive(Debug)]
pub struct Boxed;
/// A function that returns a boxed future which stays on its thread.
#[derive(Debug)]
pub struct BoxedLocal;
/// A function that returns a boxed future which can be shared.
#[derive(Debug)]
pub struct BoxedSync;

impl Plain {
    /// Begins the run, which is the call, and takes its context.
    #[inline]
    pub fn take(&self, run: &mut Run, take: &mut dyn FnMut(&mut EntryContext)) {
        run.begin(take);
    }

    /// Calls the body, and judges what it returned.
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
            /// Takes the context of the run, which is the future.
            #[inline]
            pub fn take(&self, run: &mut Run, take: &mut dyn FnMut(&mut EntryContext)) {
                run.capture(take);
            }

            /// Calls the body, whose future is the run, and judges what that returned.
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

/// A future that is a run.
pub async fn future<T, F: Future<Output = T>>(
    mut run: Run,
    future: F,
    judge: impl FnOnce(&mut Run, &T),
) -> T {
    let value = run.scope(future).await;
    judge(&mut run, &value);
    value
}

/// Gives the body of an async function its type; never called.
pub fn unreachable_value<T>() -> T {
    unreachable!("only its type is used")
}
