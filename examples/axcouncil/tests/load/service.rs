//! The service as a program of its own, and a client that measures its answers.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{ChildStdout, Stdio};
use std::time::{Duration, Instant};

use axcouncil::{ACME_USER, PASSWORD};
use axum::body::{Body, Bytes};
use axum::http::response::Parts;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use test_machine::memory;
use test_machine::program::{Running, unconfigured};
use tokio::net::TcpStream;

/// The service, in a process and a directory of its own.
pub(crate) struct Service {
    program: Running,
    address: SocketAddr,
    payments: SocketAddr,
    /// Stays open, because a program that prints to a closed pipe ends.
    _output: BufReader<ChildStdout>,
    _directory: TempDir,
}

impl Service {
    /// Starts the service with these environment variables.
    pub(crate) fn start(variables: &[(&str, &str)]) -> Service {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory can be made");
        let mut command = unconfigured(env!("CARGO_BIN_EXE_axcouncil"));
        command.arg("--serve").env("RUST_LOG", "off").envs(variables.iter().copied());
        command.current_dir(directory.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut program = Running::start(&mut command);
        let mut output = BufReader::new(program.stdout.take().expect("it is piped"));
        let mut line = String::new();
        let mut address = |of: &str| loop {
            line.clear();
            assert_ne!(output.read_line(&mut line).expect("it is text"), 0, "it ended");
            if let Some(url) = line.strip_prefix(of) {
                break url.trim().trim_start_matches("http://").parse().expect("an address");
            }
        };
        let (address, payments) = (address("API"), address("payment provider"));
        Service { program, address, payments, _output: output, _directory: directory }
    }

    /// Makes the payment provider fail each request.
    pub(crate) async fn break_payments(&self) {
        let mode = json!({ "mode": "fail" });
        let (parts, _) = Connection::new(self.payments).await.request(Method::POST, "/mode", "", &mode).await;
        assert_eq!(parts.status, StatusCode::NO_CONTENT);
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::new(self.address).await
    }

    /// Returns how many bytes of memory the service uses.
    pub(crate) fn memory(&self) -> u64 {
        memory::resident(self.program.id()).expect("the test is for Linux")
    }
}

/// A connection, which has one request at a time.
pub(crate) struct Connection(SendRequest<Body>);

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    /// The duration that the service reports in the answer.
    pub(crate) served: Duration,
    pub(crate) took: Duration,
}

impl Connection {
    async fn new(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("it can be set");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("it speaks HTTP");
        tokio::spawn(connection);
        Connection(sender)
    }

    async fn request(&mut self, method: Method, path: &str, token: &str, body: &Value) -> (Parts, Bytes) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "axcouncil")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::from(body.to_string()))
            .expect("it is a request");
        self.0.ready().await.expect("it is open");
        let response = self.0.send_request(request).await.expect("it answers");
        let (parts, body) = response.into_parts();
        (parts, body.collect().await.expect("it ends").to_bytes())
    }

    pub(crate) async fn send(&mut self, method: Method, path: &str, token: &str, body: &Value) -> Answer {
        let sent = Instant::now();
        let (parts, body) = self.request(method, path, token, body).await;
        let took = sent.elapsed();
        let served = parts.headers.get("server-timing").and_then(|value| value.to_str().ok());
        let served = served.and_then(|value| value.strip_prefix("app;dur=")?.parse::<f64>().ok());
        Answer {
            status: parts.status.as_u16(),
            body: serde_json::from_slice(&body).expect("it is JSON"),
            served: Duration::from_secs_f64(served.expect("it says how long it took") / 1e3),
            took,
        }
    }

    /// Logs in, and returns the token of the session.
    pub(crate) async fn log_in(&mut self) -> String {
        let login = json!({ "email": ACME_USER, "password": PASSWORD });
        let session = self.send(Method::POST, "/login", "", &login).await.body;
        session["token"].as_str().expect("it is a session").to_owned()
    }
}
