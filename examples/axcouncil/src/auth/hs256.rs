//! Signs and verifies tokens with HMAC-SHA-256, the only algorithm that this service uses. The feature `rust_crypto`
//! of jsonwebtoken would also add elliptic curves, and RSA with a known defect (RUSTSEC-2023-0071).

use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key: &EncodingKey| {
        Ok(Box::new(Hs256::new(*algorithm, key.family(), key.as_bytes())?))
    },
    verifier_factory: |algorithm, key: &DecodingKey| {
        Ok(Box::new(Hs256::new(*algorithm, key.family(), key.try_get_as_bytes()?)?))
    },
    key_utils: KeyUtils::new_unimplemented(), // for JWKs, which this service does not use
};

/// Makes jsonwebtoken use this implementation in the whole program. Later calls have no effect.
pub(super) fn install() {
    // An error means that an earlier call in this program has already installed the implementation.
    let _ = PROVIDER.install_default();
}

struct Hs256(Hmac<sha2::Sha256>);

impl Hs256 {
    fn new(algorithm: Algorithm, family: AlgorithmFamily, key: &[u8]) -> Result<Hs256> {
        if (algorithm, family) != (Algorithm::HS256, AlgorithmFamily::Hmac) {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        Ok(Hs256(Hmac::new_from_slice(key).map_err(|_| ErrorKind::InvalidKeyFormat)?))
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        Ok(self.0.clone().chain_update(message).finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    /// Compares the signatures in constant time, so the duration reveals nothing about the expected signature.
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        self.0.clone().chain_update(message).verify_slice(signature).map_err(|_| Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uses the example in RFC 7515, appendix A.1.
    #[test]
    fn the_example_of_the_specification_is_good_and_a_changed_one_is_not() {
        install();
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr/T+1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==";
        let (sign, read) =
            (EncodingKey::from_base64_secret(key).unwrap(), DecodingKey::from_base64_secret(key).unwrap());
        let message = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQo\
                       gImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let is_good = |message: &str| {
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &read, Algorithm::HS256).unwrap()
        };
        assert!(is_good(message));
        assert!(!is_good(&message.replace("eyJpc3Mi", "eyJpc3Mj")));
        let signed = jsonwebtoken::crypto::sign(message.as_bytes(), &sign, Algorithm::HS256).unwrap();
        assert_eq!(signed, signature);
        assert!(jsonwebtoken::crypto::sign(message.as_bytes(), &sign, Algorithm::HS512).is_err());
    }
}
