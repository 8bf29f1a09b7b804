//! `telemetry::init` with real backends: an OTLP collector (PyPI `rotel`), a Sentry ingest (PyPI `kent`) and
//! Prometheus.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use process_tests::isolated::eventually;
use process_tests::loaded::Loaded;
use process_tests::relay::judged_by_sentry;
use serde_json::Value;
use tempfile::TempDir;
use test_machine::missing::{is_missing, is_module_missing, skip};
use test_machine::program::{Running, free_port, unconfigured};

fn scratch() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn listens(port: u16) {
    eventually(&format!("something listens on {port}"), || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
}

/// Runs the program `reporting`.
fn report(directory: &Path, variables: &[(&str, &str)]) {
    let mut command = unconfigured(env!("CARGO_BIN_EXE_reporting"));
    let output = command.arg(directory.join("files")).envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!lines.contains("some telemetry was not sent"), "{lines}");
}

/// A collector, and the file to which it writes everything that it receives.
struct Rotel {
    grpc: u16,
    http: u16,
    log: PathBuf,
    _program: Running,
}

impl Rotel {
    fn start(grpc: u16, http: u16, log: PathBuf) -> Rotel {
        let found = Command::new("python3")
            .args(["-c", "import rotel, os; print(os.path.dirname(rotel.__file__))"])
            .output()
            .unwrap();
        let agent = Path::new(String::from_utf8_lossy(&found.stdout).trim()).join("rotel-agent");
        let mut command = Command::new(agent);
        command
            .args(["start", "--exporter", "blackhole", "--debug-log", "traces", "--debug-log", "metrics"])
            .args(["--debug-log", "logs"])
            .args(["--debug-log-verbosity", "detailed"])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
            .stdout(File::create(&log).unwrap())
            .stderr(Stdio::null());
        let program = Running::start(&mut command);
        listens(grpc);
        listens(http);
        Rotel { grpc, http, log, _program: program }
    }

    fn printed(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Returns the text that a collector wrote about everything that it received, or `None` if the collector is not
/// installed.
fn collected(protocol: &str) -> Option<String> {
    if is_module_missing("rotel", "pip install rotel") {
        return None;
    }
    let directory = scratch();
    let rotel = Rotel::start(free_port(), free_port(), directory.path().join("log"));
    let port = if protocol == "grpc" { rotel.grpc } else { rotel.http };
    let endpoint = format!("http://127.0.0.1:{port}");
    report(
        directory.path(),
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)],
    );
    eventually("the collector writes the measurements", || {
        rotel.printed().contains("critical_process.sla.utilization")
    });
    Some(rotel.printed())
}

/// A span, as the collector writes it.
#[derive(Debug, Default)]
struct Span<'a> {
    trace: &'a str,
    id: &'a str,
    parent: &'a str,
    name: &'a str,
    status: &'a str,
    attributes: BTreeMap<&'a str, &'a str>,
}

fn spans_in(printed: &str) -> Vec<Span<'_>> {
    let (mut spans, mut is_event) = (Vec::new(), false);
    for line in printed.lines() {
        if line.starts_with("Span #") {
            spans.push(Span::default());
            is_event = false;
        }
        is_event |= ["Events:", "Resource", "LogRecord #"].iter().any(|part| line.starts_with(part));
        let Some(span) = spans.last_mut().filter(|_| !is_event) else { continue };
        let Some((key, value)) = line.trim().split_once(':') else { continue };
        match (key.trim(), value.trim()) {
            ("Trace ID", value) => span.trace = value,
            ("ID", value) => span.id = value,
            ("Parent ID", value) => span.parent = value,
            ("Name", value) => span.name = value,
            ("Status code", value) => span.status = value,
            (key, value) => drop(key.strip_prefix("-> ").map(|key| span.attributes.insert(key, value))),
        }
    }
    spans
}

