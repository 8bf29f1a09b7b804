//! Hashes and verifies passwords. Nothing in this module prints a password.

use std::sync::Arc;

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{self, PasswordHash, SaltString};
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use serde::Deserialize;
use tokio::sync::Semaphore;

/// A password as the user typed it. It has no `Debug` and no `Display`, so that it cannot appear in a log.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Password(String);

impl From<&str> for Password {
    fn from(text: &str) -> Password {
        Password(text.to_owned())
    }
}

/// The cost of a hash.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cost {
    /// The minimum that OWASP recommends: 19 MiB, two passes.
    Full,
    /// The lowest possible cost, for tests.
    Least,
}

/// Verifies passwords on threads that serve no requests. At most [`TURNS`] passwords are verified at the same time,
/// because each takes 19 MiB and a whole processor.
pub(crate) struct Passwords {
    argon: Argon2<'static>,
    /// The hash of a random password. It is verified in place of a user's hash if the user is unknown.
    unknown: String,
    turns: Arc<Semaphore>,
}

/// The maximum number of passwords that are verified at the same time.
const TURNS: usize = 2;

impl Passwords {
    pub(crate) fn new(cost: Cost) -> Result<Passwords, password_hash::Error> {
        let params = match cost {
            Cost::Full => Params::DEFAULT,
            Cost::Least => Params::new(Params::MIN_M_COST, 1, 1, None)?,
        };
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let unknown = hash(&argon, SaltString::generate(&mut OsRng).as_str())?;
        Ok(Passwords { argon, unknown, turns: Arc::new(Semaphore::new(TURNS)) })
    }

    /// Returns the hash of a new password.
    pub(crate) fn hash(&self, password: &Password) -> Result<String, password_hash::Error> {
        hash(&self.argon, &password.0)
    }

    /// Returns whether the password matches the hash. Without a hash, this method does the same work and returns
    /// false.
    pub(crate) async fn verify(&self, password: Password, known: Option<String>) -> Result<bool, Unverified> {
        let is_known = known.is_some();
        let hash = known.unwrap_or_else(|| self.unknown.clone());
        let argon = self.argon.clone();
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| Unverified::Stopped)?;
        let verified = tokio::task::spawn_blocking(move || {
            // The permit is held until the work is done, even if the client has hung up.
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

/// The reason why a password cannot be verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unverified {
    #[error("the stored hash cannot be read")]
    Hash(#[from] password_hash::Error),
    #[error("the service is stopping")]
    Stopped,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_user_costs_as_much_as_a_known_one() {
        let passwords = Passwords::new(Cost::Least).expect("the parameters are fine");
        let known_user = passwords.hash(&Password::from("a password")).expect("it can be hashed");
        let cost = |hash: &str| {
            let hash = PasswordHash::new(hash).expect("it is a hash");
            (hash.algorithm.to_string(), hash.params.to_string())
        };
        assert_eq!(cost(&known_user), cost(&passwords.unknown));
    }

    #[tokio::test]
    async fn an_unknown_user_has_no_valid_password() {
        let passwords = Passwords::new(Cost::Least).expect("the parameters are fine");
        let known = passwords.hash(&Password::from("a password")).expect("it can be hashed");
        let verify = async |known| passwords.verify(Password::from("a password"), known).await;
        assert!(verify(Some(known)).await.expect("it can be verified"));
        assert!(!verify(None).await.expect("it can be verified"));
    }
}
