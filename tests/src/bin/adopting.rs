//! A service that sets up tracing, OpenTelemetry and Sentry itself, in each way that
//! `process-runtime/docs/adopting.md` describes. Every code block of that page is in this file. The arguments select
//! the way. For each [`Routing`], the program prints one line with everything that its exporters received, and
//! `tests/adopting.rs` checks these lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{SpanId, TraceId, global};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    IdGenerator, InMemorySpanExporter, RandomIdGenerator, SdkTracer, SdkTracerProvider, SpanData,
};
use process_runtime::{Install, Installation, critical_process, propagation, stage};
use process_tests::events::Sent;
use process_tests::readings::Readings;
use sentry::test::TestTransport;
use sentry::{ClientInitGuard, ClientOptions};
use sentry_tower::{NewSentryLayer, SentryHttpLayer};
use sentry_tracing::{BreadcrumbLayer, ErrorLayer, SpanLayer};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tower_http::trace::{DefaultMakeSpan, TraceLayer};
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

#[derive(Debug, thiserror::Error)]
enum CheckoutError {
    #[error("the card was declined")]
    Declined(#[source] std::io::Error),
}

impl IntoResponse for CheckoutError {
    fn into_response(self) -> Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

/// Sells the content of the cart.
#[critical_process(id = "checkout", version = "1.0.0", sla = "5s", context(user_id))]
async fn checkout(Path(user_id): Path<u64>) -> Result<&'static str, CheckoutError> {
    tracing::info!("a line of the body");
    charge(user_id).await?;
    sentry::capture_message("a message of the body", sentry::Level::Info);
    Ok("sold")
}

/// Charges the card. The card of the first user is declined.
#[stage(process = "checkout", id = "charge")]
async fn charge(user_id: u64) -> Result<(), CheckoutError> {
    tokio::task::yield_now().await;
    match user_id {
        1 => Err(CheckoutError::Declined(std::io::Error::other("no money"))),
        _ => Ok(()),
    }
}

/// New OpenTelemetry traces take the id of the Sentry transaction that they begin in.
#[derive(Debug, Default)]
struct SentryTraceIds(RandomIdGenerator);

impl IdGenerator for SentryTraceIds {
    fn new_trace_id(&self) -> TraceId {
        sentry::configure_scope(|scope| scope.get_span())
            .and_then(|span| TraceId::from_hex(&span.get_trace_context().trace_id.to_string()).ok())
            .unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}

fn filter() -> Targets {
    Targets::new()
        .with_default(Level::WARN)
        .with_target("shop", Level::INFO) // the service's own
        .with_target("tower_http", Level::INFO)
        .with_target("http", Level::INFO) // propagation::request_span
        .with_target("critical_process", Level::INFO) // the runs of processes and stages
}

fn start(
    sentry: ClientOptions,
    tracer: SdkTracer,
    meter_provider: &SdkMeterProvider,
) -> (ClientInitGuard, Installation) {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let errors = sentry::init(sentry.add_integration(process_runtime::sentry::Integration));
    let infos = filter_fn(|metadata| matches!(*metadata.level(), Level::WARN | Level::INFO));
    tracing_subscriber::registry()
        .with(SpanLayer::new().with_filter(LevelFilter::INFO)) // before the bridge
        .with(BreadcrumbLayer::new().with_filter(infos))
        .with(ErrorLayer::new().with_filter(LevelFilter::ERROR))
        .with(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(filter()))
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(filter()))
        .init();
    let installation = Install::new().meter_provider(meter_provider).expect(["checkout"]).start();
    (errors, installation)
}

fn service() -> Router {
    Router::new()
        .route("/checkout/{user_id}", post(checkout))
        .layer(propagation::layer()) // the trace id in every response
        .layer(TraceLayer::new_for_http().make_span_with(propagation::request_span).on_failure(()))
        .layer(SentryHttpLayer::new())
        .layer(NewSentryLayer::new_from_top())
}

/// The parts that a program has only once. The arguments select them.
struct Ways {
    /// The steps `sentry`, `subscriber` and `install` in the order in which the program takes them, or the single
    /// step `whole`, which calls [`start`].
    order: Vec<String>,
    /// How sentry-tracing is used: `none`, `layers`, or `legacy` for its older single layer.
    sentry_tracing: String,
    has_bridge: bool,
    has_integration: bool,
    gives_meter_provider: bool,
}

/// The parts that differ between the services of one program.
#[derive(Clone, Copy, Debug)]
struct Routing {
    /// How `TraceLayer` is used: `none`, `theirs` with the layer's default spans, or `continuing` with
    /// `propagation::request_span`.
    trace_layer: &'static str,
    propagates: bool,
    /// What sentry-tower does: `none`, `hub`, `http` or `transaction`. Each value includes what the value before it
    /// does.
    sentry_tower: &'static str,
    /// Whether the request has a `traceparent` header.
    is_called_with_trace: bool,
}

impl Routing {
    /// Returns all combinations. With sentry-tracing, `transaction` is left out, because sentry-tracing starts the
    /// transactions of requests.
    fn all(ways: &Ways) -> Vec<Routing> {
        let towers = ["none", "hub", "http", "transaction"];
        let towers = if ways.sentry_tracing == "none" { &towers[..] } else { &towers[..3] };
        let mut all = Vec::new();
        for trace_layer in ["none", "theirs", "continuing"] {
            for propagates in [false, true] {
                for &sentry_tower in towers {
                    for is_called_with_trace in [false, true] {
                        all.push(Routing { trace_layer, propagates, sentry_tower, is_called_with_trace });
                    }
                }
            }
        }
        all
    }

