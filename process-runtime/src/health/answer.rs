//! Answers: which path asks for what, and the two forms of a report. No framework, and nothing that a request says is
//! repeated but a short, plain id.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit as _, Mac as _};
use process_model::nearest;
use serde::Serialize;
use sha2::Sha256;

use super::report::{PartReport, Report};
use super::status::Status;

/// The longest id that is looked up.
const LONGEST: usize = 64;

/// The media type of [draft-inadarei-api-health-check](https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06).
pub(super) const HEALTH_JSON: &str = "application/health+json";
const JSON: &str = "application/json";

const OPENAPI: &str = include_str!("../../schemas/health.openapi.json");
const SCHEMAS: [(&str, &str); 2] = [
    ("Health", include_str!("../../schemas/health.schema.json")),
    ("HealthJson", include_str!("../../schemas/health+json.schema.json")),
];

/// What of a request matters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'r> {
    /// `GET`, `HEAD`, or anything else, which is refused.
    pub method: &'r str,
    /// Below the place of the endpoints, or with `/health` before it: `/live`, `/health/live`.
    pub path: &'r str,
    /// The header `Accept`.
    pub accept: Option<&'r str>,
    /// The header `Authorization`.
    pub authorization: Option<&'r str>,
}

/// An answer, to be written as HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// 200, 503; 404 for what is not there, 405 for another method.
    pub status: u16,
    /// Every header.
    pub headers: Vec<(&'static str, &'static str)>,
    /// JSON; nothing for `HEAD`.
    pub body: String,
}

/// Which endpoint a path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint<'r> {
    Overall,
    Live,
    Ready,
    Started,
    OpenApi,
    Of(&'r str),
}

impl<'r> Endpoint<'r> {
    /// What a path asks for; nothing where it is none of ours.
    pub(super) fn of(path: &'r str) -> Option<Endpoint<'r>> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let is_below = |rest: &&str| rest.is_empty() || rest.starts_with('/');
        let path = path.strip_prefix("/health").filter(is_below).unwrap_or(path);
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        match path {
            "" => Some(Endpoint::Overall),
            "live" => Some(Endpoint::Live),
            "ready" => Some(Endpoint::Ready),
            "started" => Some(Endpoint::Started),
            "openapi.json" => Some(Endpoint::OpenApi),
            id => (id.len() <= LONGEST && id.bytes().all(is_plain)).then_some(Endpoint::Of(id)),
        }
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Who may read error text, versions and times of parts. Error text is what errors say of themselves: whoever may read it
/// reads what a driver puts there.
#[derive(Clone, Default)]
pub enum Detail {
    /// Nobody. The default.
    #[default]
    Never,
    /// Everybody who can ask.
    Always,
    /// Who says `Authorization: Bearer <token>` with this token; spaces around it are none of it, and an empty one is
    /// nobody's.
    Bearer(String),
}

impl std::fmt::Debug for Detail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Detail::Never => "Never",
            Detail::Always => "Always",
            Detail::Bearer(_) => "Bearer(…)",
        })
    }
}

impl Detail {
    /// Whether whoever says this may read it. How long that takes says nothing of the token.
    pub(super) fn is_allowed(&self, authorization: Option<&str>) -> bool {
        match self {
            Detail::Never => false,
            Detail::Always => true,
            Detail::Bearer(token) => {
                let said = authorization.and_then(|header| header.split_once(' '));
                let said = said.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
                // As it stands in a file, perhaps.
                let token = token.trim();
                !token.is_empty() && said.is_some_and(|(_, said)| is_same(token, said.trim()))
            }
        }
    }
}

/// Compares what has been hashed, and thus is of one length and no attacker's choice.
fn is_same(token: &str, said: &str) -> bool {
    let mac = |text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).ok()?;
        mac.update(text.as_bytes());
        Some(mac)
    };
    let (Some(own), Some(said)) = (mac(token), mac(said)) else { return false };
    own.verify(&said.finalize().into_bytes()).is_ok()
}

/// The forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    HealthJson,
}

impl Form {
    /// `application/health+json` where it is named, and wanted no less than plain JSON.
    pub(super) fn of(accept: Option<&str>) -> Form {
        let quality = |media: &str| {
            let ranges = accept.unwrap_or_default().split(',').filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let named = parts.next()?.eq_ignore_ascii_case(media);
                let said = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
                let quality = said.map_or(Some(1.0), |said| said.trim().parse::<f32>().ok())?;
                named.then_some(quality)
            });
            ranges.fold(0.0, f32::max)
        };
        let health = quality(HEALTH_JSON);
        if health > 0.0 && health >= quality(JSON) { Form::HealthJson } else { Form::Json }
    }

    fn media(self) -> &'static str {
        match self {
            Form::Json => JSON,
            Form::HealthJson => HEALTH_JSON,
        }
    }
}

impl Answer {
    pub(super) fn new(status: u16, media: &'static str, body: String) -> Answer {
        // Health that somebody keeps is not health any more, and what it says depends on who asks.
        let headers =
            vec![("content-type", media), ("cache-control", "no-store"), ("vary", "accept, authorization")];
        Answer { status, headers, body }
    }

