//! Two attacks that fail: a customer's id that leaks to a payment provider, and a company id that a caller made up.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::{Context as OtelContext, KeyValue};
use process_runtime::context::Scope;
use process_runtime::propagation::{self, Outgoing, PropagationLayer};
use process_runtime::{Install, critical_process, record};
use process_tests::traces::{Traces, attribute};
use tower::{Layer as _, Service, ServiceExt as _};
use tracing::dispatcher;

use crate::{Caller, set_propagator};

/// Takes its company from the context that the caller sends.
#[critical_process(id = "work_for", version = "1.0.0", sla = "1s", context(inherit(company_id, user_id)))]
async fn work_for() -> StatusCode {
    StatusCode::OK
}

/// Sets its company itself.
#[critical_process(id = "work_for_own", version = "1.0.0", sla = "1s", context(company_id = "own"))]
async fn work_for_own() -> StatusCode {
    StatusCode::OK
}

/// Records its company later.
#[critical_process(id = "authenticate", version = "1.0.0", sla = "1s", context(later(company_id)))]
async fn authenticate() -> StatusCode {
    record!(company_id = "own");
    StatusCode::OK
}

/// Declares a company that it never records.
#[critical_process(id = "authenticate_in_vain", version = "1.0.0", sla = "1s", context(later(company_id)))]
async fn authenticate_in_vain() -> StatusCode {
    StatusCode::UNAUTHORIZED
}

/// An identity that the servers of these tests never attach to a request.
#[derive(Clone)]
struct Certificate;

fn layer() -> PropagationLayer {
    set_propagator();
    propagation::layer().trust(|caller: &Caller| caller.0 == "council", ["company_id"])
}

fn routes() -> Router {
    Router::new()
        .route("/", get(work_for))
        .route("/own", get(work_for_own))
        .route("/authenticate", get(authenticate))
        .route("/in-vain", get(authenticate_in_vain))
}

fn request(path: &str, caller: Option<Caller>, baggage: &str) -> Request {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().unwrap();
    request.headers_mut().insert("baggage", baggage.parse().unwrap());
    request.headers_mut().insert("x-forwarded-for", HeaderValue::from_static("council"));
    request.headers_mut().insert("caller", HeaderValue::from_static("council"));
    request.extensions_mut().extend(
        caller
            .map(|caller| {
                let mut extensions = axum::http::Extensions::new();
                extensions.insert(caller);
                extensions
            })
            .unwrap_or_default(),
    );
    request
}

const FORGED: &str = "company_id=victim,user_id=victim;company_id=victim";

/// Sends a request. Returns the company in each of its runs, and all exported spans as text.
async fn received<S>(service: S, request: Request) -> (Vec<Option<String>>, String)
where
    S: Service<Request, Response = Response<Body>>,
    S::Error: std::fmt::Debug,
{
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    let _ = service.oneshot(request).await.unwrap();
    let spans = traces.spans();
    let of_runs = spans.iter().filter(|span| span.name != "request");
    let received = of_runs.map(|span| {
        let times = span.attributes.iter().filter(|attribute| attribute.key.as_str() == "company_id").count();
        assert!(times < 2, "the attribute occurs {times} times: {span:?}");
        attribute(span, "company_id").map(|value| value.to_string())
    });
    (received.collect(), format!("{spans:?}"))
}

fn company(id: &str) -> Vec<Option<String>> {
    vec![Some(id.to_owned())]
}

#[tokio::test]
async fn baggage_of_a_trusted_peer_is_context_of_the_runs() {
    let request = request("/", Some(Caller("council")), "company_id=acme%20inc,user_id=victim");
    let (received, exported) = received(routes().layer(layer()), request).await;
    assert_eq!(received, company("acme inc"));
    assert!(!exported.contains("victim"), "a key that is not listed: {exported}");
}

