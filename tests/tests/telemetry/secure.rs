//! Telemetry over TLS, to peers with a certificate of the test's own authority.

use std::time::Duration;

use process_tests::collector::Collector;
use process_tests::tls::{Admits, Authority};

use super::{Scratch, events_in, judge_metrics, judge_spans, run, sentry, spans_in, text};

async fn collector(protocol: &str) -> (Collector, std::net::SocketAddr) {
    match protocol {
        "grpc" => Collector::over_grpc().await,
        _ => Collector::over_http().await,
    }
}

#[tokio::test]
async fn it_arrives_at_a_peer_of_the_named_authority() {
    for protocol in ["grpc", "http/protobuf"] {
        let (scratch, (collector, peer)) = (Scratch::new(), collector(protocol).await);
        let authority = Authority::new(&scratch.0);
        let endpoint = format!("https://{}", authority.before(peer, Admits::All).await);
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &authority.certificate()),
        ];
        let lines = text(&run(&scratch, &variables).await.stderr);
        assert!(!lines.contains("telemetry"), "{protocol}: {lines}");
        judge_spans(&spans_in(&collector.traces()));
        judge_metrics(&collector.metrics());
    }
}

#[tokio::test]
async fn a_peer_that_wants_a_certificate_gets_it() {
    for protocol in ["grpc", "http/protobuf"] {
        let (scratch, (collector, peer)) = (Scratch::new(), collector(protocol).await);
        let authority = Authority::new(&scratch.0);
        let endpoint = format!("https://{}", authority.before(peer, Admits::Certified).await);
        let [certificate, key] = authority.client();
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &authority.certificate()),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &certificate),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key),
        ];
        run(&scratch, &variables).await;
        judge_spans(&spans_in(&collector.traces()));
        run(&scratch, &variables[..3]).await;
        assert_eq!(collector.traces().len(), 1, "{protocol}: a client without a certificate is refused");
    }
}

#[tokio::test]
async fn a_peer_of_an_unknown_authority_gets_nothing() {
    for protocol in ["grpc", "http/protobuf"] {
        let (scratch, (collector, peer)) = (Scratch::new(), collector(protocol).await);
        let authority = Authority::new(&scratch.0);
        let endpoint = format!("https://{}", authority.before(peer, Admits::All).await);
        let variables =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        let lines = text(&run(&scratch, &variables).await.stderr);
        assert!(collector.traces().is_empty() && collector.metrics().is_empty(), "{protocol}");
        assert!(lines.contains("some telemetry was not sent"), "{protocol}: {lines}");
    }
}

#[tokio::test]
async fn sentry_is_trusted_by_the_authorities_of_the_machine() {
    let scratch = Scratch::new();
    let authority = Authority::new(&scratch.0);
    let (dsn, receiver) = sentry(Some(Duration::ZERO)).await;
    let peer = dsn.strip_prefix("http://public@").and_then(|rest| rest.strip_suffix("/1")).unwrap();
    let place = authority.before(peer.parse().unwrap(), Admits::All).await;
    let secure = format!("https://public@{place}/1");
    let lines = text(&run(&scratch, &[("SENTRY_DSN", &secure)]).await.stderr);
    assert!(lines.contains("cannot reach Sentry at"), "its certificate is not trusted: {lines}");
    run(&scratch, &[("SENTRY_DSN", &secure), ("SSL_CERT_FILE", &authority.certificate())]).await;
    assert_eq!(events_in(receiver).await.len(), 1);
}

