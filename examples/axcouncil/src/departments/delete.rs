//! Deletes a department and its roles, and writes the audit log, all in one transaction.

#[cfg(test)]
mod contracts;

use axum::http::StatusCode;
use process_runtime::{critical_process, record};
use serde::Serialize;
use sqlx::SqlitePool;

use super::audit::{self, Change, Subject};
use crate::auth::User;
use crate::database::{self, DatabaseError};
use crate::error::ApiError;
use crate::service::Service;

/// The answer, with the number of deleted roles.
#[derive(Serialize)]
pub(crate) struct Deleted {
    roles: u64,
}

/// The reason why a department is not deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeleteError {
    #[error("the company does not have this department")]
    Unknown,
    #[error("the company's default department cannot be deleted")]
    IsDefault,
    #[error("the department cannot be deleted")]
    Database(#[from] DatabaseError),
}

impl DeleteError {
    fn kind(&self) -> &'static str {
        match self {
            DeleteError::Unknown => "unknown_department",
            DeleteError::IsDefault => "default_department",
            DeleteError::Database(error) => error.kind(),
        }
    }
}

impl From<DeleteError> for ApiError {
    fn from(error: DeleteError) -> ApiError {
        match error {
            DeleteError::Unknown => ApiError::not_found("department"),
            DeleteError::IsDefault => {
                let message = "The default department cannot be deleted.";
                ApiError::new(StatusCode::CONFLICT, "default_department", message)
            }
            DeleteError::Database(_) => ApiError::internal(),
        }
    }
}

/// Deletes a department with its roles, and records the user in the audit log.
#[critical_process(
    id = "department_delete",
    version = "1.0.0",
    sla = "5s",
    criticality = medium,
    owner = "organisation",
    runbook = "docs/runbooks/departments.md",
    context(department_id = id, inherit(user_id, company_id), later(role_count)),
    rejects(DeleteError::Unknown | DeleteError::IsDefault),
    error_type = DeleteError::kind,
    depends_on("sqlite"),
)]
pub(super) async fn delete(service: &Service, user: User, id: i64) -> Result<Deleted, DeleteError> {
    let known: Option<bool> = service
        .sqlite(
            sqlx::query_scalar("SELECT is_default FROM departments WHERE id = ? AND company_id = ?")
                .bind(id)
                .bind(user.company)
                .fetch_optional(&service.database),
        )
        .await?;
    if known.ok_or(DeleteError::Unknown)? {
        return Err(DeleteError::IsDefault);
    }
    // Another user may have deleted the department in the meantime.
    let roles = service.sqlite(remove(&service.database, user, id)).await?.ok_or(DeleteError::Unknown)?;
    record!(role_count = roles);
    Ok(Deleted { roles })
}

/// Removes the department and its roles in one transaction. Returns the number of roles, or `None` if the
/// department does not exist. An early return or a client that hangs up drops the transaction, and nothing is removed.
async fn remove(database: &SqlitePool, user: User, id: i64) -> sqlx::Result<Option<u64>> {
    let mut transaction = database.begin_with(database::WRITE).await?;
    let roles = sqlx::query("DELETE FROM roles WHERE department_id = ?")
        .bind(id)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    let name: Option<String> =
        sqlx::query_scalar("DELETE FROM departments WHERE id = ? AND company_id = ? RETURNING name")
            .bind(id)
            .bind(user.company)
            .fetch_optional(&mut *transaction)
            .await?;
    let Some(name) = name else { return Ok(None) };
    let detail = format!("{name}, with {roles} roles");
    audit::write(&mut transaction, user, Subject::Department(id), Change::Delete, &detail).await?;
    transaction.commit().await?;
    Ok(Some(roles))
}
