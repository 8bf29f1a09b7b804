//! Requests and responses, independent of any web framework. The only text of a request that a response repeats is an
//! id, which has a limited length and only harmless characters. Computing reports does not belong here.

use std::collections::BTreeMap;

use process_model::nearest;

use super::body;
use super::health_report::Report;

/// The maximum length of an id in a path, in bytes. A path with a longer id names no endpoint.
const LONGEST: usize = 64;

/// The media type that [draft-inadarei-api-health-check] specifies.
///
/// [draft-inadarei-api-health-check]: https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06
const HEALTH_JSON: &str = "application/health+json";
const JSON: &str = "application/json";

const OPENAPI: &str = include_str!("../../schemas/health.openapi.json");
const SCHEMAS: [(&str, &str); 2] = [
    ("Health", include_str!("../../schemas/health.schema.json")),
    ("HealthJson", include_str!("../../schemas/health+json.schema.json")),
];

/// The parts of an HTTP request that the endpoints read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'r> {
    /// The method. Methods other than `GET` and `HEAD` are refused with status 405.
    pub method: &'r str,
    /// The path, with or without the prefix `/health`, for example `/health/live` or `/live`.
    pub path: &'r str,
    /// The value of the header `Accept`, if there is one.
    pub accept: Option<&'r str>,
    /// The value of the header `Authorization`, if there is one.
    pub authorization: Option<&'r str>,
}

/// A response, to be sent over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// The HTTP status: 200, 404, 405 or 503.
    pub status: u16,
    /// All headers.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The JSON text. It is empty for `HEAD`.
    pub body: String,
}

/// The endpoint that a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint<'r> {
    Overall,
    Live,
    Ready,
    Started,
    OpenApi,
    /// The endpoint of this process, dependency or alias.
    Named(&'r str),
}

/// Names that already have a meaning in a path: the other endpoints, and the prefix `/health`. A process, dependency
/// or alias with such a name has no endpoint of that name.
pub(super) const RESERVED: [&str; 5] = ["health", "live", "ready", "started", "openapi.json"];

impl<'r> Endpoint<'r> {
    /// Returns the endpoint that a path names. Returns `None` if the name in the path is longer than [`LONGEST`], or
    /// has characters other than ASCII letters, digits, `_` and `-`.
    pub(super) fn parse(path: &'r str) -> Option<Endpoint<'r>> {
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
            id => (id.len() <= LONGEST && id.bytes().all(is_plain)).then_some(Endpoint::Named(id)),
        }
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// The JSON form in which a response writes a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    HealthJson,
}

impl Form {
    /// Chooses the form by the qualities in the header `Accept`; a media type that the header does not name has
    /// quality 0. The form is `HealthJson` if the quality of `application/health+json` is above 0 and at least the
    /// quality of `application/json`. Otherwise the form is `Json`.
    pub(super) fn negotiate(accept: Option<&str>) -> Form {
        let quality = |media: &str| {
            let ranges = accept.unwrap_or_default().split(',').filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let is_named = parts.next()?.eq_ignore_ascii_case(media);
                let given =
                    parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
                let quality = given.map_or(Some(1.0), |given| given.trim().parse::<f32>().ok())?;
                is_named.then_some(quality)
            });
            ranges.fold(0.0, f32::max)
        };
        let health = quality(HEALTH_JSON);
        if health > 0.0 && health >= quality(JSON) { Form::HealthJson } else { Form::Json }
    }
}

impl Response {
    fn new(status: u16, media: &'static str, body: String) -> Response {
        // `no-store`, because a stored response would hide a change of status. `vary` lists the request headers that
        // the response depends on.
        let headers =
            vec![("content-type", media), ("cache-control", "no-store"), ("vary", "accept, authorization")];
        Response { status, headers, body }
    }

    /// Creates the response that contains this report in this form.
    pub(super) fn from_report(report: &Report, form: Form, with_detail: bool) -> Response {
        let (media, body) = match form {
            Form::Json => (JSON, body::json(report, with_detail)),
            Form::HealthJson => (HEALTH_JSON, body::health_json(report, with_detail)),
        };
        Response::new(report.status.http_status(), media, body)
    }

    /// Returns the response for a path that names no endpoint, or for a name that no process, dependency or alias
    /// has.
    pub(super) fn not_found(endpoint: Option<Endpoint<'_>>, names: &[&str]) -> Response {
        let problem = match endpoint {
            Some(Endpoint::Named(id)) => {
                let near = nearest(id, names.iter().copied());
                let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                format!("no process, check or alias is named `{id}`{near}")
            }
            _ => "no such endpoint".to_owned(),
        };
        Response::problem(404, &problem)
    }

    /// Returns the response for a method other than `GET` and `HEAD`.
    pub(super) fn method_not_allowed() -> Response {
        let mut response = Response::problem(405, "method not allowed; use GET or HEAD");
        response.headers.push(("allow", "GET, HEAD"));
        response
    }

    /// Returns the OpenAPI description of the endpoints, with these names as examples.
    pub(super) fn openapi(names: &[&str]) -> Response {
        let parse = serde_json::from_str::<serde_json::Value>;
        let mut description = parse(OPENAPI).unwrap_or_default();
        for (name, schema) in SCHEMAS {
            description["components"]["schemas"][name] = parse(schema).unwrap_or_default();
        }
        let examples = names.iter().map(|name| ((*name).to_owned(), serde_json::json!({ "value": name })));
        description["paths"]["/health/{id}"]["get"]["parameters"][0]["examples"] = examples.collect();
        Response::new(200, JSON, description.to_string())
    }

    fn problem(status: u16, error: &str) -> Response {
        let body = serde_json::to_string(&BTreeMap::from([("error", error)]));
        Response::new(status, JSON, body.unwrap_or_default())
    }
}
