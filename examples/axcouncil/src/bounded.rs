//! Calls to what the processes depend on: each is told of as such, and none is waited for longer than its limit. What
//! hangs is an error of the process that called it, with a name, before that process is past its SLA.

use std::future::Future;
use std::time::Duration;

use process_runtime::TimedOut;

/// How long each call may take. With these a process whose every call takes all of its time still ends before its SLA,
/// but for a deliberation, which waits for its models as long as a reader may want to see it overdue.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A statement or a transaction of the database.
    pub sqlite: Duration,
    /// An answer or a ballot of a model.
    pub model_provider: Duration,
    /// A synthesis of the chairman, before the best answer is taken instead.
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
