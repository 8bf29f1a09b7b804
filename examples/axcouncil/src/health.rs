//! What the endpoints below `/health` look at. Probes run processes for real, as a company of their own, and leave nothing
//! behind. A payment is not tried: what is known of that is what real payments show.

use process_runtime::health::{Detail, Health, Setup};
use process_runtime::{dependency_check, health_check};

use crate::auth::User;
use crate::council::{self, CouncilError, ModelError};
use crate::database::WRITE;
use crate::knowledge::{self, KnowledgeError};
use crate::service::Service;

/// Of migration 4.
const PROBE: User = User { id: 0, company: 0 };

/// The endpoints. Error texts are for whoever knows the token, if there is one.
pub(crate) fn endpoints(service: Service, token: Option<String>) -> Health {
    Setup::new()
        .with(service)
        .needs(["sqlite"])
        // All replicas share it: without it, each of them still does half of its work.
        .shows(["model_provider"])
        .alias("council", "council_deliberation_3stage")
        .alias("db", "sqlite")
        .alias("api", "model_provider")
        .detail(token.map_or(Detail::Never, Detail::Bearer))
        .start()
}

#[health_check(process = "council_deliberation_3stage")]
async fn the_council_deliberates(service: Service) -> Result<(), CouncilError> {
    let done = council::deliberate(&service, PROBE, "Does the council work?", None).await;
    forget(&service, "DELETE FROM deliberations WHERE company_id = 0").await;
    done.map(drop)
}

#[health_check(process = "knowledge_entry_save", timeout = "3s", every = "1m")]
async fn an_entry_is_kept(service: Service) -> Result<(), KnowledgeError> {
    let saved = knowledge::save(&service, PROBE, &knowledge::Entry::of_a_probe()).await;
    forget(&service, "DELETE FROM knowledge_entries WHERE company_id = 0").await;
    saved.map(drop)
}

/// What a probe left. What cannot be removed now, the next one removes.
async fn forget(service: &Service, statement: &'static str) {
    let _ = sqlx::query(statement).execute(&service.database).await;
}

/// That it can be written to: it may be locked, full, or read-only.
#[dependency_check(id = "sqlite", timeout = "2s")]
async fn sqlite_takes_a_write(service: Service) -> Result<(), sqlx::Error> {
    service.database.begin_with(WRITE).await?.rollback().await
}

#[dependency_check(id = "model_provider", timeout = "2s")]
async fn the_provider_lists_its_models(service: Service) -> Result<(), ModelError> {
    service.models.list().await
}
