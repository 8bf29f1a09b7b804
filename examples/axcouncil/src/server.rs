//! Starts everything on loopback: the two providers, the database, and the API.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use process_runtime::health::Health;
use reqwest::Url;
use tokio::net::TcpListener;
use tokio::sync::{RwLock, oneshot};
use tokio::task::JoinHandle;

use crate::auth::{Cost, Passwords, Tokens};
use crate::bounded::Limits;
use crate::council::Models;
use crate::outgoing::Outgoing;
use crate::payment::Payments;
use crate::service::{Parts, Service};
use crate::{api, database, health, providers, seed};

/// The time between the announcement of a shutdown and the shutdown. It must be longer than the interval between the
/// health checks of a load balancer.
const DRAIN: Duration = Duration::from_secs(1);
/// How long a shutdown waits for running requests.
const GRACE: Duration = Duration::from_secs(2);

/// The settings of the service.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The SQLite file. The service creates the file if it does not exist. The directory must exist.
    pub database: PathBuf,
    /// The port of the API on loopback, or 0 for any free port.
    pub port: u16,
    /// The URL of the model provider, or of a gateway to one. Without it, the example starts its own model provider.
    pub models: Option<Url>,
    /// The URL of the payment provider. Without it, the example starts its own payment provider.
    pub payments: Option<Url>,
    /// The time limits of calls to dependencies.
    pub limits: Limits,
    /// The token with which clients see error texts and versions at the health endpoints. Without a token, no client
    /// sees them.
    pub health_token: Option<String>,
    /// Whether passwords are hashed at the lowest cost. Use this in tests only.
    pub cheap_passwords: bool,
}

/// The reason why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port cannot be opened, for example because it is in use.
    #[error("cannot listen on port {port} of the loopback interface")]
    Listen {
        /// The port.
        port: u16,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The database cannot be opened, migrated or filled.
    #[error("the database cannot be used")]
    Database(#[from] sqlx::Error),
    /// The passwords of the first users cannot be hashed.
    #[error("a password cannot be hashed")]
    Password(#[from] argon2::password_hash::Error),
    /// The HTTP client for the providers cannot be created.
    #[error("the HTTP client cannot be created")]
    Client(#[from] reqwest::Error),
}

/// The running service, with the API and the two providers. When this value is dropped, the servers that it has
/// started stop accepting requests.
#[derive(Debug)]
pub struct Running {
    api: Server,
    models: Provider,
    payments: Provider,
    database: sqlx::SqlitePool,
    health: Health,
    charges: Arc<RwLock<()>>,
}

/// Everything except the API: the shared state of its handlers, and the providers.
pub(crate) struct Prepared {
    pub(crate) service: Service,
    models: Provider,
    payments: Provider,
}

/// Opens the database, and starts the providers.
pub(crate) async fn prepare(config: Config) -> Result<Prepared, StartError> {
    let database = database::open(&config.database).await?;
    let passwords = Passwords::new(if config.cheap_passwords { Cost::Least } else { Cost::Full })?;
    seed::fill(&database, &passwords).await?;

    let models = Provider::at(config.models, providers::models).await?;
    let payments = Provider::at(config.payments, providers::payments).await?;
    let outgoing = Outgoing::new(&models.url)?;
    let service = Service::new(Parts {
        database,
        passwords,
        tokens: Tokens::new(),
        models: Models::new(outgoing.clone(), models.url.clone(), config.limits.model_provider),
        payments: Payments::new(outgoing, payments.url.clone(), config.limits.payment_provider),
        limits: config.limits,
        charges: Arc::default(),
    });
    Ok(Prepared { service, models, payments })
}

/// Starts the service and the providers.
///
/// # Errors
/// Returns an error if a port cannot be opened or the database cannot be used.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let (port, token) = (config.port, config.health_token.clone());
    let Prepared { service, models, payments } = prepare(config).await?;
    let (database, charges) = (service.database.clone(), Arc::clone(&service.charges));
    let health = health::endpoints(service.clone(), token);
    let api = Server::start(port, api::router(service, health.clone())).await?;
    Ok(Running { api, models, payments, database, health, charges })
}

#[cfg(test)]
impl Prepared {
    /// Returns the URL of the model provider.
    pub(crate) fn models_url(&self) -> &Url {
        &self.models.url
    }

    /// Returns the URL of the payment provider.
    pub(crate) fn payments_url(&self) -> &Url {
        &self.payments.url
    }
}

impl Running {
    /// Returns the URL of the API, such as `http://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        self.api.url()
    }

    /// Returns the URL of the model provider.
    pub fn models_url(&self) -> String {
        self.models.url.as_str().trim_end_matches('/').to_owned()
    }

    /// Returns the URL of the payment provider.
    pub fn payments_url(&self) -> String {
        self.payments.url.as_str().trim_end_matches('/').to_owned()
    }

    /// Returns the database, so that a test can check its contents.
    pub fn database(&self) -> &sqlx::SqlitePool {
        &self.database
    }

    /// Makes readiness fail, and waits until a load balancer has had time to notice. Requests are still served.
    pub async fn drain(&self) {
        self.health.begin_shutdown();
        tokio::time::sleep(DRAIN).await;
    }

    /// Stops accepting requests, waits, and closes the database. The wait for running requests is short. The wait for
    /// cards that are being charged takes as long as necessary.
    pub async fn stop(self) {
        self.health.begin_shutdown();
        self.api.stop().await;
        let _no_charges = self.charges.write().await;
        self.models.stop().await;
        self.payments.stop().await;
        self.database.close().await;
    }
}

/// A provider, either an external one or one that this example runs.
#[derive(Debug)]
struct Provider {
    url: Url,
    own: Option<Server>,
}

impl Provider {
    async fn at(url: Option<Url>, router: fn() -> Router) -> Result<Provider, StartError> {
        if let Some(url) = url {
            return Ok(Provider { url, own: None });
        }
        let own = Server::start(0, router()).await?;
        let no_url = |error| StartError::Listen { port: 0, source: io::Error::other(error) };
        let url = Url::parse(&own.url()).map_err(no_url)?;
        Ok(Provider { url, own: Some(own) })
    }

    async fn stop(self) {
        if let Some(own) = self.own {
            own.stop().await;
        }
    }
}

/// A server on the loopback interface.
#[derive(Debug)]
struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(port: u16, router: Router) -> Result<Server, StartError> {
        let failed = |source| StartError::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, router).with_graceful_shutdown(async {
            // The server stops when the sender is dropped. `stopped` then returns an error.
            let _ = stopped.await;
        });
        // `axum::serve` never returns an error. It ends only when the server is stopped.
        let task = tokio::spawn(async { serve.await.unwrap_or_default() });
        Ok(Server { address, stop: Some(stop), task })
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn stop(mut self) {
        drop(self.stop.take());
        // A task that takes longer than `GRACE` is aborted when this value is dropped.
        let _ = tokio::time::timeout(GRACE, &mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits for Ctrl-C, or for the signal with which an orchestrator stops a program. The program can then send its
/// telemetry before it ends.
///
/// # Errors
/// Returns an error if the system cannot report signals.
pub async fn asked_to_stop() -> io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminated.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
