//! Decides which clients may read the details of a response. Writing the details does not belong here (`body`).

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The clients that may read the details of a response. The details are error texts, versions, and the time and latency
/// of each part. The status and the reason of each part are not details, so every client may read them.
///
/// An error text is the `Display` text of an error. It may contain secrets, for example a connection string that a
/// database driver includes in its errors.
#[derive(Clone, Default)]
pub enum Detail {
    /// No client may read the details. This is the default.
    #[default]
    Never,
    /// Every client may read the details.
    Always,
    /// A client may read the details if it sends `Authorization: Bearer <token>` with this token. White space around
    /// this token is ignored. If this token is empty, no client may read the details.
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
    /// Returns whether a request with this header may read the details. The time for this does not depend on how many
    /// characters of the token are right, so a client cannot find the token by measuring response times.
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

/// Returns whether two tokens are equal, without revealing by its duration where they differ. To do so, it compares
/// hashes of the tokens: all hashes have the same length, and a client cannot choose the bytes of a hash.
fn is_same(token: &str, sent: &str) -> bool {
    let mac = |text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).ok()?;
        mac.update(text.as_bytes());
        Some(mac)
    };
    let (Some(own), Some(sent)) = (mac(token), mac(sent)) else { return false };
    own.verify(&sent.finalize().into_bytes()).is_ok()
}
