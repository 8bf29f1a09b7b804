//! A service that already sets up tracing, OpenTelemetry and Sentry, in every way that the guide
//! `process-runtime/docs/adopting.md` describes. Nothing is reported twice, and nothing is missing.

use std::process::Command;

use serde_json::Value;

const CALLERS_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLERS_SPAN: &str = "b7ad6b7169203331";

/// How the program was started.
#[derive(Clone, Copy, Debug)]
struct Ways {
    order: [&'static str; 3],
    sentry_tracing: &'static str,
    has_bridge: bool,
    has_integration: bool,
    gives_meter_provider: bool,
}

impl Ways {
    /// Returns all ways to start the program in which the steps have this order.
    fn in_order(order: [&'static str; 3]) -> Vec<Ways> {
        let mut all = Vec::new();
        for sentry_tracing in ["none", "layers", "legacy"] {
            for choice in 0..8 {
                let [has_bridge, has_integration, gives_meter_provider] =
                    [1, 2, 4].map(|bit| choice & bit != 0);
                all.push(Ways { order, sentry_tracing, has_bridge, has_integration, gives_meter_provider });
            }
        }
        all
    }

    fn starts(&self, first: &str, then: &str) -> bool {
        let place = |step| self.order.iter().position(|known| *known == step);
        place(first) < place(then)
    }

    fn run(&self) -> Vec<Value> {
        let mut arguments = vec![self.order.join(","), self.sentry_tracing.to_owned()];
        let choices = [
            (self.has_bridge, "bridge"),
            (self.has_integration, "integration"),
            (self.gives_meter_provider, "meter-provider"),
        ];
        arguments.extend(choices.into_iter().filter(|(is, _)| *is).map(|(_, name)| name.to_owned()));
        run(&arguments)
    }
}

fn run(arguments: &[String]) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_adopting")).args(arguments).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The telemetry that one request must have.
#[derive(Clone, Copy, Debug)]
struct Expected {
    /// Whether a layer of the service opens a span for each request.
    has_request_span: bool,
    /// Whether a layer of sentry-tower starts a transaction for each request.
    has_request_transaction: bool,
    has_sentry_tracing: bool,
    has_bridge: bool,
    continues_the_caller: bool,
    is_named_in_the_answer: bool,
    knows_the_request: bool,
    /// Whether messages that the body sends to Sentry have the context of their run.
    describes_messages: bool,
}

impl Expected {
    fn of(ways: &Ways, routing: &Value) -> Expected {
        let trace_layer = routing["trace_layer"].as_str().unwrap();
        let propagates = routing["propagates"] == true;
        let continues = trace_layer == "continuing" || (propagates && trace_layer == "none");
        let sentry_tower = routing["sentry_tower"].as_str().unwrap();
        Expected {
            has_request_span: propagates || trace_layer != "none",
            has_request_transaction: sentry_tower == "transaction",
            has_sentry_tracing: ways.sentry_tracing != "none",
            has_bridge: ways.has_bridge,
            continues_the_caller: continues && routing["is_called_with_trace"] == true,
            is_named_in_the_answer: propagates,
            knows_the_request: matches!(sentry_tower, "http" | "transaction"),
            describes_messages: ways.has_integration || ways.starts("sentry", "install"),
        }
    }

    /// Checks the telemetry of one request.
    fn judge(&self, request: &Value, user: u64) {
        let trace = self.judge_spans(request, user);
        let of_transaction = self.judge_transactions(request);
        let of_event = self.judge_event(request, user);
        let trace = trace.unwrap_or_else(|| of_transaction.clone());
        // sentry-tower continues only the traces of callers that use Sentry. For another caller, the transaction
        // belongs to a trace of its own.
        let is_of_another = self.has_bridge && self.has_request_transaction && self.continues_the_caller;
        assert_eq!(of_transaction != trace, is_of_another, "the transaction's trace is {of_transaction}");
        if let Some(of_event) = of_event {
            assert_eq!(of_event, trace, "the event is of another trace");
        }
    }

