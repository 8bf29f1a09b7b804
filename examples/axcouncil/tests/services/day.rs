//! What the day prints, in more than one environment. A day spends most of its time waiting until a deliberation
//! exceeds its SLA of two minutes. All days wait at the same time, and do their other work one after another.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::Uri;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use tokio::net::TcpListener;

use crate::processes::{AXCOUNCIL, Place, Program};

/// Locked by the day that is working at the moment.
static BUSY: Mutex<()> = Mutex::new(());

fn is_waiting(line: &str) -> bool {
    line.starts_with("..  waiting")
}

/// Plays a day to its end. Returns what it printed, and whether it succeeded.
fn play(place: &Place, variables: &[(&str, &str)]) -> (Vec<String>, bool) {
    let busy = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
    let day = place.start(AXCOUNCIL, &[], variables);
    let lines = day.lines_to(is_waiting);
    drop(busy);
    end(lines, day)
}

fn end(mut lines: Vec<String>, day: Program) -> (Vec<String>, bool) {
    let (rest, went_well) = day.ended();
    lines.extend(rest);
    (lines, went_well)
}

/// Returns the lines under a heading.
fn under<'l>(lines: &'l [String], heading: &str) -> &'l [String] {
    let start =
        lines.iter().position(|line| line == heading).unwrap_or_else(|| panic!("{heading}: {lines:#?}"));
    let section = &lines[start + 2..];
    &section[..section.iter().position(|line| line.starts_with('─')).map_or(section.len(), |next| next - 2)]
}

/// Returns the words of the line that begins with the given word.
fn row<'l>(lines: &'l [String], first: &str) -> Vec<&'l str> {
    let mut rows = lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.find(|row| row.first() == Some(&first)).unwrap_or_else(|| panic!("{first}: {lines:#?}"))
}

#[test]
fn a_day_succeeds_in_every_environment_or_reports_why_not() {
    let days: [fn(); 5] = [
        shows_all_that_the_toolkit_knows,
        is_sent_to_a_collector_and_to_sentry,
        is_as_good_without_opentelemetry,
        is_as_good_without_samples,
        says_what_went_wrong_and_fails,
    ];
    std::thread::scope(|scope| days.map(|day| drop(scope.spawn(day))));
}

