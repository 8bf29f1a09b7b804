//! `cargo run -p axcouncil --bin gateway [PORT]`: a gateway in front of the models, which records the company of each
//! call. It is a separate service; `axcouncil --serve --models URL` calls it over HTTP. Each call is a run in the
//! gateway, and belongs to the trace of the stage that made the call.

use std::error::Error;
use std::future::IntoFuture as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use process_runtime::telemetry::TelemetryBuilder;
use process_runtime::{Install, critical_process, propagation};
use serde_json::Value;
use tokio::net::TcpListener;

/// The time limit for a call to a model. It is less than the SLA.
const LIMIT: Duration = Duration::from_secs(25);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let port = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    // Writes into the directory of axcouncil, so that `axcouncil trace` finds the files of both services.
    let _telemetry = TelemetryBuilder::new()
        .service("gateway", env!("CARGO_PKG_VERSION"))
        .directory("target/axcouncil/telemetry")
        .install(Install::new().expect(["model_call"]))
        .init();

    let provider = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("gateway            http://{}", listener.local_addr()?);
    println!("model provider     http://{}", provider.local_addr()?);
    let gateway = Gateway {
        client: reqwest::Client::builder().no_proxy().build()?,
        provider: format!("http://{}", provider.local_addr()?),
    };
    tokio::spawn(axum::serve(provider, axcouncil::model_provider()).into_future());
    axum::serve(listener, router(gateway).into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async {
            // If the signal cannot be received, the gateway stops as well.
            let _ = axcouncil::asked_to_stop().await;
        })
        .await?;
    Ok(())
}

#[derive(Clone)]
struct Gateway {
    client: reqwest::Client,
    provider: String,
}

fn router(gateway: Gateway) -> Router {
    // Trusts peers on this machine. In production, check the name in the client's certificate instead.
    let is_one_of_us = |ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip().is_loopback();
    Router::new()
        .route("/v1/{task}", post(call))
        .with_state(gateway)
        .layer(propagation::layer().trust(is_one_of_us, ["company_id"]).error_bodies())
}

/// Forwards a request for an answer, a ranking or a synthesis to the model provider.
#[critical_process(
    id = "model_call",
    version = "1.0.0",
    sla = "30s",
    owner = "models",
    context(task = &task, model = body["model"].as_str(), inherit(company_id)),
    depends_on("model_provider"),
)]
async fn call(
    State(gateway): State<Gateway>,
    Path(task): Path<String>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    let call = process_runtime::dependency("model_provider", gateway.ask(&task, &body));
    process_runtime::timeout(LIMIT, call).await.map_err(|_| StatusCode::GATEWAY_TIMEOUT)?
}

impl Gateway {
    async fn ask(&self, task: &str, body: &Value) -> Result<Json<Value>, StatusCode> {
        let mut headers = HeaderMap::new();
        propagation::inject(&mut headers);
        let request = self.client.post(format!("{}/v1/{task}", self.provider)).headers(headers).json(body);
        let response = request.send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        match response.status() {
            StatusCode::OK => response.json().await.map(Json).map_err(|_| StatusCode::BAD_GATEWAY),
            StatusCode::NOT_FOUND => Err(StatusCode::NOT_FOUND),
            _ => Err(StatusCode::BAD_GATEWAY),
        }
    }
}
