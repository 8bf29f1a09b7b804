//! The limits of what comes from outside, in bytes: [`Limits`], and the limits that are in force. Cutting a text at a
//! limit belongs to `text`, walking a chain of errors to `chain`.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The most that the toolkit keeps of each text and queue, in bytes unless a field says otherwise.
///
/// A longer text is cut at the border of a character. The mark `…[+N bytes]` follows the cut, and
/// `critical_process.telemetry.dropped` counts it with the reason `cut`. Pass changed limits to
/// [`Install::limits`](crate::Install::limits).
///
/// ```
/// use process_runtime::{Install, Limits};
///
/// let mut limits = Limits::default();
/// limits.context_value = 256;
/// Install::new().limits(limits).start().stop();
/// # Install::new().limits(Limits::default()).start().stop();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// One value of business context, the name of a span, and one value of an attribute of a span or of a log record.
    /// All texts of a span together have at most 64 times this limit, or 64 KiB if that is more. 1 KiB by default.
    pub context_value: usize,
    /// The text of one error, the description of a span's status, an attribute `exception.*`, and the name of an event
    /// of a span. 8 KiB by default.
    pub error_text: usize,
    /// The errors of one chain, the outermost error included. A number, not bytes. 32 by default.
    pub chain_links: usize,
    /// The texts of one chain of errors together. 16 KiB by default.
    pub chain_text: usize,
    /// A text from a header of a request, such as a header's value in an attribute; and the key of an attribute. 256
    /// bytes by default.
    pub header_text: usize,
    /// One line on standard error or in a log. 16 KiB by default.
    pub line: usize,
    /// One event or transaction for Sentry, serialised. 512 KiB by default.
    pub sentry_event: usize,
    /// The items that wait in one queue together. 16 MiB by default.
    pub queue: usize,
}

impl Limits {
    const DEFAULT: Limits = Limits {
        context_value: 1 << 10,
        error_text: 8 << 10,
        chain_links: 32,
        chain_text: 16 << 10,
        header_text: 256,
        line: 16 << 10,
        sentry_event: 512 << 10,
        queue: 16 << 20,
    };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::DEFAULT
    }
}

macro_rules! in_force {
    ($($(#[$attribute:meta])* $limit:ident),+ $(,)?) => {
        /// The limits that are in force.
        struct InForce {
            $($limit: AtomicUsize,)+
        }

        static IN_FORCE: InForce = InForce {
            $($limit: AtomicUsize::new(Limits::DEFAULT.$limit),)+
        };

        impl InForce {
            fn set(&self, limits: Limits) {
                $(self.$limit.store(limits.$limit, Ordering::Relaxed);)+
            }
        }

        $(
            $(#[$attribute])*
            pub(crate) fn $limit() -> usize {
                IN_FORCE.$limit.load(Ordering::Relaxed)
            }
        )+
    };
}

/// Puts these limits in force.
pub(crate) fn set(limits: Limits) {
    IN_FORCE.set(limits);
}

in_force! {
    /// Returns the limit of a value of business context.
    context_value,
    /// Returns the limit of the text of an error.
    error_text,
    /// Returns the largest number of errors of a chain.
    chain_links,
    /// Returns the limit of the texts of a chain.
    chain_text,
    /// Returns the limit of a text from a header.
    header_text,
    /// Returns the limit of a line.
    line,
    /// Returns the limit of a serialised event for Sentry.
    sentry_event,
    /// Returns the limit of the items in a queue.
    queue,
}
