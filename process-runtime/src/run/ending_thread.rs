//! Libraries that keep thread-local values. When a thread ends, it drops its thread-local values in the reverse order
//! of their first use. Code in the `Drop` of such a value may call the toolkit after the value of a library is gone,
//! and the library would then panic, which aborts the program. Each module here knows for one library whether its
//! value is still there.
//!
//! No library says whether its value is gone. The first call on a thread therefore tries to use the value, and catches
//! the panic. A panic hook that itself uses the value would panic again, which cannot be caught, so [`quiet`] keeps
//! other hooks from running during the try. From then on, a value of the toolkit's own, which is dropped first, shows
//! the end of the thread.

use std::cell::Cell;
use std::panic;
use std::sync::Once;
use std::thread;

use crate::base::foreign::guard::attempt;

thread_local! {
    /// Whether this thread is trying to use a value that may be gone.
    static TRYING: Cell<bool> = const { Cell::new(false) };
}

/// What is known about the value of a library on this thread.
#[derive(Clone, Copy)]
enum Known {
    Nothing,
    Alive,
    Gone,
}

/// Sets a panic hook that does nothing while a thread tries to use a value that may be gone, and otherwise calls the
/// hook that was set before. The second call does nothing.
pub(crate) fn quiet() {
    static SET: Once = Once::new();
    // A thread that panics cannot set a hook.
    if thread::panicking() {
        return;
    }
    SET.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !TRYING.get() {
                before(panic);
            }
        }));
    });
}

/// Returns whether `use_value` returns without a panic.
#[cold]
fn is_usable(use_value: fn()) -> bool {
    TRYING.set(true);
    let is_usable = attempt(use_value).is_ok();
    TRYING.set(false);
    is_usable
}

macro_rules! library {
    ($(#[$attribute:meta])* $library:ident, $use_value:expr) => {
        $(#[$attribute])*
        pub(crate) mod $library {
            use std::cell::Cell;

            use crate::base::foreign::guard::attempt;
            use crate::run::ending_thread::{Known, is_usable};

            thread_local! {
                static KNOWN: Cell<Known> = const { Cell::new(Known::Nothing) };
                static LATCH: Latch = const { Latch };
            }

            /// A value that is first used after the library's value, and is therefore dropped before it.
            struct Latch;

            impl Drop for Latch {
                fn drop(&mut self) {
                    KNOWN.set(Known::Gone);
                }
            }

            /// Calls `f`, which uses the library's thread-local value. Returns `None` if the value is gone.
            #[inline]
            pub(crate) fn alive<R>(f: impl FnOnce() -> R) -> Option<R> {
                match KNOWN.get() {
                    Known::Alive => attempt(f).ok(),
                    Known::Gone => None,
                    Known::Nothing => if learn() { attempt(f).ok() } else { None },
                }
            }

            #[cold]
            fn learn() -> bool {
                let is_alive = is_usable($use_value);
                KNOWN.set(if is_alive { Known::Alive } else { Known::Gone });
                if is_alive {
                    let _ = LATCH.try_with(|_| ());
                }
                is_alive
            }
        }
    };
}

library! {
    /// The current context of OpenTelemetry.
    #[cfg(feature = "metrics")]
    opentelemetry, || opentelemetry::Context::map_current(|_| ())
}

library! {
    /// The current hub of Sentry.
    #[cfg(feature = "sentry")]
    sentry, || drop(sentry_core::Hub::current())
}