    fn service(self) -> Router {
        let mut service = Router::new().route("/checkout/{user_id}", post(checkout));
        if self.propagates {
            service = service.layer(propagation::layer());
        }
        let trace_layer = TraceLayer::new_for_http().on_failure(());
        service = match self.trace_layer {
            "theirs" => service.layer(trace_layer.make_span_with(DefaultMakeSpan::new().level(Level::INFO))),
            "continuing" => service.layer(trace_layer.make_span_with(propagation::request_span)),
            _ => service,
        };
        service = match self.sentry_tower {
            "http" => service.layer(SentryHttpLayer::new()),
            "transaction" => service.layer(SentryHttpLayer::new().enable_transaction()),
            _ => service,
        };
        match self.sentry_tower {
            "none" => service,
            _ => service.layer(NewSentryLayer::new_from_top()),
        }
    }

    fn to_json(self) -> Value {
        json!({
            "trace_layer": self.trace_layer, "propagates": self.propagates,
            "sentry_tower": self.sentry_tower, "is_called_with_trace": self.is_called_with_trace,
        })
    }
}

/// The service's own exporters, and the parts that it has started.
struct Program {
    transport: Arc<TestTransport>,
    exporter: InMemorySpanExporter,
    spans: SdkTracerProvider,
    readings: Readings,
    errors: Option<ClientInitGuard>,
    installation: Option<Installation>,
}

impl Program {
    fn new() -> Program {
        let exporter = InMemorySpanExporter::default();
        let spans = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .with_id_generator(SentryTraceIds::default())
            .build();
        let (transport, readings) = (TestTransport::new(), Readings::new());
        Program { transport, exporter, spans, readings, errors: None, installation: None }
    }

    fn options(&self) -> ClientOptions {
        ClientOptions::new()
            .dsn("https://public@sentry.invalid/1")
            .transport(Arc::clone(&self.transport))
            .traces_sample_rate(1.0)
    }

    fn start(&mut self, ways: &Ways) {
        for step in &ways.order {
            match step.as_str() {
                "whole" => {
                    let tracer = self.spans.tracer("shop");
                    let (errors, installation) = start(self.options(), tracer, self.readings.provider());
                    (self.errors, self.installation) = (Some(errors), Some(installation));
                }
                "sentry" => {
                    let mut options = self.options();
                    if ways.has_integration {
                        options = options.add_integration(process_runtime::sentry::Integration);
                    }
                    self.errors = Some(sentry::init(options));
                }
                "subscriber" => self.start_subscriber(ways),
                "install" => {
                    let install = Install::new().expect(["checkout"]);
                    self.installation = Some(if ways.gives_meter_provider {
                        install.meter_provider(self.readings.provider()).start()
                    } else {
                        global::set_meter_provider(self.readings.provider().clone());
                        install.start()
                    });
                }
                _ => panic!("unknown step {step}"),
            }
        }
    }

