//! The audit log, which records which user changed what. A change and its row in the log belong to one transaction,
//! so neither exists without the other.

use sqlx::{Sqlite, Transaction};

use crate::auth::User;

/// The changed object.
#[derive(Clone, Copy)]
pub(super) enum Subject {
    Department(i64),
    Role(i64),
}

/// The kind of change.
#[derive(Clone, Copy)]
pub(super) enum Change {
    Create,
    Update,
    Delete,
}

/// Adds a row to the audit log, in the transaction of the change.
pub(super) async fn write(
    transaction: &mut Transaction<'_, Sqlite>,
    user: User,
    subject: Subject,
    change: Change,
    detail: &str,
) -> sqlx::Result<()> {
    let (kind, id) = match subject {
        Subject::Department(id) => ("department", id),
        Subject::Role(id) => ("role", id),
    };
    let change = match change {
        Change::Create => "create",
        Change::Update => "update",
        Change::Delete => "delete",
    };
    sqlx::query(
        "INSERT INTO audit_log (company_id, user_id, action, subject, detail) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(user.company)
    .bind(user.id)
    .bind(format!("{kind}_{change}"))
    .bind(format!("{kind} {id}"))
    .bind(detail)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
