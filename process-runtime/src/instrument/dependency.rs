//! Calls to dependencies. Each call is a run, with a span, statistics and an entry in the timeline. A contract can
//! inject a fault into the run. Health checks of dependencies do not belong here.

use std::future::Future;

use crate::base::notices;
use crate::instrument::execution::Run;
use crate::run::ending::{Ending, ErrorRef, RunError};
use crate::run::unit::Unit;
use crate::run::{frame, inject};

/// Awaits a call to the dependency `id`, which the process or stage around the call declares with `depends_on`.
///
/// The call has a span `<process>.<id>`, statistics
/// ([`registry::dependency_stats`](crate::registry::dependency_stats)) and, if it fails, a breadcrumb in Sentry. A
/// failed call sends no Sentry event, because the process returns the error or handles it. `Ok` is a success. `Err`
/// is a failure, with the name of the error's type as `error.type`. The text of the error is not recorded.
///
/// A contract can inject a fault at the call ([`testing`](crate::testing), feature `testing`). To limit the duration of
/// the call, put it inside a [`timeout`](crate::timeout).
///
/// ```
/// # async fn query() -> Result<u64, std::io::Error> { Ok(42) }
/// # let rows = async {
/// let rows = process_runtime::dependency("orders_db", query()).await?;
/// # Ok::<_, std::io::Error>(rows) };
/// ```
///
/// If neither the process, nor one of its stages, nor a shared stage declares the id, a notice on standard error
/// reports this once.
pub async fn dependency<T, E, F>(id: &'static str, future: F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut run = begin(id);
    inject::learn::<T, E>();
    let result = run.drive(future).await;
    end(&mut run, &result);
    result
}

/// Calls the dependency `id` from code that is not async. In all other respects, the call is the same as with
/// [`dependency`].
///
/// # Errors
/// Returns the error of the call.
///
/// ```
/// let port = process_runtime::dependency_call("settings", || "8080".parse::<u16>());
/// assert_eq!(port, Ok(8080));
/// ```
pub fn dependency_call<T, E>(id: &'static str, call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let mut run = begin(id);
    inject::learn::<T, E>();
    let result = run.call(call);
    end(&mut run, &result);
    result
}

fn begin(id: &'static str) -> Run {
    let process = frame::enclosing_process();
    if let Some(process) = process
        && !process.declares(id)
    {
        notices::once(format!(
            "`{}` calls the dependency `{id}` but does not declare it; add `depends_on(\"{id}\")`",
            process.id()
        ));
    }
    Run::of(Unit::of_dependency(id, process))
}

fn end<T, E>(run: &mut Run, result: &Result<T, E>) {
    run.end(match result {
        Ok(_) => Ending::success(),
        Err(_) => Ending::error(RunError::of::<E>(ErrorRef::Opaque)),
    });
}
