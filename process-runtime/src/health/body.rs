//! Writes a report in one of two JSON forms, `application/json` or `application/health+json`. The choice of the form
//! does not belong here (`response`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::check::{Reason, Status};
use super::health_report::{PartReport, Report};
use crate::base::foreign::quote;

/// Writes a report as `application/json`.
pub(super) fn json(report: &Report, with_detail: bool) -> String {
    written(&JsonBody::new(report, with_detail))
}

/// Writes a report as `application/health+json`.
pub(super) fn health_json(report: &Report, with_detail: bool) -> String {
    written(&HealthJsonBody::new(report, with_detail))
}

/// Writes a body. Characters that change how a terminal shows the text around them are escaped. JSON does not require
/// this, and they can only be inside a string, where the escape means the same.
fn written(body: &impl Serialize) -> String {
    let json = serde_json::to_string(body).unwrap_or_default();
    quote::line(&json).into_owned()
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

/// Converts a duration into milliseconds, rounded down to a whole microsecond.
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Returns the status that the draft has for a status. It has none for an unknown status.
fn draft_status(status: Status) -> &'static str {
    if status == Status::Unknown { Status::Pass.as_str() } else { status.as_str() }
}

/// Returns the text of a status in the form of the draft. Because the draft writes an unknown status as a pass, every
/// client may read that it is unknown. The draft forbids a text for a real pass.
fn draft_output<'r>(
    status: Status,
    reason: Option<Reason>,
    output: Option<&'r str>,
    with_detail: bool,
) -> Option<Cow<'r, str>> {
    let output = output.filter(|_| with_detail && status != Status::Pass).map(Cow::Borrowed);
    match (status, reason) {
        (Status::Unknown, Some(reason)) => {
            let text = output.map(|output| format!("; {output}")).unwrap_or_default();
            Some(Cow::Owned(format!("unknown: {}{text}", reason.as_str())))
        }
        _ => output,
    }
}

#[derive(Serialize)]
struct JsonBody<'r> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Written only if the status is not `unhealthy`. A monitor that searches the body for a text needs this field,
    /// because the text `unhealthy` contains `healthy`.
    #[serde(skip_serializing_if = "is_false")]
    serving: bool,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_id: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dependency_id: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'r str>,
    checks: BTreeMap<&'r str, &'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    reasons: BTreeMap<&'r str, &'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<BTreeMap<&'r str, JsonPart<'r>>>,
}

#[derive(Serialize)]
struct JsonPart<'r> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'r str>,
}

impl<'r> JsonBody<'r> {
    fn new(report: &'r Report, with_detail: bool) -> JsonBody<'r> {
        let part = |part: &'r PartReport| JsonPart {
            status: part.status.as_str(),
            reason: part.reason.map(Reason::as_str),
            checked_at: part.checked_at.map(time),
            latency_ms: part.latency.map(millis),
            output: part.output.as_deref(),
        };
        let reason = |(name, part): (&'r String, &PartReport)| Some((name.as_str(), part.reason?.as_str()));
        let details = || report.parts.iter().map(|(name, report)| (name.as_str(), part(report))).collect();
        JsonBody {
            status: report.status.as_overall_str(),
            reason: report.reason.map(Reason::as_str),
            serving: report.status != Status::Fail,
            timestamp: time(SystemTime::now()),
            process_id: report.process.map(|process| process.id()),
            dependency_id: report.dependency,
            version: report.process.map(|process| process.version()).filter(|_| with_detail),
            source: report.source.map(|source| source.as_str()),
            checked_at: report.checked_at.map(time),
            age_s: report.age.map(|age| millis(age) / 1e3),
            latency_ms: report.latency.map(millis),
            error: report.output.as_deref().filter(|_| with_detail),
            checks: report.parts.iter().map(|(name, part)| (name.as_str(), part.status.as_str())).collect(),
            reasons: report.parts.iter().filter_map(reason).collect(),
            details: with_detail.then(details),
        }
    }
}

/// The body that [draft-inadarei-api-health-check] specifies, with the additional fields `serving` and `reason`.
///
/// [draft-inadarei-api-health-check]: https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HealthJsonBody<'r> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "is_false")]
    serving: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_id: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Cow<'r, str>>,
    checks: BTreeMap<String, [HealthJsonCheck<'r>; 1]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HealthJsonCheck<'r> {
    component_id: &'r str,
    component_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_unit: Option<&'static str>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Cow<'r, str>>,
}

impl<'r> HealthJsonBody<'r> {
    fn new(report: &'r Report, with_detail: bool) -> HealthJsonBody<'r> {
        let parts = report.parts.iter().map(|(name, part)| {
            let latency = part.latency.filter(|_| with_detail);
            let checked_at = part.checked_at.filter(|_| with_detail);
            let output = draft_output(part.status, part.reason, part.output.as_deref(), with_detail);
            HealthJsonCheck::new(name, (part.status, part.reason), latency, checked_at, output)
        });
        let output = draft_output(report.status, report.reason, report.output.as_deref(), with_detail);
        let id = report.process.map(|process| process.id()).or(report.dependency);
        let own = id.filter(|_| report.checked_at.is_some()).map(|id| {
            let condition = (report.status, report.reason);
            HealthJsonCheck::new(id, condition, report.latency, report.checked_at, output.clone())
        });
        HealthJsonBody {
            status: draft_status(report.status),
            reason: report.reason.map(Reason::as_str),
            serving: report.status != Status::Fail,
            service_id: report.process.map(|process| process.id()),
            version: report.process.map(|process| process.version()).filter(|_| with_detail),
            description: report.process.map(|process| process.name()),
            checks: own.into_iter().chain(parts).collect(),
            output,
        }
    }
}

impl<'r> HealthJsonCheck<'r> {
    /// Returns the check under its key.
    fn new(
        name: &'r str,
        (status, reason): (Status, Option<Reason>),
        latency: Option<Duration>,
        at: Option<SystemTime>,
        output: Option<Cow<'r, str>>,
    ) -> (String, [HealthJsonCheck<'r>; 1]) {
        let measured = if latency.is_some() { "responseTime" } else { "status" };
        let check = HealthJsonCheck {
            component_id: name,
            component_type: "component",
            observed_value: latency.map(millis),
            observed_unit: latency.map(|_| "ms"),
            status: draft_status(status),
            reason: reason.map(Reason::as_str),
            time: at.map(time),
            output,
        };
        // The draft forbids a colon in the first part of the key. The name of a part may be one that the application
        // has chosen.
        let name = if name.is_empty() { "_".to_owned() } else { name.replace(':', "_") };
        (format!("{name}:{measured}"), [check])
    }
}
