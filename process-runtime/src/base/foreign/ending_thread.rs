//! Libraries that keep thread-local values. When a thread ends, it drops its thread-local values in the reverse order
//! of their first use. Code in the `Drop` of such a value may call the toolkit after the value of a library is gone,
//! and the library would then panic, which aborts the program. Each module here knows for one library whether its
//! value is still there.

macro_rules! library {
    ($(#[$attribute:meta])* $library:ident) => {
        $(#[$attribute])*
        pub(crate) mod $library {
            use std::cell::Cell;

            use crate::base::foreign::guard::attempt;

            thread_local! {
                static IS_GONE: Cell<bool> = const { Cell::new(false) };
                static LATCH: Latch = const { Latch };
            }

            /// A value that is first used after the library's value, and is therefore dropped before it.
            struct Latch;

            impl Drop for Latch {
                fn drop(&mut self) {
                    IS_GONE.set(true);
                }
            }

            /// Calls `f`, which uses the library's thread-local value. Returns `None` if the value is gone.
            #[inline]
            pub(crate) fn alive<R>(f: impl FnOnce() -> R) -> Option<R> {
                if IS_GONE.get() {
                    return None;
                }
                let value = attempt(f).ok();
                let _ = LATCH.try_with(|_| ());
                value
            }
        }
    };
}

library! {
    /// The current context of OpenTelemetry.
    #[cfg(feature = "metrics")]
    opentelemetry
}

library! {
    /// The current hub of Sentry.
    #[cfg(feature = "sentry")]
    sentry
}
