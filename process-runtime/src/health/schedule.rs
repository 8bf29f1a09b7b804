//! The schedule of one check. The rules for executing a check do not belong here (`check`).

use std::future::{Future as _, poll_fn};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::check::{CheckRunner, GRACE};
#[cfg(feature = "sentry")]
use super::checkin;
use super::runtime::sleep_until;
use super::shared::Shared;
use crate::base::foreign::guard::attempt;
use crate::base::notices;
use crate::base::threads::restarted;

/// The interval at which a schedule tests whether start-up is finished.
const START_POLL: Duration = Duration::from_millis(100);

/// Executes a check about every `every`, from the end of start-up until the last `Health` is dropped or shutdown
/// begins. If the schedule panics, reports this and begins the schedule again.
pub(super) async fn run(check: Arc<CheckRunner>, shared: Weak<Shared>, every: Duration) {
    loop {
        let mut rounds = Box::pin(rounds(&check, &shared, every));
        let polled = |cx: &mut Context<'_>| match attempt(|| rounds.as_mut().poll(cx)) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        };
        let Err(panic) = poll_fn(polled).await else { return };
        drop(panic);
        notices::once(restarted("the schedule of a health check"));
        sleep_until(Instant::now() + every).await;
    }
}

async fn rounds(check: &Arc<CheckRunner>, shared: &Weak<Shared>, every: Duration) {
    let random = RandomState::new();
    for round in 0_u64.. {
        let (states, home) = loop {
            let Some(shared) = shared.upgrade().filter(|shared| !shared.is_stopping()) else { return };
            if shared.has_started() {
                break (Arc::clone(&shared.states), shared.home().cloned());
            }
            drop(shared);
            sleep_until(Instant::now() + START_POLL).await;
        };
        check.execute(&states, home.as_ref());
        drop((states, home));
        // If the execution times out, this wait is long enough for the execution to record its failure.
        check.wait(Instant::now() + check.definition.timeout() + 2 * GRACE).await;
        #[cfg(feature = "sentry")]
        checkin::send(check);
        // The interval varies at random, so that replicas that started together do not execute their checks at the
        // same time.
        let share = random.hash_one(round) as f64 / u64::MAX as f64;
        sleep_until(Instant::now() + every.mul_f64(0.9 + 0.2 * share)).await;
    }
}
