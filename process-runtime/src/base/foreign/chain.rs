//! The chain of an error and its sources. `source` is foreign code: it may panic, and the chain that it makes may
//! never end. Every walk of a chain in this crate is a walk over [`links`] or [`sources`].

use std::error::Error;
use std::iter;
use std::sync::atomic::{AtomicU64, Ordering};

use super::guard::attempt;
use super::limits;

/// The number of chains that were cut since the start.
static CUTS: AtomicU64 = AtomicU64::new(0);

/// Returns the number of chains that were cut since the start.
pub(crate) fn cuts() -> u64 {
    CUTS.load(Ordering::Relaxed)
}

/// Returns the error and its [`sources`], from the outermost error to the innermost.
pub(crate) fn links<'a>(error: &'a (dyn Error + 'a)) -> impl Iterator<Item = &'a (dyn Error + 'a)> {
    iter::once(error).chain(sources(error).map(|source| source as &dyn Error))
}

/// Returns the sources of an error, from the outermost to the innermost. There are fewer of them than the largest
/// number of links ([`Limits::chain_links`](limits::Limits::chain_links)), and none after a `source` that panics.
pub(crate) fn sources<'a>(error: &'a (dyn Error + 'a)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let source_of = |error: &'a (dyn Error + 'a)| attempt(|| error.source()).ok().flatten();
    let most = limits::chain_links();
    let mut links = 1;
    iter::successors(source_of(error), move |&source| source_of(source)).take_while(move |_| {
        links += 1;
        if links > most {
            CUTS.fetch_add(1, Ordering::Relaxed);
        }
        links <= most
    })
}
