//! The handle [`Health`], which has a method for each endpoint. Set-up, schedules and the forms of a response do not
//! belong here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::check::Status;
use super::health_report::{PartReport, Report};
use super::response::{Endpoint, Form, Request, Response};
use super::shared::{Shared, Subject};
use crate::base::guard::attempt;
use crate::catalog::registry;

/// The health endpoints of a program.
///
/// All clones share one state. With feature `axum`, each clone is a `tower_service::Service`. The schedules of the
/// checks end when the last clone is dropped.
#[derive(Clone, Debug)]
#[must_use = "the schedules of the checks end when this is dropped"]
pub struct Health {
    shared: Arc<Shared>,
}

impl Health {
    pub(super) fn new(shared: Arc<Shared>) -> Health {
        Health { shared }
    }

    /// Marks start-up as finished. Use it with
    /// [`Setup::wait_for_mark_started`](crate::health::Setup::wait_for_mark_started).
    pub fn mark_started(&self) {
        self.shared.mark_started();
    }

    /// Makes readiness fail from now on, and ends the schedules. Call it before the program stops taking requests, so
    /// that a load balancer sends new requests elsewhere.
    pub fn begin_shutdown(&self) {
        self.shared.begin_shutdown();
    }

    /// Responds to a request within [`RESPONSE_TIMEOUT`](crate::health::RESPONSE_TIMEOUT). Use it in a framework that
    /// does not accept tower services.
    ///
    /// # Panics
    /// Panics if it must wait for a check while it is polled outside a tokio runtime, or in a runtime without a
    /// timer.
    pub async fn respond(&self, request: Request<'_>) -> Response {
        let is_head = request.method == "HEAD";
        let mut response = match request.method {
            "GET" | "HEAD" => self.respond_to_get(&request).await,
            _ => Response::method_not_allowed(),
        };
        if is_head {
            response.body.clear();
        }
        response
    }

    async fn respond_to_get(&self, request: &Request<'_>) -> Response {
        let endpoint = Endpoint::parse(request.path);
        let report = match endpoint {
            None => None,
            Some(Endpoint::OpenApi) => return Response::openapi(&self.shared.names()),
            Some(Endpoint::Overall) => Some(self.overall().await),
            Some(Endpoint::Live) => Some(self.liveness()),
            Some(Endpoint::Started) => Some(self.startup()),
            Some(Endpoint::Ready) => Some(self.readiness().await),
            Some(Endpoint::Named(name)) => self.report(name).await,
        };
        let Some(report) = report else { return Response::not_found(endpoint, &self.shared.names()) };
        let with_detail = self.shared.config.detail.is_allowed(request.authorization);
        Response::from_report(&report, Form::negotiate(request.accept), with_detail)
    }

    /// Reports on every process, and on every dependency that has a check.
    pub async fn overall(&self) -> Report {
        let shared = &self.shared;
        let asked = shared.execute(shared.checks.iter()).await;
        let dependencies = shared.dependencies().map(|(id, check)| Subject::Dependency(id, check));
        let mut parts = BTreeMap::new();
        for subject in dependencies.chain(registry::all().map(Subject::Process)) {
            add_worse(&mut parts, subject.id(), shared.report(subject, asked).into_part());
        }
        Report::from_parts(parts)
    }

    /// Reports whether the program itself works. It does if all checks that
    /// [`Setup::liveness`](crate::health::Setup::liveness) added succeed.
    pub fn liveness(&self) -> Report {
        let parts = self.shared.config.liveness.iter().map(|(name, check)| {
            let result = attempt(check).unwrap_or_else(|_| Err("the check panicked".to_owned()));
            let status = if result.is_ok() { Status::Pass } else { Status::Fail };
            ((*name).to_owned(), PartReport::new(status, result.err()))
        });
        Report::from_parts(parts.collect())
    }

    /// Reports whether start-up is finished.
    pub fn startup(&self) -> Report {
        let status = if self.shared.has_started() { Status::Pass } else { Status::Fail };
        let output = (status == Status::Fail).then(|| "start-up is not finished".to_owned());
        Report::from_parts(BTreeMap::from([("startup".to_owned(), PartReport::new(status, output))]))
    }

    /// Reports whether the program can take requests. It can if its start-up is finished, its shutdown has not begun,
    /// and no process or dependency that [`Setup::require`](crate::health::Setup::require) names fails.
    pub async fn readiness(&self) -> Report {
        let (shared, config) = (&self.shared, &self.shared.config);
        let mut parts = self.startup().parts;
        if shared.is_stopping() {
            let part = PartReport::new(Status::Fail, Some("the program is shutting down".to_owned()));
            parts.insert("shutdown".to_owned(), part);
        }
        // If start-up or shutdown already makes readiness fail, the checks are not executed.
        if parts.values().all(|part| part.status != Status::Fail) {
            let ids = config.required.iter().chain(&config.report_only);
            let subjects = ids.filter_map(|id| shared.by_id(id));
            let checks: Vec<_> = subjects.flat_map(|subject| shared.checks_of(subject)).collect();
            let asked = shared.execute(checks.into_iter()).await;
            let report = |id: &String| match shared.by_id(id) {
                Some(subject) => shared.report(subject, asked).into_part(),
                None => PartReport::new(Status::Fail, Some("no process or check has this id".to_owned())),
            };
            config.required.iter().for_each(|id| add_worse(&mut parts, id, report(id)));
            for id in &config.report_only {
                let part = report(id);
                add_worse(&mut parts, id, PartReport { status: part.status.at_most_warn(), ..part });
            }
        }
        Report::from_parts(parts)
    }

    /// Reports on the process or dependency with this id or alias. Returns `None` if neither a process nor a
    /// dependency with a check has this id or alias.
    pub async fn report(&self, id: &str) -> Option<Report> {
        let subject = self.shared.by_name(id)?;
        let asked = self.shared.execute(self.shared.checks_of(subject).into_iter()).await;
        Some(self.shared.report(subject, asked))
    }
}

/// Adds a part. If a part with this name already exists, the part with the worse status remains.
fn add_worse(parts: &mut BTreeMap<String, PartReport>, name: &str, part: PartReport) {
    match parts.entry(name.to_owned()) {
        Entry::Vacant(entry) => drop(entry.insert(part)),
        Entry::Occupied(mut entry) if entry.get().status < part.status => drop(entry.insert(part)),
        Entry::Occupied(_) => {}
    }
}