#[tokio::test]
async fn an_entry_that_is_not_text_costs_only_itself() {
    let mut request = request("/", Some(Caller("council")), "");
    let line = HeaderValue::from_bytes(b"x=\xff,company_id=acme,\xffuser_id=1").unwrap();
    request.headers_mut().insert("baggage", line);
    assert_eq!(received(routes().layer(layer()), request).await.0, company("acme"));
}

#[tokio::test]
async fn a_value_is_cut_at_the_limit_of_a_text_from_a_header() {
    // The 256th byte is inside of a character.
    let value = format!("a{}", "%C3%A9".repeat(200));
    let request = request("/", Some(Caller("council")), &format!("company_id={value}"));
    let cut = format!("a{}…[+146 bytes]", "é".repeat(127));
    assert_eq!(received(routes().layer(layer()), request).await.0, company(&cut));
}

#[tokio::test]
async fn baggage_of_any_other_peer_is_nowhere() {
    for caller in [None, Some(Caller("stranger"))] {
        let (received, exported) = received(routes().layer(layer()), request("/", caller, FORGED)).await;
        assert_eq!(received, [None]);
        assert!(!exported.contains("victim"), "{exported}");
    }
    let without_trust = routes().layer(propagation::layer());
    let (received, _) = received(without_trust, request("/", Some(Caller("council")), FORGED)).await;
    assert_eq!(received, [None]);
}

async fn authenticated(request: Request, next: Next) -> Response<Body> {
    Scope::new().set("company_id", "own").in_scope(next.run(request)).await
}

/// Authentication as a tower layer. It calls the inner service before the scope of the layer begins.
#[derive(Clone)]
struct CallsFirst<S>(S);

impl<S: Service<Request>> Service<Request> for CallsFirst<S>
where
    S::Future: Send + 'static,
    S::Response: Send,
    S::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Box::pin(Scope::new().set("company_id", "own").in_scope(self.0.call(request)))
    }
}

#[tokio::test]
async fn the_services_own_context_wins_over_the_baggage_of_a_peer() {
    let forged = |path: &str| request(path, Some(Caller("council")), "company_id=victim");
    let inside = routes().layer(from_fn(authenticated)).layer(layer());
    let outside = routes().layer(layer()).layer(from_fn(authenticated));
    for (order, service) in [("inside", inside), ("outside", outside)] {
        let (received, exported) = received(service, forged("/")).await;
        assert_eq!(received, company("own"), "{order}");
        assert!(!exported.contains("victim"), "{order}: {exported}");
    }
    let (said_first, _) = received(CallsFirst(layer().layer(routes())), forged("/")).await;
    assert_eq!(said_first, company("own"), "outside, and called before");
    for path in ["/own", "/authenticate"] {
        let (received, exported) = received(routes().layer(layer()), forged(path)).await;
        assert_eq!(received, company("own"), "{path}");
        assert!(!exported.contains("victim"), "{path}: {exported}");
    }
}

#[tokio::test]
async fn a_key_that_a_run_could_still_say_and_does_not_is_inherited() {
    let request = request("/in-vain", Some(Caller("council")), "company_id=acme");
    assert_eq!(received(routes().layer(layer()), request).await.0, company("acme"));
}

#[tokio::test]
async fn a_server_that_does_not_name_its_caller_is_reported_once() {
    let layer = propagation::layer().trust(|_: &Certificate| true, ["company_id"]);
    for _ in 0..3 {
        let request = request("/", Some(Caller("council")), FORGED);
        assert_eq!(received(routes().layer(layer.clone()), request).await.0, [None]);
    }
    let report = Install::new().start().report();
    assert_eq!(report.iter().filter(|line| line.contains("Certificate")).count(), 1, "{report:?}");
}

/// Returns OpenTelemetry's baggage inside of the service, the `baggage` header of the request, and the `baggage`
/// header that an outgoing request gets.
async fn seen(headers: HeaderMap) -> String {
    let mut out = HeaderMap::new();
    propagation::inject(&mut out);
    format!("{:?} {:?} {:?}", OtelContext::current().baggage(), headers.get("baggage"), out.get("baggage"))
}