fn judge(printed: &str) {
    let spans = spans_in(printed);
    let of = |name: &str, customer: &str| {
        let is_it = |span: &&Span<'_>| span.name == name && span.attributes["customer_id"] == customer;
        let mut found = spans.iter().filter(|span| span.attributes.contains_key("customer_id")).filter(is_it);
        let one = found.next().unwrap_or_else(|| panic!("{name} of {customer} in {spans:#?}"));
        assert!(found.next().is_none(), "{name} of {customer} came twice");
        one
    };
    let ends = [
        ("Str(c-1)", "STATUS_CODE_UNSET", "Str(success)", None),
        ("Str(c-3)", "STATUS_CODE_UNSET", "Str(rejected)", Some("Str(reporting::OrderError)")),
        ("Str(c-4)", "STATUS_CODE_ERROR", "Str(failure)", Some("Str(reporting::OrderError)")),
    ];
    for (customer, status, outcome, error_type) in ends {
        let (process, stage) = (of("place_order", customer), of("place_order.charge", customer));
        let query = of("query", customer);
        assert_eq!((stage.trace, stage.parent), (process.trace, process.id));
        assert_eq!((query.trace, query.parent), (process.trace, stage.id));
        assert_eq!(process.status, status);
        for span in [process, stage] {
            assert_eq!(span.attributes["critical_process.id"], "Str(place_order)");
            assert_eq!(span.attributes["critical_process.version"], "Str(1.2.0)");
            assert_eq!(span.attributes["critical_process.criticality"], "Str(critical)");
            assert_eq!(span.attributes["critical_process.late"], "Bool(false)");
            assert_eq!(span.attributes["code.file.path"], "Str(tests/src/bin/reporting.rs)");
            assert!(span.attributes["code.line.number"].starts_with("Int("));
        }
        assert_eq!(process.attributes["critical_process.outcome"], outcome);
        assert_eq!(process.attributes.get("error.type").copied(), error_type);
        assert_eq!(process.attributes["code.function.name"], "Str(reporting::place_order)");
        assert_eq!(stage.attributes["critical_process.stage"], "Str(charge)");
    }
    assert_eq!(of("place_order", "Str(c-1)").attributes["total"], "Int(500)");

    // The warning of each query is a log record with the ids of the span around it, and not an event of this span.
    let records: Vec<_> =
        printed.split("LogRecord #").filter(|record| record.contains("a slow query")).collect();
    assert_eq!(records.len(), 4, "{printed}");
    let stage = of("place_order.charge", "Str(c-1)");
    let ids = [format!("Trace ID       : {}", stage.trace), format!("Span ID        : {}", stage.id)];
    let of_stage = records.iter().filter(|record| ids.iter().all(|id| record.contains(id)));
    assert_eq!(of_stage.count(), 1, "{printed}");
    assert!(records.iter().all(|record| record.contains("SEVERITY_NUMBER_WARN(13)")), "{printed}");
    assert!(!printed.contains("Events:"), "{printed}");

    let mut lines = printed.lines().map(str::trim);
    let mut units = BTreeMap::new();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("-> Name: critical_process.") {
            units.insert(name, lines.nth(1).and_then(|line| line.strip_prefix("-> Unit: ")));
        }
    }
    let known = [
        ("active", "{run}"),
        ("duration", "s"),
        ("errors", "{run}"),
        ("overdue", "{run}"),
        ("runs", "{run}"),
        ("sla.utilization", "1"),
        ("sli.bad", "{run}"),
        ("sli.valid", "{run}"),
        ("stage.duration", "s"),
        ("started", "{run}"),
        ("telemetry.dropped", "{item}"),
    ];
    assert_eq!(units, known.map(|(name, unit)| (name, Some(unit))).into());
    let has_boundary = |sla: &str| {
        let is_it = |line: &str| line.starts_with("ExplicitBounds") && line.ends_with(&format!(": {sla}"));
        printed.lines().any(is_it)
    };
    assert!(["2.7", "1.3", "0.7", "1"].into_iter().all(has_boundary), "every SLA is a boundary: {printed}");
    assert!(printed.contains("-> service.name: Str(reporting)"), "{printed}");
    let login = of("sign_in", "Str(c-5)");
    assert_eq!(login.attributes["critical_process.outcome"], "Str(rejected)");
    assert!(!printed.contains("canary"), "{printed}");
}

