//! Trusted peers. A peer is the caller of a request, as the server has identified it. What a trusted peer may do does
//! not belong here.

use std::any::type_name;
use std::fmt;
use std::sync::{Arc, Once};

use http::Extensions;

use super::foreign;
use crate::base::notices;

/// Peers that may do something, and for each kind of peer the details `T` of what it may do.
#[derive(Clone, Debug)]
pub(super) struct Peers<T = ()>(Arc<Vec<Peer<T>>>);

/// Returns whether the peer of a request is trusted, or `None` if the server has not identified the peer.
type IsTrusted = dyn Fn(&Extensions) -> Option<bool> + Send + Sync;

#[derive(Clone)]
struct Peer<T> {
    is_trusted: Arc<IsTrusted>,
    identity: &'static str,
    may: T,
    reported: Arc<Once>,
}

impl<T> Default for Peers<T> {
    fn default() -> Peers<T> {
        Peers(Arc::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Peer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("identity", &self.identity)
            .field("may", &self.may)
            .finish_non_exhaustive()
    }
}

impl<T: Clone> Peers<T> {
    pub(super) fn add<I: Send + Sync + 'static>(
        &mut self,
        is_trusted: impl Fn(&I) -> bool + Send + Sync + 'static,
        may: T,
    ) {
        Arc::make_mut(&mut self.0).push(Peer {
            is_trusted: Arc::new(move |extensions| extensions.get().map(&is_trusted)),
            identity: type_name::<I>(),
            may,
            reported: Arc::new(Once::new()),
        });
    }
}

impl<T> Peers<T> {
    /// Returns what the peer of this request may do, for each predicate that trusts it.
    pub(super) fn of(&self, extensions: &Extensions) -> impl Iterator<Item = &T> {
        self.0.iter().filter(|peer| peer.is_trusted_by(extensions)).map(|peer| &peer.may)
    }

    /// Returns whether a predicate trusts the peer of this request.
    pub(super) fn trusts(&self, extensions: &Extensions) -> bool {
        self.of(extensions).next().is_some()
    }
}

impl<T> Peer<T> {
    fn is_trusted_by(&self, extensions: &Extensions) -> bool {
        let instead = "the peer of the request is not trusted";
        let call = || (self.is_trusted)(extensions);
        let Some(known) = foreign::call("a predicate for trusted peers", instead, call) else { return false };
        if known.is_none() {
            self.reported.call_once(|| {
                notices::once(format!(
                    "missing `{}` in the extensions of a request: its peer cannot be identified, so it is not trusted, \
                     and its baggage or its decision about the trace is ignored; to provide axum's `ConnectInfo`, \
                     serve with `into_make_service_with_connect_info`",
                    self.identity
                ));
            });
        }
        known == Some(true)
    }
}
