//! Two services that call each other over HTTP: the council, and the gateway in front of its models.

use axcouncil::ACME_USER;
use serde_json::{Value, json};

use crate::processes::{AXCOUNCIL, GATEWAY, Place, User, trace_of};

/// Returns an attribute of a span as text, or `None` if the span does not have it.
fn attribute(span: &Value, key: &str) -> Option<String> {
    let attributes = span["attributes"].as_array()?;
    let value = attributes.iter().find(|attribute| attribute["key"] == key)?["value"].as_object()?;
    let value = value.values().next()?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

#[tokio::test]
async fn a_process_of_one_service_is_the_parent_of_a_process_of_the_next() {
    let place = Place::new();
    let gateway = place.start(GATEWAY, &[], &[]);
    let council = place.start(AXCOUNCIL, &["--serve", "--models", &gateway.url("gateway")], &[]);
    let user = User::of(&council.url("API")).await;
    // Baggage that a customer sends is ignored by this service and by the gateway.
    let forging = async |path, body| {
        let request = user.ask(path, &body).header("baggage", "company_id=victim,user_id=victim");
        request.send().await.expect("it answers")
    };
    let login = forging("/login", json!({ "email": ACME_USER, "password": "guess" })).await;
    assert_eq!(login.status(), 401);
    let response = forging("/deliberations", json!({ "question": "Should we hire?" })).await;
    assert_eq!(response.status(), 200);
    let trace = trace_of(&response);
    council.stop();
    gateway.stop();

    let (mut spans, text) = place.spans();
    assert!(!text.contains("victim"), "{text}");
    spans.retain(|span| span["traceId"] == *trace);
    let parent = |span: &Value| {
        let mut all = spans.iter();
        all.find(|other| other["spanId"] == span["parentSpanId"]).expect("its parent is in the trace")
    };
    let calls: Vec<_> = spans.iter().filter(|span| span["name"] == "model_call").collect();
    // There are three calls for answers, three for rankings, and one for the synthesis.
    assert_eq!(calls.len(), 7, "{spans:#?}");
    for call in calls {
        assert_eq!(attribute(call, "company_id").as_deref(), Some("1"), "{call:#?}");
        assert_eq!(attribute(call, "user_id"), None, "it is not listed: {call:#?}");
        let request = parent(call);
        let dependency = parent(request);
        let stage = parent(dependency);
        let expected = match attribute(call, "task").as_deref() {
            Some("answer") => "council_deliberation_3stage.stage1",
            Some("rank") => "council_deliberation_3stage.stage2",
            _ => "council_deliberation_3stage.stage3",
        };
        assert_eq!((&request["name"], &stage["name"]), (&"request".into(), &expected.into()));
        assert_eq!(attribute(dependency, "critical_process.dependency").as_deref(), Some("model_provider"));
        assert_eq!(parent(stage)["name"], "council_deliberation_3stage");
    }

    // The timeline shows both services in one trace.
    let drawn = place.run(AXCOUNCIL, &["trace", "--id", &trace]);
    let drawn = String::from_utf8_lossy(&drawn.stdout).into_owned();
    assert_eq!(drawn.matches("model_call").count(), 7, "{drawn}");
}