    /// Checks that there is one span for each run and at most one for the request, each inside of the span before it.
    /// Returns the trace id of the spans, or `None` if no layer connects `tracing` to OpenTelemetry.
    fn judge_spans(&self, request: &Value, user: u64) -> Option<String> {
        let mut spans: Vec<_> = array(&request["spans"]).iter().collect();
        spans.reverse();
        let names: Vec<_> = spans.iter().map(|span| text(&span["name"])).collect();
        let mut outer = if self.continues_the_caller { CALLERS_SPAN } else { "0000000000000000" };
        let expected: &[&str] = match (self.has_bridge, self.has_request_span) {
            (false, _) => &[],
            (true, false) => &["checkout", "checkout.charge"],
            (true, true) => &["request", "checkout", "checkout.charge"],
        };
        assert_eq!(names, expected);
        let trace = text(&spans.first()?["trace"]);
        for span in spans {
            assert_eq!((text(&span["parent"]), text(&span["trace"])), (outer, trace), "{span}");
            outer = text(&span["id"]);
            if span["name"] != "request" {
                let attributes = &span["attributes"];
                assert_eq!(attributes["user_id"], user.to_string());
                let outcome = if user == 1 { "failure" } else { "success" };
                assert_eq!(attributes["critical_process.outcome"], outcome);
                assert_eq!(attributes.as_object().unwrap().len() as u64, span["attributes_in_all"], "{span}");
                assert_eq!(text(&span["status"]).starts_with("Error"), user == 1);
            }
        }
        assert_eq!(trace == CALLERS_TRACE, self.continues_the_caller);
        let named = self.is_named_in_the_answer.then_some(trace);
        assert_eq!(request["trace_in_answer"].as_str(), named);
        Some(trace.to_owned())
    }

    /// Checks that there is one tree of transactions, and that the tree contains each run once. Returns the trace id
    /// of the tree.
    fn judge_transactions(&self, request: &Value) -> String {
        let [transaction] = array(&request["transactions"]) else {
            panic!("not one transaction: {}", request["transactions"])
        };
        let trace = &transaction["contexts"]["trace"];
        let mut names = vec![text(&transaction["transaction"])];
        let mut spans: Vec<_> = array(&transaction["spans"]).iter().collect();
        spans.reverse();
        names.extend(spans.iter().map(|span| text(&span["description"])));
        let mut expected = Vec::new();
        if self.has_request_transaction {
            expected.push("POST /checkout/1");
        }
        if self.has_request_span && self.has_sentry_tracing {
            expected.push("request");
        }
        expected.extend(["checkout", "checkout.charge"]);
        let names: Vec<_> = names.iter().map(|name| name.replace("/checkout/2", "/checkout/1")).collect();
        assert_eq!(names, expected);
        let mut outer = &trace["span_id"];
        for span in spans {
            assert_eq!((&span["parent_span_id"], &span["trace_id"]), (outer, &trace["trace_id"]), "{span}");
            outer = &span["span_id"];
        }
        text(&trace["trace_id"]).to_owned()
    }