#[test]
fn a_real_collector_takes_it_over_grpc() {
    if let Some(printed) = collected("grpc") {
        judge(&printed);
    }
}

#[test]
fn a_real_collector_takes_it_over_http() {
    if let Some(printed) = collected("http/protobuf") {
        judge(&printed);
    }
}

#[test]
fn a_real_collector_dies_under_load_and_comes_back() {
    if is_module_missing("rotel", "pip install rotel") {
        return;
    }
    for protocol in ["grpc", "http/protobuf"] {
        let directory = scratch();
        let first = Rotel::start(free_port(), free_port(), directory.path().join("first"));
        let (grpc, http) = (first.grpc, first.http);
        let endpoint = format!("http://127.0.0.1:{}", if protocol == "grpc" { grpc } else { http });
        let variables =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        let binary = Command::new(env!("CARGO_BIN_EXE_loaded"));
        let mut service = Loaded::start(binary, &directory.path().join("files"), 0, &variables);
        service.run();
        drop(first);
        service.run();
        service.run();
        let second = Rotel::start(grpc, http, directory.path().join("second"));
        service.run();
        service.ask("figures");
        let report = service.ask("figures")["report"].to_string();
        println!("{protocol}: {report}");
        eventually("the collector writes new spans, and the number of lost ones", || {
            let printed = second.printed();
            printed.contains("Name           : loaded_order") && lost(&printed) > 0
        });
    }
}

/// Returns how many spans were lost, according to the last measurements that the collector received.
fn lost(printed: &str) -> u64 {
    let last = printed.rsplit("reason: Str(span)").next().filter(|last| last.len() < printed.len());
    let value = last.and_then(|last| last.lines().find_map(|line| line.trim().strip_prefix("Value: ")));
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Sends an HTTP/1.0 request. Returns the JSON of the answer, or `None` if the request fails.
fn get(port: u16, path: &str) -> Option<Value> {
    serde_json::from_str(&fetch(port, path)?).ok()
}

/// Sends an HTTP/1.0 request. Returns the body of the answer, or `None` if the request fails.
fn fetch(port: u16, path: &str) -> Option<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    let mut body = String::new();
    reader.read_to_string(&mut body).ok()?;
    Some(body)
}

#[test]
fn a_real_ingest_gets_one_event_for_the_failure() {
    if is_missing("kent-server", "pip install kent")
        || is_module_missing("sentry_relay", "pip install sentry-relay")
    {
        return;
    }
    let port = free_port();
    let directory = scratch();
    let mut command = Command::new("kent-server");
    command.args(["run", "--host", "127.0.0.1", "--port", &port.to_string()]);
    let _ingest = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    listens(port);
    let dsn = format!("http://public@127.0.0.1:{port}/1");
    let started = Instant::now();
    report(directory.path(), &[("SENTRY_DSN", &dsn), ("SENTRY_TRACES_SAMPLE_RATE", "1")]);
    assert!(started.elapsed() < Duration::from_secs(60));

    let all = get(port, "/api/eventlist/").expect("the ingest answers");
    let ids = all["events"].as_array().unwrap().iter().map(|event| event["event_id"].as_str().unwrap());
    let all: Vec<_> = ids
        .map(|id| get(port, &format!("/api/event/{id}")).expect("it is there")["payload"].clone())
        .collect();
    let of_type = |kind: &str| {
        let items = all.iter().filter(move |payload| payload["header"]["type"] == kind);
        items.map(|payload| payload["body"].clone()).collect::<Vec<_>>()
    };
    let (transactions, events) = (of_type("transaction"), of_type("event"));
    assert_eq!(events.len(), 1, "one failure, and none for the rejected: {events:#?}");
    let event = &events[0];
    assert_eq!(event["tags"]["process_id"], "place_order");
    assert_eq!(event["contexts"]["process"]["stage"], "charge");
    assert_eq!(event["tags"]["process_outcome"], "failure");
    assert_eq!(event["tags"]["customer_id"], "c-4");
    assert_eq!(event["contexts"]["process"]["criticality"], "critical");
    // The exceptions begin with the source of the error.
    let types = event["exception"]["values"].as_array().unwrap().iter().map(|error| &error["type"]);
    assert_eq!(types.collect::<Vec<_>>(), ["Error", "NoCard"]);
    let stack = &event["threads"]["values"][0]["stacktrace"]["frames"];
    assert!(stack.as_array().is_some_and(|frames| !frames.is_empty()), "{event:#}");
    assert_eq!(event["transaction"], "place_order");
    let names: Vec<_> = transactions.iter().map(|transaction| &transaction["transaction"]).collect();
    let roots = [("around", 2), ("checkout", 1), ("place_order", 1), ("sign_in", 1)];
    for (root, times) in roots {
        assert_eq!(names.iter().filter(|name| **name == root).count(), times, "{root} in {names:?}");
    }
    assert!(!all.iter().any(|payload| payload.to_string().contains("canary-7731")), "a password");
    assert_eq!(judged_by_sentry(&[event.to_string()]), "judged 1\n");
}

