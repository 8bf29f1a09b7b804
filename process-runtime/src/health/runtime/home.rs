//! The runtime in which the checks of one set-up run. The rules for executing a check do not belong here (`check`).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::clock::is_virtual;
use super::heartbeat::Heartbeat;
use super::inherited::Inherited;
use super::polling::poll;
use super::timer::Sleep;
use crate::base::foreign::guard::attempt;

/// A runtime of the application.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    handle: Handle,
    inherited: Inherited,
    /// `None` if a request lends its runtime.
    heartbeat: Option<Arc<Heartbeat>>,
}

/// A timer for the future that it is passed to.
pub(crate) type Timer = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Home {
    /// Returns the current runtime, or `None` outside a runtime.
    pub(crate) fn current() -> Option<Home> {
        let handle = Handle::try_current().ok()?;
        Some(Home { handle, inherited: Inherited::new(), heartbeat: None })
    }

    /// Returns the current runtime with a heartbeat, which beats once in each interval. Without an interval, it shows
    /// only whether the runtime has shut down. Returns `None` outside a runtime.
    pub(crate) fn with_heartbeat(interval: Option<Duration>) -> Option<Home> {
        let home = Home::current()?;
        let heartbeat = Some(Arc::new(Heartbeat::start(&home.handle, interval)));
        Some(Home { heartbeat, ..home })
    }

    /// Returns how long ago the runtime last ran the task of the heartbeat. Returns zero without a heartbeat.
    pub(crate) fn silent_for(&self) -> Duration {
        self.heartbeat.as_ref().map(|heartbeat| heartbeat.age()).unwrap_or_default()
    }

    /// Returns whether the runtime has shut down, if it has a heartbeat.
    pub(crate) fn has_ended(&self) -> bool {
        self.heartbeat.as_ref().is_some_and(|heartbeat| heartbeat.has_ended())
    }

    /// Calls `f` in the context of the runtime.
    pub(crate) fn within<R>(&self, f: impl FnOnce() -> R) -> R {
        let _inside = self.handle.enter();
        f()
    }

    /// Calls `f` on a thread of the toolkit as if the thread belonged to the application: in the context of the
    /// runtime, with the subscriber and the Sentry hub of the set-up.
    pub(crate) fn call<R>(&self, f: impl FnOnce() -> R) -> R {
        let _inside = self.handle.enter();
        let _current = self.inherited.enter();
        f()
    }

    /// Spawns a task.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(task);
    }

    /// Polls a future in the context of the runtime, on a thread of its own, so that the future may block. `begin`
    /// returns the future, and receives a timer for it that ends after `duration`. If the clock of the runtime is
    /// virtual, the future is a task of the runtime, because no other thread can wait for virtual time. If the
    /// runtime shuts down, the future is dropped.
    ///
    /// # Errors
    /// Returns an error if the system does not start a thread. The future is then dropped.
    pub(crate) fn run<F>(
        &self,
        name: String,
        duration: Duration,
        begin: impl FnOnce(Timer) -> F,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let _inside = self.handle.enter();
        if is_virtual() {
            self.handle.spawn(begin(Box::pin(tokio::time::sleep(duration))));
            return Ok(());
        }
        let timer = Sleep::until(Instant::now() + duration);
        let (home, future) = (self.clone(), begin(Box::pin(timer)));
        // Foreign code may panic when the future is dropped.
        let run = move || drop(attempt(|| home.call(|| poll(future, || home.has_ended()))));
        thread::Builder::new().name(name).spawn(run).map(drop)
    }
}
