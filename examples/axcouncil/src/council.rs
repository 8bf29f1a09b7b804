//! The council, which answers a question in three stages.

#[cfg(test)]
mod contracts;
mod models;
mod stages;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use process_runtime::{critical_process, record};
use serde::{Deserialize, Serialize};

use self::models::Answer;
pub(crate) use self::models::{ModelError, Models};
use crate::api::Body;
use crate::auth::User;
use crate::company_context::{self, ContextError};
use crate::database::DatabaseError;
use crate::error::ApiError;
use crate::service::Service;

/// The body of a request for a deliberation.
#[derive(Deserialize)]
pub(crate) struct Question {
    question: String,
    department_id: Option<i64>,
}

/// The result of a deliberation.
#[derive(Debug, Serialize)]
pub(crate) struct Deliberation {
    answer: String,
    /// The models in the order of their ranks, the best first.
    ranking: Vec<String>,
    /// Whether the chairman exceeded its limit. The answer is then the best answer of a model.
    used_fallback: bool,
}

impl Deliberation {
    fn used_fallback(&self) -> bool {
        self.used_fallback
    }
}

/// The reason why a deliberation fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CouncilError {
    #[error("the question is empty")]
    EmptyQuestion,
    #[error("the company's council has no members")]
    NoMembers,
    #[error(transparent)]
    Context(#[from] ContextError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("the council cannot be read, or the deliberation cannot be saved")]
    Database(#[from] DatabaseError),
}

impl CouncilError {
    fn kind(&self) -> &'static str {
        match self {
            CouncilError::EmptyQuestion => "empty_question",
            CouncilError::NoMembers => "no_members",
            CouncilError::Context(error) => error.kind(),
            CouncilError::Model(error) => error.kind(),
            CouncilError::Database(error) => error.kind(),
        }
    }
}

impl From<CouncilError> for ApiError {
    fn from(error: CouncilError) -> ApiError {
        match error {
            CouncilError::EmptyQuestion => ApiError::invalid("The question is empty."),
            CouncilError::Context(ContextError::UnknownDepartment) => ApiError::not_found("department"),
            CouncilError::Model(_) => ApiError::new(
                StatusCode::BAD_GATEWAY,
                "council_unavailable",
                "The models of the council are not available.",
            ),
            _ => ApiError::internal(),
        }
    }
}

/// `POST /deliberations`
pub(crate) async fn create(
    State(service): State<Service>,
    user: User,
    Body(asked): Body<Question>,
) -> Result<Json<Deliberation>, ApiError> {
    let run = deliberate(&service, user, &asked.question, asked.department_id);
    Ok(Json(user.scope().in_scope(run).await?))
}

/// Lets the models of the company answer the question and rank one another's answers. Then a chairman writes the
/// synthesis.
#[critical_process(
    id = "council_deliberation_3stage",
    version = "2.1.0",
    sla = "120s",
    name = "AI Council Deliberation",
    criticality = critical,
    owner = "council",
    runbook = "docs/runbooks/council.md",
    context(query = truncate(question, 100), department_id, inherit(user_id, company_id), later(model_count)),
    rejects(CouncilError::EmptyQuestion | CouncilError::Context(ContextError::UnknownDepartment)),
    degraded = Deliberation::used_fallback,
    error_type = CouncilError::kind,
    depends_on("company_context_load", "model_provider", "sqlite"),
)]
pub(crate) async fn deliberate(
    service: &Service,
    user: User,
    question: &str,
    department_id: Option<i64>,
) -> Result<Deliberation, CouncilError> {
    if question.trim().is_empty() {
        return Err(CouncilError::EmptyQuestion);
    }
    let prompt = company_context::load(service, user.company, department_id, question).await?.to_string();
    let council = Council::of(service, user.company).await?;
    record!(model_count = council.members.len());

    let answers = stages::answer(&service.models, &council.members, &prompt).await?;
    let ranked = stages::rank(&service.models, &prompt, answers).await?;
    let synthesis = stages::synthesize(&service.models, &council.chairman, &prompt, &ranked);
    let (answer, used_fallback) = match process_runtime::timeout(service.limits.synthesis, synthesis).await {
        Ok(synthesis) => (synthesis?, false),
        Err(_) => (ranked.first().ok_or(CouncilError::NoMembers)?.text.clone(), true),
    };
    let ranking = ranked.into_iter().map(|answer| answer.model).collect();
    let deliberation = Deliberation { answer, ranking, used_fallback };
    keep(service, user, question, &deliberation).await?;
    Ok(deliberation)
}

/// The models that answer, and the model that writes the synthesis.
struct Council {
    members: Vec<String>,
    chairman: String,
}

impl Council {
    async fn of(service: &Service, company: i64) -> Result<Council, CouncilError> {
        let chairman = service
            .sqlite(
                sqlx::query_scalar("SELECT chairman FROM companies WHERE id = ?")
                    .bind(company)
                    .fetch_one(&service.database),
            )
            .await?;
        let members: Vec<String> = service
            .sqlite(
                sqlx::query_scalar("SELECT model FROM council_members WHERE company_id = ? ORDER BY seat")
                    .bind(company)
                    .fetch_all(&service.database),
            )
            .await?;
        if members.is_empty() {
            return Err(CouncilError::NoMembers);
        }
        Ok(Council { members, chairman })
    }
}

async fn keep(
    service: &Service,
    user: User,
    question: &str,
    done: &Deliberation,
) -> Result<(), DatabaseError> {
    service
        .sqlite(
            sqlx::query(
                "INSERT INTO deliberations (company_id, user_id, question, answer, used_fallback)
                 VALUES (?, ?, ?, ?, ?)",
            )
            .bind(user.company)
            .bind(user.id)
            .bind(question)
            .bind(&done.answer)
            .bind(done.used_fallback)
            .execute(&service.database),
        )
        .await?;
    Ok(())
}