/// A Prometheus server that scrapes every second.
struct Prometheus {
    port: u16,
    _program: Running,
}

impl Prometheus {
    fn scraping(target: u16, directory: &Path) -> Prometheus {
        let job = format!("[{{job_name: scraped, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}]");
        Prometheus::start(Command::new("prometheus"), &job, directory)
    }

    /// A Prometheus server that scrapes nothing and receives OTLP.
    fn receiving(mut program: Command, directory: &Path) -> Prometheus {
        program.arg("--web.enable-otlp-receiver");
        Prometheus::start(program, "[]", directory)
    }

    fn start(mut command: Command, jobs: &str, directory: &Path) -> Prometheus {
        let port = free_port();
        let config = directory.join("prometheus.yml");
        std::fs::write(&config, format!("global: {{scrape_interval: 1s}}\nscrape_configs: {jobs}\n"))
            .unwrap();
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("prometheus").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Prometheus { port, _program: Running::start(&mut command) }
    }

    fn is_ready(&self) {
        eventually("Prometheus to be ready", || {
            fetch(self.port, "/-/ready").is_some_and(|answer| answer.contains("is Ready"))
        });
    }

    /// Returns the result of a PromQL query: the labels and the value of each series.
    fn query(&self, promql: &str) -> Vec<(Value, u64)> {
        let escaped: String = promql.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = get(self.port, &format!("/api/v1/query?query={escaped}")).expect("it answers");
        assert_eq!(answer["status"], "success", "{answer}");
        let series = answer["data"]["result"].as_array().unwrap();
        let value = |series: &Value| series["value"][1].as_str().unwrap().parse().expect("a whole number");
        series.iter().map(|series| (series["metric"].clone(), value(series))).collect()
    }

    /// Returns the one value in the result, or 0 if the result has no series.
    fn value(&self, promql: &str) -> u64 {
        let all = self.query(promql);
        assert!(all.len() < 2, "{promql} is {all:?}");
        all.first().map_or(0, |(_, value)| *value)
    }
}

/// The service that is scraped, and the statistics that it printed.
struct Service {
    port: u16,
    known: Value,
    text: String,
    _program: Running,
}

impl Service {
    fn start() -> Service {
        let port = free_port();
        let variables = [
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1"),
            ("OTEL_EXPORTER_PROMETHEUS_PORT", &port.to_string()),
            // Without log lines, the output of the service contains only its statistics.
            ("RUST_LOG", "off"),
        ];
        let mut command = unconfigured(env!("CARGO_BIN_EXE_scraped"));
        command.envs(variables).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut service = Running::start(&mut command);
        let mut printed = BufReader::new(service.stdout.take().unwrap()).lines();
        let mut printed = || printed.next().expect("it says it").unwrap();
        let (known, text) = (printed(), printed());
        Service {
            port,
            known: serde_json::from_str(&known).unwrap(),
            text: serde_json::from_str(&text).unwrap(),
            _program: service,
        }
    }
}

