//! A time limit whose stops are failures with the error type `timeout`. A bare `tokio::time::timeout` would leave a
//! silent cancellation.

use std::cell::Cell;

/// The `error.type` of what a timeout stopped.
pub(crate) const ERROR_TYPE: &str = "timeout";

thread_local! {
    static STOPS: Cell<bool> = const { Cell::new(false) };
}

/// Whether the run that is being dropped is dropped by a timeout.
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

    /// Waits for `future`, at most `duration`. The runs inside that it then stops are failures with the
    /// error type `timeout`, where a bare `tokio::time::timeout` leaves silent cancellations. What `future` has
    /// spawned is not stopped. Feature `tokio`.
    ///
    /// # Errors
    /// [`TimedOut`] when the time is over.
    ///
    /// # Panics
    /// Outside of a tokio runtime with a timer, as `tokio::time::sleep` does.
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
        let mut future = pin!(Some(future));
        let mut sleep = pin!(tokio::time::sleep(duration));
        let ready = std::future::poll_fn(|cx| {
            if let Some(Poll::Ready(value)) = future.as_mut().as_pin_mut().map(|future| future.poll(cx)) {
                return Poll::Ready(Some(value));
            }
            sleep.as_mut().poll(cx).map(|()| None)
        });
        if let Some(value) = ready.await {
            return Ok(value);
        }
        let _stop = Stop(STOPS.replace(true));
        future.set(None);
        Err(TimedOut { after: duration })
    }

    /// Ends the stopping, also when a drop panics.
    struct Stop(bool);

    impl Drop for Stop {
        fn drop(&mut self) {
            STOPS.set(self.0);
        }
    }

    /// A future took longer than it was given.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct TimedOut {
        /// What it was given.
        pub after: Duration,
    }

    impl fmt::Display for TimedOut {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "timed out after {:?}", self.after)
        }
    }

    impl std::error::Error for TimedOut {}
}

#[cfg(feature = "tokio")]
pub use with_tokio::{TimedOut, timeout};
