//! The knowledge base: saved decisions, which the council can receive as context.

#[cfg(test)]
mod contracts;

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use process_runtime::{critical_process, record};
use serde::{Deserialize, Serialize};
use sqlx::SqlitePool;

use crate::api::Body;
use crate::auth::User;
use crate::database::{self, DatabaseError};
use crate::error::ApiError;
use crate::service::Service;

const MOST_TAGS: usize = 10;
const LONGEST_TAG: usize = 40;

/// The body of a request that saves an entry.
#[derive(Deserialize)]
pub(crate) struct Entry {
    title: String,
    body: String,
    #[serde(default)]
    tags: Vec<String>,
    /// Whether the council receives the entry with every question.
    #[serde(default)]
    auto_inject: bool,
    department_id: Option<i64>,
}

/// The saved entry.
#[derive(Serialize)]
pub(crate) struct Saved {
    id: i64,
    tags: BTreeSet<String>,
}

/// The reason why an entry is not saved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KnowledgeError {
    #[error("{0}")]
    Invalid(&'static str),
    #[error("the company does not have this department")]
    UnknownDepartment,
    #[error("the entry cannot be written")]
    Database(#[from] DatabaseError),
}

impl KnowledgeError {
    fn kind(&self) -> &'static str {
        match self {
            KnowledgeError::Invalid(_) => "invalid",
            KnowledgeError::UnknownDepartment => "unknown_department",
            KnowledgeError::Database(error) => error.kind(),
        }
    }
}

impl From<KnowledgeError> for ApiError {
    fn from(error: KnowledgeError) -> ApiError {
        match error {
            KnowledgeError::Invalid(what) => ApiError::invalid(what),
            KnowledgeError::UnknownDepartment => ApiError::not_found("department"),
            KnowledgeError::Database(_) => ApiError::internal(),
        }
    }
}

/// `POST /knowledge`
pub(crate) async fn create(
    State(service): State<Service>,
    user: User,
    Body(entry): Body<Entry>,
) -> Result<(StatusCode, Json<Saved>), ApiError> {
    let saved = user.scope().in_scope(save(&service, user, &entry)).await?;
    Ok((StatusCode::CREATED, Json(saved)))
}

/// Saves an entry and its tags, both or neither.
#[critical_process(
    id = "knowledge_entry_save",
    version = "1.0.0",
    sla = "3s",
    criticality = medium,
    owner = "knowledge",
    runbook = "docs/runbooks/knowledge.md",
    context(auto_inject = entry.auto_inject, inherit(user_id, company_id), later(entry_id)),
    rejects(KnowledgeError::Invalid(_) | KnowledgeError::UnknownDepartment),
    error_type = KnowledgeError::kind,
    depends_on("sqlite"),
)]
async fn save(service: &Service, user: User, entry: &Entry) -> Result<Saved, KnowledgeError> {
    let (title, body) = (entry.title.trim(), entry.body.trim());
    if title.is_empty() || body.is_empty() {
        return Err(KnowledgeError::Invalid("An entry needs a title and a body."));
    }
    let tags = tags(&entry.tags)?;
    let written = service.sqlite(write(&service.database, user, entry, (title, body), &tags)).await?;
    let id = written.ok_or(KnowledgeError::UnknownDepartment)?;
    record!(entry_id = id);
    Ok(Saved { id, tags })
}

/// Writes an entry in one transaction. Returns `None` if the company does not have the department. An early return or a
/// client that hangs up drops the transaction, and nothing is written.
async fn write(
    database: &SqlitePool,
    user: User,
    entry: &Entry,
    (title, body): (&str, &str),
    tags: &BTreeSet<String>,
) -> sqlx::Result<Option<i64>> {
    let mut transaction = database.begin_with(database::WRITE).await?;
    if let Some(department) = entry.department_id {
        let known = sqlx::query("SELECT 1 FROM departments WHERE id = ? AND company_id = ?")
            .bind(department)
            .bind(user.company)
            .fetch_optional(&mut *transaction)
            .await?;
        if known.is_none() {
            return Ok(None);
        }
    }
    let id = sqlx::query(
        "INSERT INTO knowledge_entries (company_id, department_id, author_id, title, body, auto_inject)
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(user.company)
    .bind(entry.department_id)
    .bind(user.id)
    .bind(title)
    .bind(body)
    .bind(entry.auto_inject)
    .execute(&mut *transaction)
    .await?
    .last_insert_rowid();
    for tag in tags {
        sqlx::query("INSERT INTO knowledge_tags (entry_id, tag) VALUES (?, ?)")
            .bind(id)
            .bind(tag)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(Some(id))
}

/// Returns the tags to save, in lower case and without duplicates.
fn tags(written: &[String]) -> Result<BTreeSet<String>, KnowledgeError> {
    let tags: BTreeSet<String> = written.iter().map(|tag| tag.trim().to_lowercase()).collect();
    if tags.len() > MOST_TAGS {
        return Err(KnowledgeError::Invalid("An entry has at most ten tags."));
    }
    if tags.iter().any(|tag| tag.is_empty() || tag.chars().count() > LONGEST_TAG) {
        return Err(KnowledgeError::Invalid("A tag has between 1 and 40 characters."));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_kept_once_however_it_is_written() {
        let written = ["Pricing", " pricing ", "EU"].map(str::to_owned);
        assert!(tags(&written).expect("they are fine").iter().eq(["eu", "pricing"]));
    }

    #[test]
    fn an_empty_tag_is_refused() {
        assert!(tags(&[" ".to_owned()]).is_err());
    }
}
