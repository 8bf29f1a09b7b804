//! Finds out whether the hub of a thread has an enabled client. Every run needs this answer, so it is cached for a
//! short time. Sending events does not belong here.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Weak};
use std::time::Duration;

use sentry_core::{Hub, TracesSamplingStrategy};

use crate::base::foreign::guard::attempt;
use crate::run::domain::Core;
use crate::run::ending_thread::sentry::alive;
use crate::run::hub::OuterHub;

/// The time for which the answer is cached. Asking the hub takes as long as all other work for a run without
/// destinations. If a client is bound or closed, runs notice the change after at most this time.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// Whether the hub has an enabled client, and whether this client accepts transactions.
#[derive(Clone, Copy)]
enum Client {
    /// The hub has no client, or the client is disabled.
    Absent,
    Takes {
        traces: bool,
    },
}

/// A thread's cached answer to the question whether its hub has an enabled client.
#[derive(Clone, Copy)]
enum Known {
    /// The thread has not asked its hub yet.
    Nothing,
    /// The hub that was asked, the tick of the global clock until which its answer is valid, and the answer.
    Answered(*const Hub, u64, Client),
    /// The thread is ending, so its hub may already be gone.
    Ending,
}

thread_local! {
    static KNOWN: Cell<Known> = const { Cell::new(Known::Nothing) };
    /// Keeps the memory of the hub of the cached answer. Otherwise another hub could get the same address and be taken
    /// for this hub. It does not keep the hub itself, whose client would then be dropped here.
    static ASKED: Asked = const { Asked(RefCell::new(Weak::new())) };
}

struct Asked(RefCell<Weak<Hub>>);

impl Drop for Asked {
    fn drop(&mut self) {
        KNOWN.set(Known::Ending);
    }
}

/// Returns the hub that is current when a run starts. `now` is the start of the run, in ticks of the global clock.
/// Returns `None` if the hub has no enabled client, or if the thread is ending and no longer has a hub.
#[inline(always)]
pub(crate) fn outside(now: u64) -> Option<OuterHub> {
    let Known::Answered(known, until, answer) = KNOWN.get() else {
        return outside_at_first(now);
    };
    let hub = Hub::current();
    let is_known = std::ptr::eq(known, Arc::as_ptr(&hub)) && now < until;
    outer_hub(if is_known { answer } else { ask(&hub, now) }, hub)
}

#[cold]
fn outside_at_first(now: u64) -> Option<OuterHub> {
    if matches!(KNOWN.get(), Known::Ending) {
        return None;
    }
    // `Hub::current` panics on an ending thread whose hub is gone.
    alive(|| {
        let hub = Hub::current();
        outer_hub(ask(&hub, now), hub)
    })
    .flatten()
}

#[cold]
fn ask(hub: &Arc<Hub>, now: u64) -> Client {
    // A client whose transport has panicked may panic here as well.
    let answer = attempt(|| match hub.client().filter(|client| client.is_enabled()) {
        None => Client::Absent,
        Some(client) => Client::Takes { traces: is_tracing(&client) },
    });
    let answer = answer.unwrap_or(Client::Absent);
    // A thread drops its thread-local values in the reverse order of their first use. `ASKED` is first used after the
    // hub, so it is dropped before the hub.
    let is_kept = ASKED.try_with(|asked| asked.0.replace(Arc::downgrade(hub))).is_ok();
    KNOWN.set(match is_kept {
        true => Known::Answered(Arc::as_ptr(hub), now + Core::global().clock.ticks(ASK_AGAIN), answer),
        false => Known::Ending,
    });
    answer
}

fn outer_hub(answer: Client, hub: Arc<Hub>) -> Option<OuterHub> {
    match answer {
        Client::Absent => None,
        Client::Takes { traces } => Some(OuterHub { hub, traces }),
    }
}

fn is_tracing(client: &sentry_core::Client) -> bool {
    match client.options().traces_sampling_strategy {
        TracesSamplingStrategy::FixedRate(rate) => rate > 0.0,
        TracesSamplingStrategy::Disabled => false,
        _ => true,
    }
}
