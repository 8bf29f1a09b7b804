//! A runtime for tests that are not `async` themselves.

/// Polls a future to its end on a current-thread runtime whose clock is paused.
pub(crate) fn paused<F: Future>(future: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true).build().unwrap().block_on(future)
}
