//! Access to the details of a response.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Who may read the details of a response: error texts, versions, and the time, latency and reason of each part.
///
/// An error text is the `Display` of an error; it may contain whatever a driver writes into it.
#[derive(Clone, Default)]
pub enum Detail {
    /// No one. The default.
    #[default]
    Never,
    /// Every client.
    Always,
    /// Clients that send `Authorization: Bearer <token>` with this token. White space around the token is ignored; an
    /// empty token admits no one.
    Bearer(String),
}

impl std::fmt::Debug for Detail {
    /// Omits the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Detail::Never => "Never",
            Detail::Always => "Always",
            Detail::Bearer(_) => "Bearer(…)",
        })
    }
}

impl Detail {
    /// Returns whether a request with this header may read the details. The time that this takes does not depend on
    /// how much of the token is right.
    pub(super) fn is_allowed(&self, authorization: Option<&str>) -> bool {
        match self {
            Detail::Never => false,
            Detail::Always => true,
            Detail::Bearer(token) => {
                let sent = authorization.and_then(|header| header.split_once(' '));
                let sent = sent.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
                // A token that was read from a file may end with a line break.
                let token = token.trim();
                !token.is_empty() && sent.is_some_and(|(_, sent)| is_same(token, sent.trim()))
            }
        }
    }
}

/// Compares hashes: they have one length, and a client cannot choose their bytes.
fn is_same(token: &str, sent: &str) -> bool {
    let mac = |text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).ok()?;
        mac.update(text.as_bytes());
        Some(mac)
    };
    let (Some(own), Some(sent)) = (mac(token), mac(sent)) else { return false };
    own.verify(&sent.finalize().into_bytes()).is_ok()
}
