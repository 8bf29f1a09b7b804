//! Calls to the dependencies of the processes: each is a `dependency` call with a time limit. A call that hangs becomes
//! an error with a name before its process exceeds the SLA.

use std::future::Future;
use std::time::Duration;

use process_runtime::TimedOut;

/// The time limits of the calls. Even if every call takes its whole limit, a process ends within its SLA. A
/// deliberation is the exception: it waits longer for its models, so that a reader can see an overdue run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A statement or a transaction of the database.
    pub sqlite: Duration,
    /// An answer or a ballot of a model.
    pub model_provider: Duration,
    /// A synthesis by the chairman. After this time the best answer replaces it.
    pub synthesis: Duration,
    /// A charge.
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

/// Awaits a call to the dependency `id`, at most for `limit`.
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