    /// A report, in this form.
    pub(super) fn of(report: &Report, form: Form, with_detail: bool) -> Answer {
        let status = report.status.http();
        let body = match form {
            Form::Json => serde_json::to_string(&Plain::of(report, with_detail)),
            Form::HealthJson => serde_json::to_string(&Draft::of(report, with_detail)),
        };
        Answer::new(status, form.media(), body.unwrap_or_default())
    }

    /// There is no such endpoint.
    pub(super) fn not_found(endpoint: Option<Endpoint<'_>>, known: &[&str]) -> Answer {
        let problem = match endpoint {
            Some(Endpoint::Of(id)) => {
                let near = nearest(id, known.iter().copied());
                let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                format!("no process, check or alias is called `{id}`{near}")
            }
            _ => "no such endpoint".to_owned(),
        };
        Answer::problem(404, &problem)
    }

    /// Neither `GET` nor `HEAD`.
    pub(super) fn method_not_allowed() -> Answer {
        let mut answer = Answer::problem(405, "only GET and HEAD");
        answer.headers.push(("allow", "GET, HEAD"));
        answer
    }

    /// A description of the endpoints, in which these are the ids that there are.
    pub(super) fn openapi(names: &[&str]) -> Answer {
        let parse = serde_json::from_str::<serde_json::Value>;
        let mut description = parse(OPENAPI).unwrap_or_default();
        for (name, schema) in SCHEMAS {
            description["components"]["schemas"][name] = parse(schema).unwrap_or_default();
        }
        let examples = names.iter().map(|name| ((*name).to_owned(), serde_json::json!({ "value": name })));
        description["paths"]["/health/{id}"]["get"]["parameters"][0]["examples"] = examples.collect();
        Answer::new(200, JSON, description.to_string())
    }

    fn problem(status: u16, error: &str) -> Answer {
        let body = serde_json::to_string(&BTreeMap::from([("error", error)]));
        Answer::new(status, JSON, body.unwrap_or_default())
    }
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

/// Milliseconds, to the microsecond.
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// The form of the seed.
#[derive(Serialize)]
struct Plain<'r> {
    status: &'static str,
    /// For monitors that look for a text: `unhealthy` contains `healthy`.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<BTreeMap<&'r str, PlainPart<'r>>>,
}

#[derive(Serialize)]
struct PlainPart<'r> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'r str>,
}

impl<'r> Plain<'r> {
    fn of(report: &'r Report, with_detail: bool) -> Plain<'r> {
        let part = |part: &'r PartReport| PlainPart {
            status: part.status.as_str(),
            checked_at: part.checked.map(time),
            latency_ms: part.latency.map(millis),
            output: part.output.as_deref(),
        };
        let details = || report.parts.iter().map(|(name, said)| (name.as_str(), part(said))).collect();
        Plain {
            status: report.status.as_overall(),
            serving: report.status != Status::Fail,
            timestamp: time(SystemTime::now()),
            process_id: report.process.map(|process| process.id()),
            dependency_id: report.dependency,
            version: report.process.map(|process| process.version()).filter(|_| with_detail),
            source: report.source.map(|source| source.as_str()),
            checked_at: report.checked.map(time),
            age_s: report.age.map(|age| millis(age) / 1e3),
            latency_ms: report.latency.map(millis),
            error: report.output.as_deref().filter(|_| with_detail),
            checks: report.parts.iter().map(|(name, part)| (name.as_str(), part.status.as_str())).collect(),
            details: with_detail.then(details),
        }
    }
}

/// The form of the draft.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Draft<'r> {
    status: &'static str,
    #[serde(skip_serializing_if = "is_false")]
    serving: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_id: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'r str>,
    checks: BTreeMap<String, [DraftCheck<'r>; 1]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DraftCheck<'r> {
    component_id: &'r str,
    component_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_unit: Option<&'static str>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'r str>,
}

impl<'r> Draft<'r> {
    fn of(report: &'r Report, with_detail: bool) -> Draft<'r> {
        let check =
            |name: &'r str, status: Status, latency: Option<Duration>, at, output: Option<&'r str>| {
                let measured = if latency.is_some() { "responseTime" } else { "status" };
                let check = DraftCheck {
                    component_id: name,
                    component_type: "component",
                    observed_value: latency.map(millis),
                    observed_unit: latency.map(|_| "ms"),
                    status: status.as_str(),
                    time: Option::map(at, time),
                    // The draft forbids it of what passes.
                    output: output.filter(|_| with_detail && status != Status::Pass),
                };
                (format!("{name}:{measured}"), [check])
            };
        let parts = report.parts.iter().map(|(name, part)| {
            let (latency, checked) =
                (part.latency.filter(|_| with_detail), part.checked.filter(|_| with_detail));
            check(name, part.status, latency, checked, part.output.as_deref())
        });
        let id = report.process.map(|process| process.id()).or(report.dependency);
        let own = id
            .filter(|_| report.checked.is_some())
            .map(|id| check(id, report.status, report.latency, report.checked, report.output.as_deref()));
        Draft {
            status: report.status.as_str(),
            serving: report.status != Status::Fail,
            service_id: report.process.map(|process| process.id()),
            version: report.process.map(|process| process.version()).filter(|_| with_detail),
            description: report.process.map(|process| process.name()),
            output: report.output.as_deref().filter(|_| with_detail && report.status != Status::Pass),
            checks: own.into_iter().chain(parts).collect(),
        }
    }
}
