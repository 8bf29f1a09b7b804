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
