//! A timer that needs no runtime: a runtime may have no timer, or may have shut down, or all of its workers may be
//! blocked. One thread serves all timers of the program. Cancelling what takes too long does not belong here.

use std::collections::BTreeMap;
use std::future::Future;
use std::mem::replace;
use std::pin::Pin;
use std::sync::{Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Instant;

use super::clock::is_virtual;
use crate::base::foreign::guard::attempt;
use crate::base::lock::{lock, unpoisoned};
use crate::base::notices;

/// When a timer ends, and a number that no other timer has.
type Key = (Instant, u64);

/// The timers that are waiting.
struct Waiting {
    wakers: BTreeMap<Key, Waker>,
    next: u64,
    has_thread: bool,
}

static WAITING: Mutex<Waiting> = Mutex::new(Waiting { wakers: BTreeMap::new(), next: 0, has_thread: false });
static CHANGED: Condvar = Condvar::new();

/// Waits until a time on the clock of the current runtime. A clock that a test has paused advances only for the timers
/// of tokio, so the timer is then one of tokio.
pub(crate) async fn sleep_until(end: tokio::time::Instant) {
    if is_virtual() {
        tokio::time::sleep_until(end).await;
    } else {
        Sleep::until(end.into_std()).await;
    }
}

/// A future that is ready at a time on the clock of the operating system.
#[derive(Debug)]
pub(super) struct Sleep {
    end: Instant,
    /// The key of its waker, if it is waiting.
    key: Option<Key>,
}

impl Sleep {
    pub(super) fn until(end: Instant) -> Sleep {
        Sleep { end, key: None }
    }

    /// Stops waiting. Returns the waker, which is foreign code and must be dropped without the lock.
    fn forget(&mut self) -> Option<Waker> {
        let key = self.key.take()?;
        lock(&WAITING).wakers.remove(&key)
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        drop(self.forget());
        if Instant::now() >= self.end {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let mut waiting = lock(&WAITING);
        let key = (self.end, waiting.next);
        waiting.next += 1;
        waiting.wakers.insert(key, waker);
        let needs_thread = !replace(&mut waiting.has_thread, true);
        drop(waiting);
        self.key = Some(key);
        CHANGED.notify_one();
        if needs_thread
            && let Err(error) = thread::Builder::new().name("health timer".to_owned()).spawn(serve)
        {
            lock(&WAITING).has_thread = false;
            notices::once(format!(
                "cannot start the thread of the timers of health checks, so schedules and timeouts do not run until \
                 the next attempt succeeds: {error}"
            ));
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        drop(self.forget());
    }
}

/// Wakes each timer at its end.
fn serve() {
    let mut waiting = lock(&WAITING);
    loop {
        let now = Instant::now();
        let later = waiting.wakers.split_off(&(now, u64::MAX));
        let due = replace(&mut waiting.wakers, later);
        if due.is_empty() {
            let left =
                waiting.wakers.first_key_value().map(|((end, _), _)| end.saturating_duration_since(now));
            waiting = match left {
                Some(left) => unpoisoned(CHANGED.wait_timeout(waiting, left)).0,
                None => unpoisoned(CHANGED.wait(waiting)),
            };
        } else {
            drop(waiting);
            for waker in due.into_values() {
                // The executor that has made the waker may be foreign code.
                let _ = attempt(|| waker.wake());
            }
            waiting = lock(&WAITING);
        }
    }
}
