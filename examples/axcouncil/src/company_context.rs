//! The text about a company that the models read before the company's question.

#[cfg(test)]
mod contracts;

use std::fmt;

use process_runtime::{critical_process, record};

use crate::database::DatabaseError;
use crate::service::Service;

/// The maximum number of knowledge entries in a prompt. The latest entries are used.
const MOST_ENTRIES: i64 = 20;

/// The text that every model reads, always in this order: company, department, question.
#[derive(Debug)]
pub(crate) struct Prompt {
    company: String,
    department: Option<String>,
    query: String,
}

impl fmt::Display for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Company\n{}", self.company)?;
        if let Some(department) = &self.department {
            writeln!(f, "# Department\n{department}")?;
        }
        write!(f, "# Question\n{}", self.query)
    }
}

/// The reason why the context cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextError {
    #[error("the company does not have this department")]
    UnknownDepartment,
    #[error("the context cannot be read")]
    Database(#[from] DatabaseError),
}

impl ContextError {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            ContextError::UnknownDepartment => "unknown_department",
            ContextError::Database(error) => error.kind(),
        }
    }
}

/// Collects what the models must know about a company: its playbook, the injected knowledge entries, and the
/// department with its roles.
#[critical_process(
    id = "company_context_load",
    version = "1.0.0",
    sla = "5s",
    criticality = high,
    owner = "knowledge",
    runbook = "docs/runbooks/company_context.md",
    context(company_id, department_id, inherit(user_id), later(entry_count)),
    rejects(ContextError::UnknownDepartment),
    error_type = ContextError::kind,
    depends_on("sqlite"),
)]
pub(crate) async fn load(
    service: &Service,
    company_id: i64,
    department_id: Option<i64>,
    query: &str,
) -> Result<Prompt, ContextError> {
    let (name, playbook): (String, String) = service
        .sqlite(
            sqlx::query_as("SELECT name, playbook FROM companies WHERE id = ?")
                .bind(company_id)
                .fetch_one(&service.database),
        )
        .await?;
    let entries: Vec<(String, String)> = service
        .sqlite(
            sqlx::query_as(
                "SELECT title, body FROM knowledge_entries WHERE company_id = ? AND auto_inject = 1
                 ORDER BY id DESC LIMIT ?",
            )
            .bind(company_id)
            .bind(MOST_ENTRIES)
            .fetch_all(&service.database),
        )
        .await?;
    record!(entry_count = entries.len());

    let mut company = format!("{name}\n{playbook}\n");
    company.extend(entries.iter().map(|(title, body)| format!("- {title}: {body}\n")));
    let department = match department_id {
        Some(id) => Some(department(service, company_id, id).await?),
        None => None,
    };
    Ok(Prompt { company, department, query: query.to_owned() })
}

async fn department(service: &Service, company: i64, id: i64) -> Result<String, ContextError> {
    let name: Option<String> = service
        .sqlite(
            sqlx::query_scalar("SELECT name FROM departments WHERE id = ? AND company_id = ?")
                .bind(id)
                .bind(company)
                .fetch_optional(&service.database),
        )
        .await?;
    let name = name.ok_or(ContextError::UnknownDepartment)?;
    let roles: Vec<(String, String)> = service
        .sqlite(
            sqlx::query_as("SELECT name, brief FROM roles WHERE department_id = ? ORDER BY name")
                .bind(id)
                .fetch_all(&service.database),
        )
        .await?;
    let roles = roles.iter().map(|(name, brief)| format!("- {name}: {brief}\n"));
    Ok(std::iter::once(format!("{name}\n")).chain(roles).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn company_comes_before_department_before_query() {
        let prompt =
            Prompt { company: "Acme".into(), department: Some("Sales".into()), query: "Why?".into() };
        assert_eq!(prompt.to_string(), "# Company\nAcme\n# Department\nSales\n# Question\nWhy?");
    }
}