    fn start_subscriber(&self, ways: &Ways) {
        let (layers, legacy) = (ways.sentry_tracing == "layers", ways.sentry_tracing == "legacy");
        let infos = filter_fn(|metadata| matches!(*metadata.level(), Level::WARN | Level::INFO));
        #[allow(deprecated, reason = "services still have the layer that 0.49 deprecates")]
        let legacy = legacy.then(sentry_tracing::layer);
        let bridge = ways.has_bridge.then(|| {
            global::set_text_map_propagator(TraceContextPropagator::new());
            tracing_opentelemetry::layer().with_tracer(self.spans.tracer("shop")).with_filter(filter())
        });
        tracing_subscriber::registry()
            .with(legacy)
            .with(layers.then(|| SpanLayer::new().with_filter(LevelFilter::INFO)))
            .with(layers.then(|| BreadcrumbLayer::new().with_filter(infos)))
            .with(layers.then(|| ErrorLayer::new().with_filter(LevelFilter::ERROR)))
            .with(bridge)
            .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(filter()))
            .init();
    }

    /// Sends one request. Returns everything that the exporters received.
    async fn request(&self, service: Router, user_id: u64, with_trace: bool) -> Value {
        let mut request = Request::post(format!("/checkout/{user_id}")).header("host", "shop.invalid");
        if with_trace {
            request =
                request.header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        }
        let request = request.body(Body::empty()).expect("it is a request");
        let Ok(response) = service.oneshot(request).await;
        let answer = response.headers().get(propagation::TRACE_ID_HEADER).cloned();
        let status = response.status().as_u16();
        drop(response);
        let spans = self.exporter.get_finished_spans().expect("nothing was shut down");
        self.exporter.reset();
        let Sent { events, transactions, .. } = Sent::through(&self.transport);
        json!({
            "status": status,
            "trace_in_answer": answer.map(|id| id.to_str().expect("it is text").to_owned()),
            "spans": spans.iter().map(span_to_json).collect::<Vec<_>>(),
            "events": events,
            "transactions": transactions,
        })
    }
}

fn span_to_json(span: &SpanData) -> Value {
    let attributes: BTreeMap<_, _> = span
        .attributes
        .iter()
        .map(|attribute| (attribute.key.as_str(), attribute.value.to_string()))
        .collect();
    json!({
        "name": span.name,
        "trace": span.span_context.trace_id().to_string(),
        "id": span.span_context.span_id().to_string(),
        "parent": span.parent_span_id.to_string(),
        "status": format!("{:?}", span.status),
        "attributes": attributes,
        "attributes_in_all": span.attributes.len(),
    })
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let one_of = |names: [&str; 2]| names.into_iter().find(|name| has(name)).unwrap_or("none").to_owned();
    let ways = Ways {
        order: arguments[0].split(',').map(str::to_owned).collect(),
        sentry_tracing: one_of(["layers", "legacy"]),
        has_bridge: has("bridge"),
        has_integration: has("integration"),
        gives_meter_provider: has("meter-provider"),
    };
    let mut program = Program::new();
    program.start(&ways);
    let services = match ways.order[0].as_str() {
        "whole" => {
            let doubled =
                Router::new().route("/checkout/{user_id}", post(checkout)).layer(TraceLayer::new_for_http());
            let routing = |name| json!({ "service": name });
            vec![
                (routing("whole"), service(), false),
                (routing("whole"), service(), true),
                (routing("doubled"), doubled, false),
            ]
        }
        _ => Routing::all(&ways)
            .into_iter()
            .map(|routing| (routing.to_json(), routing.service(), routing.is_called_with_trace))
            .collect(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for (routing, service, with_trace) in services {
        let (failed, sold) = runtime.block_on(async {
            let failed = program.request(service.clone(), 1, with_trace).await;
            (failed, program.request(service, 2, with_trace).await)
        });
        println!("{}", json!({ "routing": routing, "failed": failed, "sold": sold }));
    }
    let installation = program.installation.as_ref().expect("each order installs");
    installation.stop();
    let runs = program.readings.collect();
    let outcome = |outcome: &str| -> i64 {
        let points = runs.points("critical_process.runs", "checkout");
        let of = points.iter().filter(|point| point.attributes["critical_process.outcome"] == outcome);
        of.map(|point| point.value).sum()
    };
    println!(
        "{}",
        json!({
            "failures": outcome("failure"), "successes": outcome("success"), "report": installation.report(),
        })
    );
}
