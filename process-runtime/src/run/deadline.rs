//! Timeouts. A run that a timeout of this module stops is a failure with the `error.type` `timeout`. A run that
//! `tokio::time::timeout` stops is cancelled instead. An SLA stops no run, so SLAs do not belong here.

use std::cell::Cell;

/// The `error.type` of runs that a timeout stopped.
pub(crate) const ERROR_TYPE: &str = "timeout";

thread_local! {
    static STOPS: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether a timeout is dropping its future on this thread. A run that is dropped during this time is a
/// failure.
pub(crate) fn stops() -> bool {
    STOPS.get()
}

#[cfg(feature = "tokio")]
mod with_tokio {
    use std::fmt;
    use std::future::Future;
    use std::pin::pin;
    use std::task::Poll;
    use std::time::Duration;

    use super::STOPS;

    /// Waits for `future` to be ready, but not longer than `duration`.
    ///
    /// When the time is over, `future` is dropped. The runs inside `future` that have not ended are then failures
    /// with the `error.type` `timeout`. With `tokio::time::timeout`, they would be cancelled instead. Tasks that
    /// `future` has spawned are not stopped. Needs the feature `tokio`.
    ///
    /// # Errors
    /// Returns [`TimedOut`] when the time is over.
    ///
    /// # Panics
    /// Panics, as `tokio::time::sleep` does, if the first poll is not inside a tokio runtime that has its timer
    /// enabled.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// use std::time::Duration;
    ///
    /// let answer = process_runtime::timeout(Duration::from_secs(1), async { 42 }).await;
    /// assert_eq!(answer, Ok(42));
    /// # });
    /// ```
    pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, TimedOut> {
        let end = tokio::time::sleep(duration);
        stop_after(end, future).await.ok_or(TimedOut { after: duration })
    }

    /// Waits for `future` to be ready, but not longer than for `end`. Drops `future` as [`timeout`] does, and returns
    /// `None`, if `end` is ready first.
    pub(crate) async fn stop_after<F: Future>(end: impl Future<Output = ()>, future: F) -> Option<F::Output> {
        let (mut future, mut end) = (pin!(Some(future)), pin!(end));
        let ready = std::future::poll_fn(|cx| {
            if let Some(Poll::Ready(value)) = future.as_mut().as_pin_mut().map(|future| future.poll(cx)) {
                return Poll::Ready(Some(value));
            }
            end.as_mut().poll(cx).map(|()| None)
        });
        if let Some(value) = ready.await {
            return Some(value);
        }
        let _stop = Stop(STOPS.replace(true));
        future.set(None);
        None
    }

    /// A guard. Its drop restores the previous value of [`STOPS`], even if dropping the future panics.
    struct Stop(bool);

    impl Drop for Stop {
        fn drop(&mut self) {
            STOPS.set(self.0);
        }
    }

    /// The error of a future that took longer than its time limit.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct TimedOut {
        /// The time limit.
        pub after: Duration,
    }

    impl fmt::Display for TimedOut {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "timed out after {:?}", self.after)
        }
    }

    impl std::error::Error for TimedOut {}
}

#[cfg(feature = "health")]
pub(crate) use with_tokio::stop_after;
#[cfg(feature = "tokio")]
pub use with_tokio::{TimedOut, timeout};
