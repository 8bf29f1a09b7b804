//! Computes a short fingerprint of several parts, for names and comparisons. The fingerprint is the start of a
//! SHA-256 hash. In the input of the hash, the length of each part precedes the part, so that different lists of
//! parts give different inputs. The choice of the parts does not belong here.

use sha2::{Digest as _, Sha256};

pub(in crate::testing) struct Fingerprint(Sha256);

impl Fingerprint {
    pub(in crate::testing) fn new() -> Fingerprint {
        Fingerprint(Sha256::new())
    }

    pub(in crate::testing) fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Returns the fingerprint as sixteen hexadecimal digits.
    pub(in crate::testing) fn digits(self) -> String {
        self.0.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}
