//! Runs many futures concurrently in the caller's task. Each running future occupies one of a fixed number of seats.
//! When a future ends, the next future takes its seat. A future is polled only after it was woken. If every wake
//! polled all futures, a wake would cost more, the more futures there are. The measurement of runs does not belong
//! here.

use crate::base::foreign::guard::{Payload, attempt};
use crate::base::lock::lock;
use std::collections::VecDeque;

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

/// Makes `calls` futures with `make` and runs all of them to their end, `seats` at a time. If a future panics, passes
/// its payload to `panicked` and continues with the other futures.
pub(super) async fn run<F: Future>(
    seats: usize,
    calls: usize,
    make: impl Fn() -> F,
    mut panicked: impl FnMut(Payload),
) {
    let queue = Arc::new(Mutex::new(Queue::default()));
    let mut seats: Vec<Seat<F>> = (0..seats.min(calls)).map(|at| Seat::new(at, &queue, make())).collect();
    let (mut made, mut ended) = (seats.len(), 0);
    std::future::poll_fn(|cx| {
        // A waker is foreign code, so it is cloned and dropped without the lock.
        let waker = cx.waker().clone();
        let old = locked(&queue).task.replace(waker);
        drop(old);
        // Makes at most as many polls as there are seats, and then yields. Otherwise, futures that are always ready
        // would block everything else in the task.
        for _ in 0..seats.len() {
            let Some(at) = locked(&queue).woken.pop_front() else { break };
            let Some(end) = seats[at].poll() else { continue };
            end.unwrap_or_else(&mut panicked);
            ended += 1;
            if made < calls {
                made += 1;
                seats[at].take(make());
            }
        }
        if ended == calls {
            return Poll::Ready(());
        }
        if !locked(&queue).woken.is_empty() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
}

/// The indices of the seats that were woken, and the task that polls them.
#[derive(Debug, Default)]
struct Queue {
    woken: VecDeque<usize>,
    task: Option<Waker>,
}

fn locked(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    lock(queue)
}

/// The place for one future at a time. When the future has ended, the next future takes this place.
struct Seat<F> {
    future: Pin<Box<Option<F>>>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl<F: Future> Seat<F> {
    fn new(at: usize, queue: &Arc<Mutex<Queue>>, future: F) -> Seat<F> {
        let bell = Arc::new(Bell { at, is_queued: AtomicBool::new(false), queue: Arc::clone(queue) });
        bell.wake_by_ref();
        Seat { future: Box::pin(Some(future)), waker: Waker::from(Arc::clone(&bell)), bell }
    }

    fn take(&mut self, future: F) {
        self.future.set(Some(future));
        self.bell.wake_by_ref();
    }

    /// Polls the future. Returns `None` if the future is pending or the seat is empty, and an error with the panic
    /// payload if the future panicked.
    fn poll(&mut self) -> Option<Result<(), Payload>> {
        self.bell.is_queued.store(false, Ordering::Release);
        let future = self.future.as_mut().as_pin_mut()?;
        let mut cx = Context::from_waker(&self.waker);
        let end = match attempt(|| future.poll(&mut cx).map(drop)) {
            Ok(Poll::Pending) => return None,
            Ok(Poll::Ready(())) => Ok(()),
            Err(panic) => Err(panic),
        };
        // The future may panic again when it is dropped. The first panic counts.
        let dropped = attempt(|| self.future.set(None));
        Some(end.and(dropped))
    }
}

/// The waker of one seat. It adds the seat to the queue and wakes the task that polls the seats.
#[derive(Debug)]
struct Bell {
    at: usize,
    is_queued: AtomicBool,
    queue: Arc<Mutex<Queue>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut queue = locked(&self.queue);
        queue.woken.push_back(self.at);
        let task = queue.task.take();
        drop(queue);
        if let Some(task) = task {
            task.wake();
        }
    }
}
