//! Whose baggage becomes business context: that of peers whom the server itself identified, and of listed keys.

use std::any::type_name;
use std::fmt;
use std::sync::{Arc, Once};

use http::{Extensions, HeaderMap};

use super::baggage;
use crate::base::notices;
use crate::run::context;
use crate::run::context::Taken;

/// Who is trusted with what.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers(Arc<Vec<Peer>>);

/// Whether the peer of a request is trusted; `None` where the server says nothing of who it is.
type IsTrusted = dyn Fn(&Extensions) -> Option<bool> + Send + Sync;

#[derive(Clone)]
struct Peer {
    is_trusted: Arc<IsTrusted>,
    identity: &'static str,
    keys: Vec<&'static str>,
    told: Arc<Once>,
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
        let keys = baggage::listed(keys);
        context::declare(keys.iter().copied());
        Arc::make_mut(&mut self.0).push(Peer {
            is_trusted: Arc::new(move |extensions| extensions.get().map(&is_trusted)),
            identity: type_name::<I>(),
            keys,
            told: Arc::new(Once::new()),
        });
    }

    /// What this request's peer says of its context, as far as it may. The header is taken out in any case.
    pub(super) fn hear(&self, extensions: &Extensions, headers: &mut HeaderMap) -> Taken {
        if !headers.contains_key(baggage::HEADER) {
            return Taken::new();
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
            self.told.call_once(|| {
                notices::once(format!(
                    "a request with baggage has no `{}` among its extensions, so nobody knows whether its peer is \
                     trusted: its baggage is not taken (with axum's `ConnectInfo`, serve by \
                     `into_make_service_with_connect_info`)",
                    self.identity
                ));
            });
        }
        known == Some(true)
    }
}
