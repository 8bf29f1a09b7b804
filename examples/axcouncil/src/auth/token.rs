//! The proof of a login: a signed token that names a user and its company.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argon2::password_hash::rand_core::{OsRng, RngCore as _};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use process_runtime::context::Scope;
use serde::{Deserialize, Serialize};

use super::hs256;
use crate::error::ApiError;
use crate::service::Service;

/// The lifetime of a session.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3600);

/// A user of a company. A handler with an argument of this type requires a valid token. A request without a valid
/// token gets status 401.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) company: i64,
}

impl User {
    /// Returns the business context that all runs for this user have.
    pub(crate) fn scope(self) -> Scope {
        Scope::new().set("user_id", self.id).set("company_id", self.company)
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    /// The id of the user. It is a string, because RFC 7519 requires one.
    sub: String,
    company: i64,
    exp: u64,
}

/// Signs and reads tokens.
pub(crate) struct Tokens {
    sign: EncodingKey,
    read: DecodingKey,
    validation: Validation,
}

impl Tokens {
    /// Creates tokens with a new random key. The key exists only in memory, so a restart of the program ends every
    /// session.
    pub(crate) fn new() -> Tokens {
        hs256::install();
        let mut key = [0; 32];
        OsRng.fill_bytes(&mut key);
        // Accepts only tokens that use this algorithm and have an expiry time.
        let validation = Validation::new(Algorithm::HS256);
        Tokens { sign: EncodingKey::from_secret(&key), read: DecodingKey::from_secret(&key), validation }
    }

    pub(crate) fn sign(&self, user: &User) -> Result<String, jsonwebtoken::errors::Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let exp = (now + LIFETIME).as_secs();
        let claims = Claims { sub: user.id.to_string(), company: user.company, exp };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign)
    }

    pub(super) fn read(&self, token: &str) -> Option<User> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.read, &self.validation).ok()?.claims;
        Some(User { id: claims.sub.parse().ok()?, company: claims.company })
    }
}

impl FromRequestParts<Service> for User {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<User, ApiError> {
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer "));
        token.and_then(|token| service.tokens.read(token)).ok_or_else(|| {
            ApiError::new(
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "The token is missing, invalid or expired. Log in again.",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends() {
        let tokens = Tokens::new();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs();
        let read = |exp| {
            let claims = Claims { sub: "1".to_owned(), company: 1, exp };
            let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &tokens.sign);
            tokens.read(&token.expect("it can be signed")).map(|user| user.id)
        };
        assert_eq!((read(now + 60), read(now - 120)), (Some(1), None));
    }
}
