//! The handle [`Health`], which has a method for each endpoint. Set-up, schedules and the forms of a response do not
//! belong here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::check::{Condition, Reason, Status};
use super::health_report::{PartReport, Report, add_worse};
use super::response::{Endpoint, Form, Request, Response};
use super::shared::{Shared, Subject};
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
    pub async fn respond(&self, request: Request<'_>) -> Response {
        self.shared.liveness.adopt();
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

    /// Reports whether the program itself works. It does if its runtime runs tasks, and all checks that
    /// [`Setup::liveness`](crate::health::Setup::liveness) added succeed. Its runtime is the one that called
    /// [`Setup::start`](crate::health::Setup::start). If this was called outside a runtime, it is the runtime of the
    /// first request.
    ///
    /// A check that blocks delays the report by at most 50 ms. Until the check returns, its previous result counts. If
    /// its previous execution took longer than 5 ms, the report does not wait for it. The check fails if it takes
    /// longer than 30 s, or than a shorter limit of [`Setup::heartbeat`](crate::health::Setup::heartbeat), also if it
    /// then returns `Ok`.
    pub fn liveness(&self) -> Report {
        self.shared.liveness.report()
    }

    /// Reports whether start-up is finished.
    pub fn startup(&self) -> Report {
        let condition = match self.shared.has_started() {
            true => Condition::PASS,
            false => Condition::new(Status::Fail, Reason::Starting, "start-up is not finished"),
        };
        Report::from_parts(BTreeMap::from([("startup".to_owned(), PartReport::new(condition))]))
    }

    /// Reports whether the program can take requests. It can if its start-up is finished, its shutdown has not begun,
    /// and no process or dependency that [`Setup::require`](crate::health::Setup::require) names fails.
    pub async fn readiness(&self) -> Report {
        let (shared, config) = (&self.shared, &self.shared.config);
        let mut parts = self.startup().parts;
        if shared.is_stopping() {
            let stopping = Condition::new(Status::Fail, Reason::Stopping, "the program is shutting down");
            parts.insert("shutdown".to_owned(), PartReport::new(stopping));
        }
        // If start-up or shutdown already makes readiness fail, the checks are not executed.
        if parts.values().all(|part| part.status != Status::Fail) {
            let ids = config.required.iter().chain(&config.report_only);
            let subjects = ids.filter_map(|id| shared.by_id(id));
            let checks: Vec<_> = subjects.flat_map(|subject| shared.checks_of(subject)).collect();
            let asked = shared.execute(checks.into_iter()).await;
            let report = |id: &String| match shared.by_id(id) {
                Some(subject) => shared.report(subject, asked).into_part(),
                None => {
                    let text = "no process or check has this id";
                    PartReport::new(Condition::new(Status::Fail, Reason::CheckFailed, text))
                }
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
