//! Departments and their roles. Only the deletion of a department is a critical process, in `delete`; all other
//! handlers are plain functions. Every change is recorded in the audit log.

mod audit;
mod delete;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use self::audit::{Change, Subject};
use self::delete::delete;
use crate::api::{Body, Id};
use crate::auth::User;
use crate::database;
use crate::error::ApiError;
use crate::service::Service;

/// The body of a request that creates or renames a department.
#[derive(Deserialize)]
pub(crate) struct Named {
    name: String,
}

/// The body of a request that creates or changes a role.
#[derive(Deserialize)]
pub(crate) struct Role {
    name: String,
    brief: String,
}

/// The answer to a request that creates a row: the id of the row.
#[derive(Serialize)]
pub(crate) struct Created {
    id: i64,
}

/// An entry in the list of departments.
#[derive(Serialize)]
pub(crate) struct Department {
    id: i64,
    name: String,
    roles: i64,
}

/// `GET /departments`
pub(crate) async fn list(
    State(service): State<Service>,
    user: User,
) -> Result<Json<Vec<Department>>, ApiError> {
    let departments = sqlx::query_as::<_, (i64, String, i64)>(
        "SELECT id, name, (SELECT count(*) FROM roles WHERE department_id = departments.id) AS roles
         FROM departments WHERE company_id = ? ORDER BY name",
    )
    .bind(user.company)
    .fetch_all(&service.database)
    .await?;
    let departments = departments.into_iter().map(|(id, name, roles)| Department { id, name, roles });
    Ok(Json(departments.collect()))
}

/// `POST /departments`
pub(crate) async fn create(
    State(service): State<Service>,
    user: User,
    Body(named): Body<Named>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    let name = filled(&named.name)?;
    let mut transaction = service.database.begin_with(database::WRITE).await?;
    let id = sqlx::query("INSERT INTO departments (company_id, name) VALUES (?, ?)")
        .bind(user.company)
        .bind(name)
        .execute(&mut *transaction)
        .await?
        .last_insert_rowid();
    audit::write(&mut transaction, user, Subject::Department(id), Change::Create, name).await?;
    transaction.commit().await?;
    Ok((StatusCode::CREATED, Json(Created { id })))
}

/// `PUT /departments/{id}`
pub(crate) async fn update(
    State(service): State<Service>,
    user: User,
    Id(id): Id,
    Body(named): Body<Named>,
) -> Result<StatusCode, ApiError> {
    let name = filled(&named.name)?;
    let mut transaction = service.database.begin_with(database::WRITE).await?;
    let updated = sqlx::query("UPDATE departments SET name = ? WHERE id = ? AND company_id = ?")
        .bind(name)
        .bind(id)
        .bind(user.company)
        .execute(&mut *transaction)
        .await?;
    if updated.rows_affected() == 0 {
        return Err(ApiError::not_found("department"));
    }
    audit::write(&mut transaction, user, Subject::Department(id), Change::Update, name).await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /departments/{id}`
pub(crate) async fn remove(
    State(service): State<Service>,
    user: User,
    Id(id): Id,
) -> Result<Json<delete::Deleted>, ApiError> {
    Ok(Json(user.scope().in_scope(delete(&service, user, id)).await?))
}

/// `POST /departments/{id}/roles`
pub(crate) async fn create_role(
    State(service): State<Service>,
    user: User,
    Id(department): Id,
    Body(role): Body<Role>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    let (name, brief) = (filled(&role.name)?, filled(&role.brief)?);
    let mut transaction = service.database.begin_with(database::WRITE).await?;
    let made = sqlx::query(
        "INSERT INTO roles (department_id, name, brief)
         SELECT id, ?, ? FROM departments WHERE id = ? AND company_id = ?",
    )
    .bind(name)
    .bind(brief)
    .bind(department)
    .bind(user.company)
    .execute(&mut *transaction)
    .await?;
    if made.rows_affected() == 0 {
        return Err(ApiError::not_found("department"));
    }
    let id = made.last_insert_rowid();
    audit::write(&mut transaction, user, Subject::Role(id), Change::Create, name).await?;
    transaction.commit().await?;
    Ok((StatusCode::CREATED, Json(Created { id })))
}

/// `PUT /roles/{id}`
pub(crate) async fn update_role(
    State(service): State<Service>,
    user: User,
    Id(id): Id,
    Body(role): Body<Role>,
) -> Result<StatusCode, ApiError> {
    let (name, brief) = (filled(&role.name)?, filled(&role.brief)?);
    let mut transaction = service.database.begin_with(database::WRITE).await?;
    let updated = sqlx::query(
        "UPDATE roles SET name = ?, brief = ?
         WHERE id = ? AND department_id IN (SELECT id FROM departments WHERE company_id = ?)",
    )
    .bind(name)
    .bind(brief)
    .bind(id)
    .bind(user.company)
    .execute(&mut *transaction)
    .await?;
    if updated.rows_affected() == 0 {
        return Err(ApiError::not_found("role"));
    }
    audit::write(&mut transaction, user, Subject::Role(id), Change::Update, name).await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /roles/{id}`
pub(crate) async fn remove_role(
    State(service): State<Service>,
    user: User,
    Id(id): Id,
) -> Result<StatusCode, ApiError> {
    let mut transaction = service.database.begin_with(database::WRITE).await?;
    let name: Option<String> = sqlx::query_scalar(
        "DELETE FROM roles
         WHERE id = ? AND department_id IN (SELECT id FROM departments WHERE company_id = ?) RETURNING name",
    )
    .bind(id)
    .bind(user.company)
    .fetch_optional(&mut *transaction)
    .await?;
    let name = name.ok_or_else(|| ApiError::not_found("role"))?;
    audit::write(&mut transaction, user, Subject::Role(id), Change::Delete, &name).await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns the trimmed text, or an error if it is empty.
fn filled(text: &str) -> Result<&str, ApiError> {
    let text = text.trim();
    if text.is_empty() { Err(ApiError::invalid("Names and briefs must not be empty.")) } else { Ok(text) }
}

/// Converts errors for the plain handlers. Processes have their own error types.
impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> ApiError {
        match error.as_database_error() {
            Some(error) if error.is_unique_violation() => {
                ApiError::new(StatusCode::CONFLICT, "name_taken", "This name is already in use.")
            }
            _ => ApiError::internal(),
        }
    }
}
