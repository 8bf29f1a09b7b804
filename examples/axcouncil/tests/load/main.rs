//! Thousands of requests a second against `axcouncil --serve`. The statistics of the service must match those of the
//! clients, and its memory must not grow. The load takes three seconds, or `PROCESS_LOAD` seconds. A second load,
//! with a collector, takes half as long, but at least three seconds.
//!
//! Both sides count every request, so the counts are equal. Each answer reports in `server-timing` how long its
//! handler took. Apart from the run, the handler only reads a token and a body of a hundred bytes. So the percentiles
//! of all answers differ from those of the statistics at most by the error of the statistics, and by [`AROUND`] for
//! the work around a run. The clients' clocks also include the network and two schedulers. The clients' percentiles
//! are never below the statistics. Up to the 75th percentile, they are at most [`BETWEEN`] above the statistics.

mod faults;
mod service;

use std::time::{Duration, Instant};

use axum::Router;
use axum::http::Method;
use axum::routing::post;
use process_runtime::stats::PERCENTILE_ERROR;
use serde_json::{Value, json};

use self::service::{Connection, Service};

/// Locked by the test that loads the machine.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The number of connections for each kind of request. Each connection has one request at a time.
const CONNECTIONS: usize = 16;
/// The longest time that the handler of an answer spends outside of the run.
const AROUND: Duration = Duration::from_micros(if cfg!(debug_assertions) { 2_000 } else { 250 });
/// The longest time that an answer spends between a client and the service on one machine.
const BETWEEN: Duration = Duration::from_millis(if cfg!(debug_assertions) { 10 } else { 2 });
/// The minimum number of requests per second in a release build, with the clients on the same machine.
const THOUSANDS: f64 = 2_000.0;
/// The shortest load whose memory is checked. A shorter load only warms up the service.
const JUDGED: Duration = Duration::from_secs(30);
/// How many more bytes of memory the service may use in the last quarter of the load than in the second quarter. In a
/// load of a minute, some 100 000 requests are between these quarters. If each of them kept one allocation of at
/// least 32 bytes, the difference would be 3 MiB.
const GROWTH: u64 = 2 << 20;

/// The durations of all answers of one process, as reported by the service and as measured by the clients.
#[derive(Default)]
struct Times {
    served: Vec<Duration>,
    took: Vec<Duration>,
}

/// Sends one request after another for `length`.
async fn client(
    mut connection: Connection,
    (method, path, body, status): (Method, &'static str, Value, u16),
    token: String,
    length: Duration,
) -> Times {
    let (started, mut times) = (Instant::now(), Times::default());
    while started.elapsed() < length {
        let answer = connection.send(method.clone(), path, &token, &body).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        times.served.push(answer.served);
        times.took.push(answer.took);
    }
    times
}

/// Returns a percentile in seconds, by the method of nearest rank, as the statistics do.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    sorted[(percent * sorted.len()).div_ceil(100) - 1].as_secs_f64()
}

async fn load(length: Duration, variables: &[(&str, &str)]) {
    let service = Service::start(variables);
    let mut operator = service.connect().await;
    let token = operator.log_in().await;

    let entry = json!({ "title": "Load", "body": "What a thousand requests a second leave behind." });
    let kinds = [
        ("knowledge_entry_save", "success", (Method::POST, "/knowledge", entry, 201)),
        ("department_delete", "rejected", (Method::DELETE, "/departments/4711", Value::Null, 404)),
    ];
    let mut clients = Vec::new();
    for (_, _, request) in &kinds {
        let mut some = Vec::new();
        for _ in 0..CONNECTIONS {
            let (request, token) = (request.clone(), token.clone());
            some.push(tokio::spawn(client(service.connect().await, request, token, length)));
        }
        clients.push(some);
    }
    let started = Instant::now();
    let mut memory = Vec::new();
    while started.elapsed() < length {
        tokio::time::sleep(Duration::from_millis(500)).await;
        memory.push(service.memory());
    }

    let mut requests = 0;
    let mut times = Vec::new();
    for ((process, outcome, _), clients) in kinds.iter().zip(clients) {
        let mut all = Times::default();
        for client in clients {
            let one = client.await.expect("no request failed");
            all.served.extend(one.served);
            all.took.extend(one.took);
        }
        all.served.sort();
        all.took.sort();
        requests += all.took.len();
        times.push((process, outcome, all));
    }
    let status = operator.send(Method::GET, "/status", "", &Value::Null).await.body;
    let rate = requests as f64 / started.elapsed().as_secs_f64();
    println!("{requests} requests, {rate:.0} a second");
    assert!(cfg!(debug_assertions) || rate > THOUSANDS, "{rate:.0} requests a second");

    for (process, outcome, times) in times {
        let known = &status[process];
        let sent = times.took.len();
        assert_eq!(known["started"], sent, "{process}: {known}");
        assert_eq!(known["ended"][outcome], sent, "{process}: {known}");
        let counts = known["ended"].as_object().expect("outcomes").values().filter_map(Value::as_u64);
        assert_eq!(counts.sum::<u64>(), sent as u64, "{process}: {known}");
        // The window of five minutes contains the whole load.
        let lately = &known["lately"][1];
        assert_eq!(lately["ended"], sent, "{process}: {known}");
        for percent in [50, 75, 95, 99] {
            let measured = lately[format!("p{percent}")].as_f64().expect("runs ended");
            let (served, took) = (percentile(&times.served, percent), percentile(&times.took, percent));
            println!(
                "{process} p{percent}: statistics {:.3} ms, answers {:.3} ms, clients {:.3} ms",
                measured * 1e3,
                served * 1e3,
                took * 1e3
            );
            let most = |figure: f64| figure * (1.0 + PERCENTILE_ERROR);
            let least =
                |figure: f64, beside: Duration| (figure - beside.as_secs_f64()) * (1.0 - PERCENTILE_ERROR);
            assert!(measured <= most(served) && measured <= most(took), "{process} p{percent}");
            assert!(measured >= least(served, AROUND), "{process} p{percent}");
            assert!(percent > 75 || measured >= least(took, BETWEEN), "{process} p{percent}");
        }
    }

    let of = |part: usize| {
        let quarter = &memory[memory.len() * part / 4..memory.len() * (part + 1) / 4];
        quarter.iter().sum::<u64>() / quarter.len().max(1) as u64
    };
    let (early, late) = (of(1), of(3));
    println!("memory: {} KiB, then {} KiB", early >> 10, late >> 10);
    assert!(length < JUDGED || late <= early + GROWTH, "{memory:?}");
}

fn length() -> Duration {
    let requested = std::env::var("PROCESS_LOAD").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(requested.unwrap_or(3))
}

#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "it reads its memory from /proc")]
async fn statistics_are_those_of_the_clients_and_memory_does_not_grow() {
    let _alone = ALONE.lock().await;
    println!("telemetry in files");
    load(length(), &[]).await;

    println!("telemetry to a collector");
    let collector = Router::new().fallback(post(async |body: axum::body::Bytes| drop(body)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("it listens"));
    tokio::spawn(async { axum::serve(listener, collector).await });
    load((length() / 2).max(Duration::from_secs(3)), &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
}
