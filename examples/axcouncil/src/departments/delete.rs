//! The end of a department: with its roles, and with a line in the audit log, or not at all.

use axum::http::StatusCode;
use process_runtime::{critical_process, record};
use serde::Serialize;

use crate::auth::User;
use crate::database;
use crate::error::ApiError;
use crate::service::Service;

/// What went.
#[derive(Serialize)]
pub(crate) struct Deleted {
    roles: u64,
}

/// Why it stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeleteError {
    #[error("the company has no such department")]
    Unknown,
    #[error("it is the company's default department")]
    IsDefault,
    #[error("the department cannot be deleted")]
    Database(#[from] sqlx::Error),
}

impl DeleteError {
    fn kind(&self) -> &'static str {
        match self {
            DeleteError::Unknown => "unknown_department",
            DeleteError::IsDefault => "default_department",
            DeleteError::Database(_) => "database",
        }
    }
}

impl From<DeleteError> for ApiError {
    fn from(error: DeleteError) -> ApiError {
        match error {
            DeleteError::Unknown => ApiError::not_found("department"),
            DeleteError::IsDefault => {
                let message = "The default department stays as long as the company.";
                ApiError::new(StatusCode::CONFLICT, "default_department", message)
            }
            DeleteError::Database(_) => ApiError::internal(),
        }
    }
}

/// Deletes a department with its roles, and writes down who did it.
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
    // Whatever returns early, and whoever hangs up, drops the transaction: then nothing has happened.
    let mut transaction = service.database.begin_with(database::WRITE).await?;
    let (name, is_default): (String, bool) =
        sqlx::query_as("SELECT name, is_default FROM departments WHERE id = ? AND company_id = ?")
            .bind(id)
            .bind(user.company)
            .fetch_optional(&mut *transaction)
            .await?
            .ok_or(DeleteError::Unknown)?;
    if is_default {
        return Err(DeleteError::IsDefault);
    }
    let roles = sqlx::query("DELETE FROM roles WHERE department_id = ?")
        .bind(id)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    sqlx::query("DELETE FROM departments WHERE id = ?").bind(id).execute(&mut *transaction).await?;
    sqlx::query(
        "INSERT INTO audit_log (company_id, user_id, action, subject, detail)
         VALUES (?, ?, 'department_delete', ?, ?)",
    )
    .bind(user.company)
    .bind(user.id)
    .bind(format!("department {id}"))
    .bind(format!("{name}, with {roles} roles"))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    record!(role_count = roles);
    Ok(Deleted { roles })
}
