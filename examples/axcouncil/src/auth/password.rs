//! Passwords: how they are hashed and verified. Nothing here shows one.

use std::sync::Arc;

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{self, PasswordHash, SaltString};
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use serde::Deserialize;
use tokio::sync::Semaphore;

/// A password as it was typed. It has no `Debug` and no `Display`: it cannot end up in a log.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Password(String);

impl From<&str> for Password {
    fn from(text: &str) -> Password {
        Password(text.to_owned())
    }
}

/// What a hash costs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cost {
    /// What OWASP asks for at least: 19 MiB, two passes.
    Full,
    /// As little as there is, for tests.
    Least,
}

/// Verifies passwords, away from the threads that serve requests, and only so many at once: each takes its 19
/// MiB, and all of a processor.
pub(crate) struct Passwords {
    argon: Argon2<'static>,
    /// The hash of no password that anybody has, for those who are unknown.
    nobody: String,
    turns: Arc<Semaphore>,
}

/// How many are verified at once.
const TURNS: usize = 2;

impl Passwords {
    pub(crate) fn new(cost: Cost) -> Result<Passwords, password_hash::Error> {
        let params = match cost {
            Cost::Full => Params::DEFAULT,
            Cost::Least => Params::new(Params::MIN_M_COST, 1, 1, None)?,
        };
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hash(&argon, SaltString::generate(&mut OsRng).as_str())?;
        Ok(Passwords { argon, nobody, turns: Arc::new(Semaphore::new(TURNS)) })
    }

    /// The hash to keep of a new password.
    pub(crate) fn hash(&self, password: &Password) -> Result<String, password_hash::Error> {
        hash(&self.argon, &password.0)
    }

    /// Whether it is the password that was hashed. Without a hash it is not, after the same work.
    pub(crate) async fn verify(&self, password: Password, known: Option<String>) -> Result<bool, Unverified> {
        let is_known = known.is_some();
        let hash = known.unwrap_or_else(|| self.nobody.clone());
        let argon = self.argon.clone();
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| Unverified::Stopped)?;
        let verified = tokio::task::spawn_blocking(move || {
            // Held until the work is done, also if the client has hung up.
            let _turn = turn;
            let hash = PasswordHash::new(&hash)?;
            match argon.verify_password(password.0.as_bytes(), &hash) {
                Ok(()) => Ok(true),
                Err(password_hash::Error::Password) => Ok(false),
                Err(error) => Err(error),
            }
        });
        let is_right = verified.await.map_err(|_| Unverified::Stopped)??;
        Ok(is_right && is_known)
    }
}

fn hash(argon: &Argon2<'_>, password: &str) -> Result<String, password_hash::Error> {
    let salt = SaltString::generate(&mut OsRng);
    Ok(argon.hash_password(password.as_bytes(), &salt)?.to_string())
}

/// Why a password could not be verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unverified {
    #[error("its hash cannot be read: {0}")]
    Hash(#[from] password_hash::Error),
    #[error("the service stops")]
    Stopped,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_costs_what_somebody_costs() {
        let passwords = Passwords::new(Cost::Least).expect("the parameters are fine");
        let somebody = passwords.hash(&Password::from("a password")).expect("it can be hashed");
        let cost = |hash: &str| {
            let hash = PasswordHash::new(hash).expect("it is a hash");
            (hash.algorithm.to_string(), hash.params.to_string())
        };
        assert_eq!(cost(&somebody), cost(&passwords.nobody));
    }

    #[tokio::test]
    async fn nobody_has_no_password() {
        let passwords = Passwords::new(Cost::Least).expect("the parameters are fine");
        let known = passwords.hash(&Password::from("a password")).expect("it can be hashed");
        let verify = async |known| passwords.verify(Password::from("a password"), known).await;
        assert!(verify(Some(known)).await.expect("it can be verified"));
        assert!(!verify(None).await.expect("it can be verified"));
    }
}