#[test]
fn a_real_prometheus_knows_what_the_service_knows() {
    if is_missing("prometheus", "apt-get install prometheus")
        || is_missing("promtool", "apt-get install prometheus")
    {
        return;
    }
    let (service, directory) = (Service::start(), scratch());
    let Service { port: target, known, text, .. } = &service;
    let prometheus = Prometheus::scraping(*target, directory.path());
    prometheus.is_ready();
    // Waits for a scrape that begins after the service has printed its statistics.
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 1;
    eventually("Prometheus to have scraped", || {
        prometheus.value(&format!("sum(timestamp(up == 1) > bool {since})")) == 1
    });

    let outcomes = ["success", "degraded", "rejected", "failure", "panic", "cancelled"];
    for (process, known) in known.as_object().unwrap() {
        let of = format!("critical_process_id=\"{process}\"");
        let value = |promql: &str| prometheus.value(&promql.replace("$of", &of));
        let number = |key: &str| known[key].as_u64().unwrap();
        for outcome in outcomes {
            let of = format!("{of}, critical_process_outcome=\"{outcome}\"");
            let value = |promql: &str| prometheus.value(&promql.replace("$of", &of));
            let ended = |late: &str| known["ended"][outcome][late].as_u64().unwrap();
            for late in ["false", "true"] {
                let runs =
                    format!("sum(critical_process_runs_total{{$of, critical_process_late=\"{late}\"}})");
                assert_eq!(value(&runs), ended(late), "{process}, {outcome}, late: {late}");
            }
            let [of_sla, seconds] = ["sla_utilization_ratio", "duration_seconds"]
                .map(|histogram| value(&format!("sum(critical_process_{histogram}_count{{$of}})")));
            let all = ended("false") + ended("true");
            assert_eq!((of_sla, seconds), (all, all), "{process}, {outcome}");
            // Prometheus 3 writes this boundary as 1.0.
            let within = "sum(critical_process_sla_utilization_ratio_bucket{$of, le=~\"1(\\\\.0)?\"})";
            assert_eq!(value(within), ended("false"), "{process}, {outcome}");
        }
        assert_eq!(value("critical_process_started_total{$of}"), number("started"), "{process}");
        assert_eq!(value("critical_process_active{$of}"), number("active"), "{process}");
        assert_eq!(value("critical_process_overdue{$of}"), number("overdue"), "{process}");
        assert_eq!(number("overdue"), number("overdue_in_flight"), "{process}");
    }
    // The service counted the mix of runs. Without this check, the comparisons above would also pass if no run was
    // counted on either side.
    let [shipped, hung] = ["ship_order", "take_stock"].map(|process| &known[process]);
    assert_eq!((&shipped["total"], &hung["active"], &hung["overdue"]), (&62.into(), &1.into(), &1.into()));
    assert!(shipped["late"].as_u64() >= Some(4) && hung["ended"]["cancelled"]["false"] == 6, "{known}");
    // Each SLA is a boundary of the histogram, and the name of the histogram contains the unit.
    for sla in ["0.25", "0.2"] {
        let bucket = format!("critical_process_duration_seconds_bucket{{le=\"{sla}\"}}");
        assert!(!prometheus.query(&bucket).is_empty(), "{sla}");
    }
    assert_eq!(prometheus.value("target_info{service_name=\"scraped\", service_version=\"1.2.3\"}"), 1);

    // The route that the service itself serves has the same series as the text that the service printed.
    let ours = |line: &&str| line.starts_with("critical_process_");
    let scraped = fetch(*target, "/metrics").expect("it is served");
    let series = |text: &str| text.lines().filter(ours).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(series(text), series(&scraped));
    let stored = prometheus.value("count({__name__=~\"critical_process_.*\"})");
    assert_eq!(series(&scraped).len() as u64, stored, "no series is lost or made twice");
    assert_eq!(linted(&scraped), "");
}

