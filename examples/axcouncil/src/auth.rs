//! The login, and the token that every other route requires.

#[cfg(test)]
mod contracts;
mod hs256;
mod password;
mod token;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use process_runtime::{critical_process, record};
use serde::{Deserialize, Serialize};

pub(crate) use self::password::{Cost, Password, Passwords};
pub(crate) use self::token::{Tokens, User};
use crate::api::Body;
use crate::database::DatabaseError;
use crate::error::ApiError;
use crate::service::Service;

/// The body of a login request.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    email: String,
    password: Password,
}

/// The answer to a login: a token, and its lifetime in seconds.
#[derive(Serialize)]
pub(crate) struct Session {
    token: String,
    expires_in: u64,
}

/// The reason why a login fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("unknown e-mail address")]
    UnknownUser,
    #[error("the password is wrong")]
    WrongPassword,
    #[error("the user cannot be read")]
    Database(#[from] DatabaseError),
    #[error("the password cannot be verified")]
    Verification(#[from] password::Unverified),
    #[error("the token cannot be signed")]
    Signature(#[from] jsonwebtoken::errors::Error),
}

impl AuthError {
    fn kind(&self) -> &'static str {
        match self {
            AuthError::UnknownUser => "unknown_user",
            AuthError::WrongPassword => "wrong_password",
            AuthError::Database(error) => error.kind(),
            AuthError::Verification(_) => "password_verification",
            AuthError::Signature(_) => "token_signature",
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> ApiError {
        match error {
            // Both errors have the same answer, so a client cannot learn whether the address or the password was
            // wrong.
            AuthError::UnknownUser | AuthError::WrongPassword => {
                let message = "The e-mail address or the password is wrong.";
                ApiError::new(StatusCode::UNAUTHORIZED, "wrong_credentials", message)
            }
            _ => ApiError::internal(),
        }
    }
}

/// `POST /login`
pub(crate) async fn login(
    State(service): State<Service>,
    Body(credentials): Body<Credentials>,
) -> Result<Json<Session>, ApiError> {
    Ok(Json(authenticate(&service, &credentials.email, credentials.password).await?))
}

/// Verifies a password and opens a session. If the address is unknown, verifies the password against a random hash,
/// because the duration must not reveal which addresses exist.
#[critical_process(
    id = "user_authentication",
    version = "1.0.0",
    sla = "2s",
    criticality = critical,
    owner = "identity",
    runbook = "docs/runbooks/authentication.md",
    objective = 99.95,
    context(email = mask(email), later(user_id, company_id)),
    rejects(AuthError::UnknownUser | AuthError::WrongPassword),
    error_type = AuthError::kind,
    depends_on("sqlite"),
)]
async fn authenticate(service: &Service, email: &str, password: Password) -> Result<Session, AuthError> {
    let known: Option<(i64, i64, String)> = service
        .sqlite(
            sqlx::query_as("SELECT id, company_id, password_hash FROM users WHERE email = ?")
                .bind(email)
                .fetch_optional(&service.database),
        )
        .await?;
    let (user, hash) = known.map(|(id, company, hash)| (User { id, company }, hash)).unzip();
    let is_right = service.passwords.verify(password, hash).await?;
    let user = user.ok_or(AuthError::UnknownUser)?;
    if !is_right {
        return Err(AuthError::WrongPassword);
    }
    record!(user_id = user.id, company_id = user.company);
    let token = service.tokens.sign(&user)?;
    Ok(Session { token, expires_in: token::LIFETIME.as_secs() })
}
