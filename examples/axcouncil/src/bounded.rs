//! Calls to the dependencies of the processes. Each call is marked as a `dependency` and has a time limit. A call
//! that hangs becomes an error with a name, in most processes before the process exceeds its SLA (see [`Limits`]).

use std::future::Future;
use std::time::Duration;

use process_runtime::TimedOut;

/// The time limits for calls to dependencies. Even if every call takes its whole limit, a process ends within its
/// SLA. The exception is a deliberation. Its limit for a model is longer than its SLA, so that users of the example
/// can see an overdue run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The limit for a statement or a transaction in the database.
    pub sqlite: Duration,
    /// The limit for an answer or a ranking by a model.
    pub model_provider: Duration,
    /// The limit for the synthesis by the chairman. After this time, the best answer replaces the synthesis.
    pub synthesis: Duration,
    /// The limit for a charge by the payment provider.
    pub payment_provider: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            sqlite: Duration::from_millis(1_200),
            model_provider: Duration::from_secs(180),
            synthesis: Duration::from_secs(25),
            payment_provider: Duration::from_secs(6),
        }
    }
}

/// Awaits a call to the dependency `id`. If the call takes longer than `limit`, drops it and returns an error.
pub(crate) async fn bounded<T, E, F>(
    id: &'static str,
    limit: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, F>
where
    F: From<E> + From<TimedOut>,
{
    Ok(process_runtime::timeout(limit, process_runtime::dependency(id, call)).await??)
}
