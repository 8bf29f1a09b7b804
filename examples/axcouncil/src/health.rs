//! The checks behind the endpoints under `/health`. A probe is a check that runs a process for real, as a company
//! that exists for this purpose, and deletes what the run creates. Payments, writes and logins have no probe. The
//! runs of real users decide their state, which is never a failure, because any client can make a run fail.

use process_runtime::health::{Detail, Health, Setup};
use process_runtime::{dependency_check, health_check};

use crate::auth::User;
use crate::company_context::{self, ContextError};
use crate::council::{self, CouncilError, ModelError};
use crate::database::WRITE;
use crate::service::Service;

/// The user that migration 4 creates for probes.
const PROBE: User = User { id: 0, company: 0 };

/// Returns the endpoints. The answers contain error texts only for clients that send the token. Without a configured
/// token, no answer contains error texts.
pub(crate) fn endpoints(service: Service, token: Option<String>) -> Health {
    Setup::new()
        .with(service)
        .require(["sqlite"])
        // All replicas share the model provider, so its failure must not take every replica out of service. Half of
        // the routes still work without the model provider.
        .report_only(["model_provider"])
        .alias("council", "council_deliberation_3stage")
        .alias("db", "sqlite")
        .alias("api", "model_provider")
        .alias("login", "user_authentication")
        .detail(token.map_or(Detail::Never, Detail::Bearer))
        .start()
}

// The models of the example cost nothing. If each call cost money, `every = "1h"` would run the probe once an hour,
// however many requests arrive.
#[health_check(process = "council_deliberation_3stage")]
async fn the_council_deliberates(service: Service) -> Result<(), CouncilError> {
    let done = council::deliberate(&service, PROBE, "Does the council work?", None).await;
    // Removes what the probe stored. If that fails now, the next probe removes it.
    let forget = sqlx::query("DELETE FROM deliberations WHERE company_id = 0");
    let _ = forget.execute(&service.database).await;
    done.map(drop)
}

#[health_check(process = "company_context_load", timeout = "3s", every = "1m")]
async fn the_context_of_a_company_is_loaded(service: Service) -> Result<(), ContextError> {
    company_context::load(&service, PROBE.company, None, "Does the council work?").await.map(drop)
}

/// Checks that the database accepts a transaction that writes. The check fails while another connection locks the
/// database.
#[dependency_check(id = "sqlite", timeout = "2s")]
async fn sqlite_takes_a_write(service: Service) -> Result<(), sqlx::Error> {
    service.database.begin_with(WRITE).await?.rollback().await
}

#[dependency_check(id = "model_provider", timeout = "2s")]
async fn the_provider_lists_its_models(service: Service) -> Result<(), ModelError> {
    service.models.list().await
}