    /// Checks that there is one event: the failure, or the message of a body that succeeded. Returns its trace id, or
    /// `None` if the message does not have the context of its run.
    fn judge_event(&self, request: &Value, user: u64) -> Option<String> {
        let [event] = array(&request["events"]) else { panic!("not one event: {}", request["events"]) };
        assert_eq!(event["request"].is_object(), self.knows_the_request);
        let tags = &event["tags"];
        if user == 1 {
            let exceptions = array(&event["exception"]["values"]);
            let texts: Vec<_> = exceptions.iter().map(|exception| text(&exception["value"])).collect();
            assert_eq!(texts, ["no money", "the card was declined"]);
            assert_eq!(tags["process_outcome"], "failure");
        } else {
            assert_eq!(event["message"], "a message of the body");
            if !self.describes_messages {
                return None;
            }
        }
        assert_eq!((text(&tags["process_id"]), text(&tags["user_id"])), ("checkout", &*user.to_string()));
        assert_eq!(event["contexts"]["process"]["sla_ms"], 5000);
        Some(text(&event["contexts"]["trace"]["trace_id"]).to_owned())
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], |array| array)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn judge_all(order: [&'static str; 3]) {
    for ways in Ways::in_order(order) {
        let lines = ways.run();
        let (end, services) = lines.split_last().unwrap();
        for request in services {
            let judged = std::panic::catch_unwind(|| {
                let expected = Expected::of(&ways, &request["routing"]);
                expected.judge(&request["failed"], 1);
                expected.judge(&request["sold"], 2);
            });
            assert!(judged.is_ok(), "{ways:?} with {}", request["routing"]);
        }
        let all = if ways.sentry_tracing == "none" { 48 } else { 36 };
        assert_eq!(services.len(), all);
        // Each request is one run, and is counted once.
        assert_eq!((&end["failures"], &end["successes"]), (&all.into(), &all.into()), "{ways:?}");
        judge_report(&ways, &end["report"]);
    }
}

/// Checks that `Install` reports the parts that start after it.
fn judge_report(ways: &Ways, report: &Value) {
    let starts = |what: &str| array(report).iter().filter(|line| text(line).starts_with(what)).count();
    let (sentry, subscriber) = (!ways.starts("sentry", "install"), !ways.starts("subscriber", "install"));
    assert_eq!(starts("no Sentry client is bound"), usize::from(sentry), "{ways:?}: {report}");
    assert_eq!(starts("no tracing subscriber is set"), usize::from(subscriber), "{ways:?}: {report}");
    assert_eq!(array(report).len(), usize::from(sentry) + usize::from(subscriber), "{ways:?}: {report}");
}

#[test]
fn sentry_then_subscriber_then_install_report_everything_once() {
    judge_all(["sentry", "subscriber", "install"]);
}

#[test]
fn subscriber_then_sentry_then_install_report_everything_once() {
    judge_all(["subscriber", "sentry", "install"]);
}

#[test]
fn sentry_then_install_then_subscriber_report_everything_once() {
    judge_all(["sentry", "install", "subscriber"]);
}

#[test]
fn subscriber_then_install_then_sentry_report_everything_once() {
    judge_all(["subscriber", "install", "sentry"]);
}

#[test]
fn install_then_sentry_then_subscriber_report_everything_once() {
    judge_all(["install", "sentry", "subscriber"]);
}

#[test]
fn install_then_subscriber_then_sentry_report_everything_once() {
    judge_all(["install", "subscriber", "sentry"]);
}

/// Checks the service that the guide shows as a whole.
#[test]
fn the_service_of_the_guide_reports_a_failing_request_once_under_one_trace_id() {
    let lines = run(&["whole".to_owned()]);
    let [service, called, doubled, end] = &lines[..] else { panic!("{lines:#?}") };
    let expected = |continues_the_caller| Expected {
        has_request_span: true,
        has_request_transaction: false,
        has_sentry_tracing: true,
        has_bridge: true,
        continues_the_caller,
        is_named_in_the_answer: true,
        knows_the_request: true,
        describes_messages: true,
    };
    for (request, continues_the_caller) in [(service, false), (called, true)] {
        expected(continues_the_caller).judge(&request["failed"], 1);
        expected(continues_the_caller).judge(&request["sold"], 2);
    }
    assert_eq!(end["report"], Value::Array(Vec::new()));
    assert_eq!((&end["failures"], &end["successes"]), (&3.into(), &3.into()));

    // The guide removes the default `on_failure` of `TraceLayer`, which logs an `error!`. A service that keeps it
    // reports a failure twice.
    let events = array(&doubled["failed"]["events"]);
    assert_eq!(events.len(), 2, "{events:#?}");
    assert_eq!(events[1]["message"], "response failed");
}

#[test]
fn every_block_of_the_guide_is_in_the_program_that_is_judged() {
    let guide = include_str!("../../process-runtime/docs/adopting.md");
    let program = include_str!("../src/bin/adopting.rs");
    let blocks: Vec<_> = guide.split("```rust,ignore\n").skip(1).collect();
    assert!(blocks.len() > 4);
    for block in blocks {
        let (code, _) = block.split_once("```").unwrap();
        assert!(program.contains(code), "not in the program:\n{code}");
    }
}
