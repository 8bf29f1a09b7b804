//! Calls to destinations on the toolkit's own threads. Such a call may never return. A thread that makes these calls
//! has a [`Post`], which another thread watches. If a call does not return within [`HUNG`], the watching thread
//! abandons the post and starts a new thread in its place, and no thread of the toolkit calls the destination again
//! until the call returns. Starting threads does not belong here.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::base::cause::Cause;
use crate::base::lock::lock;

/// A destination, as notices name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    #[cfg_attr(not(feature = "tracing"), allow(dead_code, reason = "only spans go to a subscriber"))]
    Subscriber,
    #[cfg_attr(not(feature = "sentry"), allow(dead_code, reason = "only events go to Sentry"))]
    Sentry,
    /// A sink, with the name of its type, and a number because several sinks may have the same type.
    Sink(&'static str, usize),
    #[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "only metrics go to a meter provider"))]
    MeterProvider,
    StandardError,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Subscriber => f.write_str("the tracing subscriber or one of its layers"),
            Destination::Sentry => f.write_str("the Sentry client"),
            Destination::Sink(name, _) => write!(f, "the sink `{name}`"),
            Destination::MeterProvider => f.write_str("the OpenTelemetry meter provider"),
            Destination::StandardError => f.write_str("the report on standard error"),
        }
    }
}

/// The time after which a call counts as hung. The cause of [`hung`] names it too.
pub(crate) const HUNG: Duration = Duration::from_secs(10);

/// The destinations whose calls have hung and have not returned since.
static ABANDONED: Mutex<Vec<Destination>> = Mutex::new(Vec::new());

/// The place of a thread that makes calls.
#[derive(Debug, Default)]
pub(crate) struct Post(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The destination that the thread is calling, and the start of the call.
    call: Option<(Destination, Instant)>,
    is_abandoned: bool,
}

thread_local! {
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
    static POST: RefCell<Option<Arc<Post>>> = const { RefCell::new(None) };
}

impl Post {
    /// Makes this the post of the current thread.
    pub(crate) fn take(self: Arc<Self>) {
        POST.with_borrow_mut(|post| *post = Some(self));
        IS_WATCHED.set(true);
    }

    /// Returns whether another thread has taken over the work of this post.
    pub(crate) fn is_abandoned(&self) -> bool {
        lock(&self.0).is_abandoned
    }

    /// Abandons this post if its thread is in a call that has hung at `now`, and reports the call. Returns whether it
    /// did.
    pub(crate) fn abandon_if_hung(&self, now: Instant) -> bool {
        let mut state = lock(&self.0);
        let Some((destination, since)) = state.call else { return false };
        if now.saturating_duration_since(since) < HUNG {
            return false;
        }
        state.is_abandoned = true;
        lock(&ABANDONED).push(destination);
        drop(state);
        hung(destination).happened(format_args!(
            "{destination}: until it returns, the toolkit's threads do not call it, and the reports about late runs to \
             it are lost"
        ));
        true
    }
}

/// Returns whether this thread has a post.
#[inline]
pub(crate) fn is_watched() -> bool {
    IS_WATCHED.get()
}

/// A call that is about to be made on a thread of the toolkit.
pub(crate) enum Call {
    /// No other thread watches the thread.
    Unwatched,
    /// The call is entered at the post of the thread. The caller must pass it to [`end`] when the call has returned.
    Watched(Watched),
    /// An earlier call of the destination has hung, so the call must not be made.
    Refused,
}

/// A call that is entered at a post, with the call around it.
pub(crate) struct Watched {
    post: Arc<Post>,
    destination: Destination,
    outer: Option<(Destination, Instant)>,
}

/// Enters a call of the destination at the post of this thread.
#[cold]
pub(crate) fn begin(destination: Destination) -> Call {
    let post = POST.try_with(|post| post.borrow().clone()).ok().flatten();
    let Some(post) = post else { return Call::Unwatched };
    if lock(&ABANDONED).contains(&destination) {
        return Call::Refused;
    }
    let outer = lock(&post.0).call.replace((destination, Instant::now()));
    Call::Watched(Watched { post, destination, outer })
}

/// Notes that a call has returned.
#[cold]
pub(crate) fn end(Watched { post, destination, outer }: Watched) {
    let mut state = lock(&post.0);
    state.call = outer;
    if state.is_abandoned {
        drop(state);
        lock(&ABANDONED).retain(|abandoned| *abandoned != destination);
        hung(destination).ended();
    }
}

/// Returns the cause for hung calls of a destination. The number of destinations is bounded: those of the toolkit, and
/// the sinks of the program.
fn hung(destination: Destination) -> &'static Cause {
    static CAUSES: Mutex<Vec<(Destination, &'static Cause)>> = Mutex::new(Vec::new());
    let mut causes = lock(&CAUSES);
    if let Some((_, cause)) = causes.iter().find(|(known, _)| *known == destination) {
        return cause;
    }
    let cause = Box::leak(Box::new(Cause::new("a thread of the toolkit has waited 10 s for a call of")));
    causes.push((destination, cause));
    cause
}