#[tokio::test]
async fn a_propagator_that_carries_baggage_takes_none_in() {
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    let service = Router::new().route("/", get(seen)).layer(layer());
    let response = service.oneshot(request("/", Some(Caller("council")), FORGED)).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    let body = String::from_utf8_lossy(&body);
    assert!(!body.contains("victim") && body.ends_with("None None"), "{body}");
}

/// A run for a customer whose id only the council may receive.
#[critical_process(
    id = "call_out",
    version = "1.0.0",
    sla = "1s",
    context(company_id, user_id, card = mask(card)),
)]
async fn call_out(company_id: &str, user_id: &str, card: &str, calls: impl FnOnce()) {
    calls();
}

fn headers_to(outgoing: &Outgoing, host: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    outgoing.inject(host, &mut headers);
    headers
}

#[tokio::test]
async fn only_listed_keys_go_to_listed_hosts() {
    set_propagator();
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    let outgoing = Outgoing::new()
        .allow("council.internal", ["company_id", "card"])
        .allow("council.internal", ["user_id", "absent"])
        .allow("[::1]:8443", ["company_id"]);
    let calls = || {
        // The application or a library has set this baggage itself.
        let own = OtelContext::current_with_baggage([KeyValue::new("company_id", "acme")]);
        let _inside = own.attach();
        let sent = headers_to(&outgoing, "Council.Internal");
        assert!(sent.contains_key("traceparent"));
        assert_eq!(sent["baggage"], "company_id=acme,user_id=user-zoe,card=%2A%2A%2A%2Awxyz");
        assert!(sent["baggage"].is_sensitive());
        assert_eq!(headers_to(&outgoing, "[::1]:8443")["baggage"], "company_id=acme");
        for other in [
            "payments.example",
            "council.internal.payments.example",
            "payments.example/council.internal",
            "council.internal@payments.example",
            "user:secret@council.internal",
            "http://council.internal",
            "council.internal:8443",
            "council.internal.",
            "council.internal#",
            "council.internal\\",
            "a.council.internal",
            " council.internal",
            "[::1]",
            "",
        ] {
            let headers = headers_to(&outgoing, other);
            assert!(headers.contains_key("traceparent"), "{other}");
            let all = format!("{headers:?}");
            assert!(!headers.contains_key("baggage"), "{other}: {all}");
            assert!(["acme", "zoe", "wxyz"].iter().all(|value| !all.contains(value)), "{other}: {all}");
        }
    };
    call_out("acme", "user-zoe", "4000-1234-1234-wxyz", calls).await;
}

#[tokio::test]
async fn context_that_headers_already_have_is_sent_to_no_host() {
    let mut headers = HeaderMap::new();
    let outgoing = Outgoing::new().allow("council.internal", ["company_id"]);
    for host in ["council.internal", "payments.example"] {
        headers.insert("baggage", FORGED.parse().unwrap());
        headers.append("baggage", FORGED.parse().unwrap());
        outgoing.inject(host, &mut headers);
        assert!(!headers.contains_key("baggage"), "{host}");
    }
}

#[test]
fn invalid_hosts_and_keys_are_reported() {
    let outgoing = Outgoing::new()
        .allow("*.internal", ["company_id"])
        .allow("https://council.internal/", ["company_id"])
        .allow("b.internal", ["company id", "company_id"]);
    Scope::new().set("company_id", 7).set("company id", 8).run(|| {
        assert!(!headers_to(&outgoing, "*.internal").contains_key("baggage"));
        assert_eq!(headers_to(&outgoing, "b.internal")["baggage"], "company_id=7");
    });
    let report = Install::new().start().report();
    // One line reports all invalid hosts, with the first as a sample.
    for invalid in ["*.internal", "invalid host", "`company id`"] {
        assert_eq!(report.iter().filter(|line| line.contains(invalid)).count(), 1, "{invalid} in {report:?}");
    }
}