fn shows_all_that_the_toolkit_knows() {
    let (lines, went_well) = play(&Place::new(), &[]);
    assert!(went_well, "{lines:#?}");
    // The lines of the timeline and of the console may be wider, so they are left out.
    let is_others = |line: &&String| line.contains("user_id=") || line.contains(" WARN ");
    let wide: Vec<_> = lines.iter().filter(|line| !is_others(line) && line.chars().count() > 100).collect();
    assert!(wide.is_empty(), "{wide:#?}");

    let registry = under(&lines, "Critical processes");
    for (id, criticality, sla, owner) in [
        ("company_context_load", "high", "5s", "knowledge"),
        ("council_deliberation_3stage", "critical", "120s", "council"),
        ("department_delete", "medium", "5s", "organisation"),
        ("knowledge_entry_save", "medium", "3s", "knowledge"),
        ("payment_subscription", "critical", "10s", "billing"),
        ("user_authentication", "critical", "2s", "identity"),
    ] {
        assert_eq!(row(registry, id), [id, criticality, sla, owner]);
    }
    let day = under(&lines, "The day");
    assert_eq!(day.iter().filter(|line| line.starts_with("ok  ")).count(), 16, "{day:#?}");
    let overdue = under(&lines, "Overdue now");
    assert_eq!(overdue[0], "council_deliberation_3stage");
    assert_eq!(row(overdue, "runbook"), ["runbook", "docs/runbooks/council.md"]);

    // The columns: started, success, degraded, rejected, failure, panic, cancelled, late.
    let outcomes = under(&lines, "Outcomes since the start");
    for (id, counts) in [
        ("company_context_load", ["4", "4", "0", "0", "0", "0", "0", "0"]),
        ("council_deliberation_3stage", ["5", "2", "1", "1", "0", "0", "1", "1"]),
        ("department_delete", ["1", "1", "0", "0", "0", "0", "0", "0"]),
        ("knowledge_entry_save", ["241", "241", "0", "0", "0", "0", "0", "0"]),
        ("payment_subscription", ["3", "1", "0", "1", "1", "0", "0", "0"]),
        ("user_authentication", ["63", "62", "0", "1", "0", "0", "0", "0"]),
    ] {
        assert_eq!(row(outcomes, id)[1..], counts, "{id}: {outcomes:#?}");
    }
    let durations = under(&lines, "Durations over the last five minutes");
    let logins = row(durations, "user_authentication");
    assert_eq!((logins[1], logins[6]), ("63", "2s"));
    assert!(logins[2..6].iter().all(|time| time.ends_with('s')), "{logins:?}");

    let failed = under(&lines, "The payment that failed");
    let place = "failed at payment_subscription: payment_provider_status";
    assert!(failed.iter().any(|line| line == place), "{failed:#?}");
    assert!(
        failed.iter().any(|line| line.starts_with('!') && line.contains("→ payment_provider")),
        "{failed:#?}"
    );
    let telemetry = under(&lines, "Telemetry");
    assert!(
        telemetry[0].starts_with("traces: OTLP-JSON files in target/axcouncil/telemetry"),
        "{telemetry:#?}"
    );
    assert_eq!(under(&lines, "Result"), ["Every step had the expected result."]);
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn is_sent_to_a_collector_and_to_sentry() {
    let received = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&received);
    let peer = Router::new().fallback(async move |to: Uri, body: Bytes| {
        kept.lock().expect("no test panics in here").push((to.path().to_owned(), body));
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async { axum::serve(listener, peer).await });
    let place = Place::new();
    let (endpoint, dsn) = (format!("http://{address}"), format!("http://public@{address}/1"));
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("SENTRY_DSN", &dsn)];
    let (lines, went_well) = tokio::task::block_in_place(|| play(&place, &variables));
    assert!(went_well, "{lines:#?}");
    let telemetry = under(&lines, "Telemetry").join(" ");
    assert!(telemetry.contains(&endpoint) && telemetry.contains("errors: Sentry at"), "{telemetry}");
    assert!(!place.file("telemetry").exists(), "nothing is in files as well");

    let received = received.lock().expect("no test panics in here");
    let holds = |to: &str, text: &str| {
        let mut bodies = received.iter().filter(|(path, _)| path == to).map(|(_, body)| body);
        bodies.any(|body| body.windows(text.len()).any(|bytes| bytes == text.as_bytes()))
    };
    assert!(holds("/v1/traces", "payment_provider_status"));
    assert!(holds("/v1/metrics", "critical_process.runs"));
    // Sentry received the run that failed and the run that was late.
    assert!(holds("/api/1/envelope/", "payment_provider_status"));
    assert!(holds("/api/1/envelope/", "council_deliberation_3stage is past its SLA"));
}

fn is_as_good_without_opentelemetry() {
    without_traces(("OTEL_SDK_DISABLED", "true"), "Traces have no destination");
}

fn is_as_good_without_samples() {
    without_traces(("OTEL_TRACES_SAMPLER", "always_off"), "was not sampled");
}

fn without_traces(variable: (&str, &str), printed: &str) {
    let (lines, went_well) = play(&Place::new(), &[variable]);
    assert!(went_well, "{variable:?}: {lines:#?}");
    let failed = under(&lines, "The payment that failed").join(" ");
    assert!(failed.contains(printed), "{variable:?}: {failed}");
}

fn says_what_went_wrong_and_fails() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it can be made");
    let place = Place::new();
    let busy = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
    let day = place.start(AXCOUNCIL, &[], &[]);
    let mut lines = day.lines_to(|line| line == "The day");
    // While this connection is open, no other connection can write to the database.
    let writer = runtime.block_on(write_to(&place)).expect("it is free");
    lines.extend(day.lines_to(|line| line.contains("A decision is saved")));
    runtime.block_on(writer.close()).expect("it ends");
    lines.extend(day.lines_to(is_waiting));
    drop(busy);
    let (lines, went_well) = end(lines, day);
    assert!(!went_well, "{lines:#?}");
    let step = "A decision is saved";
    assert!(lines.iter().any(|line| line.starts_with("NO  ") && line.contains(step)), "{lines:#?}");
    let result = under(&lines, "Result");
    assert!(result.contains(&format!("{step}: the status is 500 instead of 201")), "{result:#?}");
    let sentence = "The day did not go as expected: see the lines above.".to_owned();
    assert!(result.contains(&sentence), "{result:#?}");
}

/// Begins a write transaction in the database of a day, and leaves it open.
async fn write_to(place: &Place) -> sqlx::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(place.file("day.db"));
    let mut writer = options.busy_timeout(Duration::from_secs(5)).connect().await?;
    writer.execute("BEGIN IMMEDIATE").await?;
    Ok(writer)
}
