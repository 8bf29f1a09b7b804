//! Decides which baggage becomes business context. A peer is the caller of a request, as the server has identified it.
//! Only listed keys are accepted, and only from trusted peers. The format of the header does not belong here.

use std::any::type_name;
use std::fmt;
use std::sync::{Arc, Once};

use http::{Extensions, HeaderMap};

use super::baggage;
use crate::base::notices;
use crate::run::context;
use crate::run::context::NamedValues;

/// The trusted peers, and the keys that each of them may set.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers(Arc<Vec<Peer>>);

/// Returns whether the peer of a request is trusted, or `None` if the server has not identified the peer.
type IsTrusted = dyn Fn(&Extensions) -> Option<bool> + Send + Sync;

#[derive(Clone)]
struct Peer {
    is_trusted: Arc<IsTrusted>,
    identity: &'static str,
    keys: Vec<&'static str>,
    reported: Arc<Once>,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("identity", &self.identity)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl Peers {
    pub(super) fn add<I: Send + Sync + 'static>(
        &mut self,
        is_trusted: impl Fn(&I) -> bool + Send + Sync + 'static,
        keys: impl IntoIterator<Item = &'static str>,
    ) {
        let keys = baggage::valid_keys(keys);
        context::declare(keys.iter().copied());
        Arc::make_mut(&mut self.0).push(Peer {
            is_trusted: Arc::new(move |extensions| extensions.get().map(&is_trusted)),
            identity: type_name::<I>(),
            keys,
            reported: Arc::new(Once::new()),
        });
    }

    /// Removes the header `baggage`, and returns its values for the keys that the peer of this request may set.
    pub(super) fn take_baggage(&self, extensions: &Extensions, headers: &mut HeaderMap) -> NamedValues {
        if !headers.contains_key(baggage::HEADER) {
            return NamedValues::new();
        }
        let trusted = self.0.iter().filter(|peer| peer.is_trusted_by(extensions));
        let keys: Vec<_> = trusted.flat_map(|peer| &peer.keys).copied().collect();
        let taken = baggage::read(headers, &keys);
        headers.remove(baggage::HEADER);
        taken
    }
}

impl Peer {
    fn is_trusted_by(&self, extensions: &Extensions) -> bool {
        let known = (self.is_trusted)(extensions);
        if known.is_none() {
            self.reported.call_once(|| {
                notices::once(format!(
                    "missing `{}` in the extensions of a request with baggage: its peer cannot be identified, so the \
                     baggage is ignored; to provide axum's `ConnectInfo`, serve with \
                     `into_make_service_with_connect_info`",
                    self.identity
                ));
            });
        }
        known == Some(true)
    }
}