/// Starts a service whose process fails once for each line of its standard input, and waits until `init` has returned.
fn failing_on_demand(variables: &[(&str, &str)]) -> (Running, std::process::ChildStdin) {
    let mut command = unconfigured(env!("CARGO_BIN_EXE_first_failure"));
    command
        .envs([("OTEL_TRACES_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none"), ("RUST_LOG", "off")])
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut service = Running::start(&mut command);
    let mut ready = String::new();
    BufReader::new(service.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert_eq!(ready, "ready\n");
    let input = service.stdin.take().unwrap();
    (service, input)
}

/// Waits until Prometheus sees the first failure as an increase of each counter that an alert may use.
fn increases(prometheus: &Prometheus) {
    for counter in [
        "critical_process_sli_bad_total",
        "critical_process_sli_valid_total",
        "critical_process_started_total",
        "critical_process_runs_total{critical_process_outcome=\"failure\",critical_process_late=\"false\"}",
    ] {
        let increase = format!("sum(increase({counter}[5m])) > bool 0");
        eventually(&format!("{counter} to increase"), || prometheus.value(&increase) == 1);
    }
}

#[test]
fn the_first_failure_after_the_first_scrape_is_an_increase() {
    use std::io::Write as _;
    if is_missing("prometheus", "apt-get install prometheus") {
        return;
    }
    let (port, directory) = (free_port(), scratch());
    let (_service, mut input) = failing_on_demand(&[
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", &port.to_string()),
    ]);
    let prometheus = Prometheus::scraping(port, directory.path());
    prometheus.is_ready();
    // The series exist with the value 0 before the failure.
    eventually("a scrape", || !prometheus.query("critical_process_sli_bad_total == 0").is_empty());
    input.write_all(b"\n").unwrap();
    increases(&prometheus);
}

/// The variable that names a Prometheus server that receives OTLP, if the installed one is older than version 3. If the
/// variable is empty, the machine has no such server. The test is then skipped also where all programs are required.
const PROMETHEUS_3: &str = "PROCESS_PROMETHEUS_3";

#[test]
fn the_first_failure_after_the_start_is_an_increase_over_otlp() {
    use std::io::Write as _;
    let program = std::env::var(PROMETHEUS_3).unwrap_or_else(|_| "prometheus".to_owned());
    if program.is_empty() {
        return eprintln!("SKIPPED: {PROMETHEUS_3} is empty, so no Prometheus server receives OTLP");
    }
    let help = Command::new(&program).arg("--help").output().map(|help| [help.stdout, help.stderr].concat());
    if !String::from_utf8_lossy(&help.unwrap_or_default()).contains("web.enable-otlp-receiver") {
        return skip(&format!(
            "{program} is missing or receives no OTLP; let {PROMETHEUS_3} name Prometheus 3"
        ));
    }
    let directory = scratch();
    let prometheus = Prometheus::receiving(Command::new(program), directory.path());
    prometheus.is_ready();
    let endpoint = format!("http://127.0.0.1:{}/api/v1/otlp/v1/metrics", prometheus.port);
    let (_service, mut input) = failing_on_demand(&[
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &endpoint),
        ("OTEL_METRIC_EXPORT_INTERVAL", "3000"),
    ]);
    // The failure comes before the first periodic export, and after the export of the start-up.
    input.write_all(b"\n").unwrap();
    increases(&prometheus);
}

#[test]
fn connections_that_say_nothing_keep_no_scrape_away() {
    let service = Service::start();
    let connect = || std::net::TcpStream::connect(("127.0.0.1", service.port)).unwrap();
    let silent: Vec<_> = (0..8).map(|_| connect()).collect();
    let text = fetch(service.port, "/metrics").expect("it is served");
    assert!(text.contains("critical_process_runs_total{"), "{text}");
    assert_eq!(fetch(service.port, "/").as_deref(), Some("GET /metrics\n"));
    drop(silent);
}

/// Returns what promtool reports about a scrape.
fn linted(text: &str) -> String {
    use std::io::Write;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}