/// Writes a file and returns its path.
fn file(scratch: &Scratch, name: &str, content: &str) -> String {
    let path = scratch.0.join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn a_client_certificate_that_cannot_be_used_is_reported_once_and_stops_nothing() {
    const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
    const OWN: &str = "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE";
    const KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";
    for protocol in ["grpc", "http/protobuf"] {
        let (scratch, (collector, peer)) = (Scratch::new(), collector(protocol).await);
        let authority = Authority::new(&scratch.0);
        let other = Authority::new(&scratch.0.join("other"));
        let endpoint = format!("https://{}", authority.before(peer, Admits::All).await);
        let ([certificate, key], [other_certificate, other_key]) = (authority.client(), other.client());
        let garbage = |label| {
            let pem = format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
            file(&scratch, &format!("garbage {label}.pem"), &pem)
        };
        let (no_certificate, no_key) = (garbage("CERTIFICATE"), garbage("PRIVATE KEY"));
        let nowhere = "/nowhere/key.pem".to_owned();
        // The files of the client, and the variables that the line about them names.
        type Case<'c> = (&'c [(&'c str, &'c String)], &'c [&'c str]);
        let cases: [Case<'_>; 6] = [
            (&[(CERTIFICATE, &certificate), (KEY, &other_key)], &[CERTIFICATE, KEY]),
            (&[(CERTIFICATE, &no_certificate), (KEY, &key)], &[CERTIFICATE, KEY]),
            (&[(CERTIFICATE, &certificate), (KEY, &no_key)], &[CERTIFICATE, KEY]),
            (&[(CERTIFICATE, &certificate), (KEY, &nowhere)], &[KEY]),
            (&[(CERTIFICATE, &certificate)], &[CERTIFICATE, KEY]),
            (&[(CERTIFICATE, &certificate), (KEY, &key), (OWN, &other_certificate)], &[OWN, KEY]),
        ];
        for (number, (files, names)) in cases.into_iter().enumerate() {
            let trusted = authority.certificate();
            let mut variables = vec![
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", &trusted),
            ];
            variables.extend(files.iter().map(|(name, path)| (*name, path.as_str())));
            let lines = text(&run(&scratch, &variables).await.stderr);
            assert!(
                !lines.contains("panicked") && !lines.contains("not sent"),
                "{protocol} {number}: {lines}"
            );
            let reports: Vec<_> = lines.lines().filter(|line| line.contains("CLIENT_")).collect();
            assert!(
                matches!(reports[..], [one] if names.iter().all(|name| one.contains(name))),
                "{protocol} {number}: {reports:#?}"
            );
            assert_eq!(collector.traces().len(), number + 1, "{protocol} {number}: {lines}");
        }
    }
}

#[tokio::test]
async fn an_authority_that_cannot_be_used_is_reported() {
    let (scratch, (collector, peer)) = (Scratch::new(), collector("http/protobuf").await);
    let authority = Authority::new(&scratch.0);
    let endpoint = format!("https://{}", authority.before(peer, Admits::All).await);
    let garbage =
        file(&scratch, "garbage.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", &garbage),
        ("SSL_CERT_FILE", &authority.certificate()),
    ];
    let lines = text(&run(&scratch, &variables).await.stderr);
    assert_eq!(lines.matches("invalid OTEL_EXPORTER_OTLP_CERTIFICATE `").count(), 1, "{lines}");
    judge_spans(&spans_in(&collector.traces()));
}

#[tokio::test]
async fn a_key_in_place_of_a_path_is_never_printed() {
    let scratch = Scratch::new();
    let authority = Authority::new(&scratch.0);
    let [certificate, key] = authority.client();
    let pem = std::fs::read_to_string(&key).unwrap();
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let escaped = pem.replace('\n', "\\n");
    for value in [&pem, &base64, &escaped] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:9"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &*certificate),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", value),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "100"),
        ];
        let lines = text(&run(&scratch, &variables).await.stderr);
        assert_eq!(lines.matches("invalid OTEL_EXPORTER_OTLP_CLIENT_KEY: ").count(), 1, "{lines}");
        assert!(!lines.contains(&base64[8..24]), "{lines}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_a_pipe_or_has_no_end_costs_one_line_and_no_time() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(&scratch.0).unwrap();
    let pipe = scratch.0.join("pipe").display().to_string();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (path, why) in [(&*pipe, "it is a pipe"), ("/dev/zero", "it is a device")] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:9"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", path),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "100"),
        ];
        let lines = text(&run(&scratch, &variables).await.stderr);
        assert_eq!(lines.matches(why).count(), 1, "{lines}");
    }
}
