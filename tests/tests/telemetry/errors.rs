//! The events that Sentry receives, and how long a panic or a failure takes while Sentry receives them.

use std::time::Duration;

use serde_json::Value;

use super::{Scratch, events_in, lost, of, run, sentry, spans_in, text, under};

#[tokio::test]
async fn sentry_receives_the_failure_alone() {
    let (dsn, receiver) = sentry(Some(Duration::ZERO)).await;
    let scratch = Scratch::new();
    let output = run(&scratch, &[("SENTRY_DSN", &dsn), ("SENTRY_ENVIRONMENT", "staging")]).await;
    let events = events_in(receiver).await;
    assert_eq!(events.len(), 1, "{events:#?}");
    let event = &events[0];
    assert_eq!(event["tags"]["process_id"], "place_order");
    assert_eq!(event["tags"]["customer_id"], "c-4");
    assert_eq!((&event["environment"], &event["release"]), (&"staging".into(), &"reporting@1.2.3".into()));
    assert_eq!(event["exception"]["values"][1]["value"], "unknown card canary-4929");
    let failed = spans_in(&scratch.lines("traces"));
    assert_eq!(event["contexts"]["trace"]["trace_id"], of(&failed, "place_order", "c-4")["traceId"]);
    let lines = text(&output.stderr);
    assert!(!lines.contains("canary-4929"), "with a Sentry client error text stays there: {lines}");
    assert!(lines.contains("process=place_order outcome=failure"), "{lines}");
}

#[tokio::test]
async fn a_failure_with_large_values_arrives_cut() {
    let (dsn, receiver) = sentry(Some(Duration::ZERO)).await;
    let scratch = Scratch::new();
    under("a failure with large values", &scratch, &[("SENTRY_DSN", &dsn)]).await;
    let events = events_in(receiver).await;
    let [event] = &events[..] else { panic!("{} events", events.len()) };
    let bytes = event.to_string().len();
    println!("{bytes} bytes, {}", event["extra"]["critical_process.cut"]);
    assert!((256 << 10..=512 << 10).contains(&bytes), "{bytes}");
    assert_eq!(event["tags"]["process_id"], "parse_order");
    assert_eq!(event["exception"]["values"][0]["value"], "invalid digit found in string");
    assert!(event["extra"]["large 0"].as_str().unwrap().ends_with(" bytes]"), "{}", event["extra"]);
    let mark = event["extra"]["critical_process.cut"].as_str().unwrap();
    assert!(mark.contains(" to 524288 bytes"), "{mark}");
    assert!(event["breadcrumbs"]["values"].as_array().unwrap().len() == 20, "{}", event["breadcrumbs"]);
    assert!(lost(&scratch.lines("metrics"), "cut") > 3);
    assert_eq!(lost(&scratch.lines("metrics"), "event"), 0);
}

#[tokio::test]
async fn every_thread_reports_to_sentry_whichever_used_it_first() {
    let (dsn, receiver) = sentry(Some(Duration::ZERO)).await;
    let output = under("a thread was first", &Scratch::new(), &[("SENTRY_DSN", &dsn)]).await;
    let events = events_in(receiver).await;
    assert_eq!(events.len(), 2, "{events:#?}");
    assert!(events.iter().all(|event| event["release"] == "shop@2.0.0"), "{events:#?}");
    // Each run that failed has only one line.
    assert_eq!(text(&output.stderr).matches("process=parse_order outcome=failure").count(), 2, "{output:?}");
}

#[tokio::test]
async fn a_failure_at_the_end_of_a_program_arrives_without_the_names_of_its_functions() {
    let (dsn, receiver) = sentry(Some(Duration::ZERO)).await;
    let circumstance = "no name of a function can be looked up";
    under(circumstance, &Scratch::new(), &[("SENTRY_DSN", &dsn)]).await;
    let events = events_in(receiver).await;
    assert_eq!(events.len(), 1, "{events:#?}");
    let frames = &events[0]["threads"]["values"][0]["stacktrace"]["frames"];
    assert!(frames[0]["instruction_addr"].is_string(), "{frames}");
}

#[tokio::test]
async fn a_name_that_sentry_discards_is_reported_and_does_not_reach_it() {
    let (dsn, receiver) = sentry(Some(Duration::ZERO)).await;
    let names = [("SENTRY_DSN", &*dsn), ("SENTRY_ENVIRONMENT", "a/b"), ("SENTRY_RELEASE", "feature/login")];
    let lines = text(&run(&Scratch::new(), &names).await.stderr);
    for name in ["invalid SENTRY_ENVIRONMENT `a/b`", "invalid SENTRY_RELEASE `feature/login`"] {
        assert_eq!(lines.matches(name).count(), 1, "{lines}");
    }
    let events = events_in(receiver).await;
    assert_eq!(
        (&events[0]["environment"], &events[0]["release"]),
        (&"development".into(), &"reporting@1.2.3".into())
    );
}

#[tokio::test]
async fn a_panic_waits_for_no_sentry() {
    let (dsn, _receiver) = sentry(None).await;
    let output = under("runs panic", &Scratch::new(), &[("SENTRY_DSN", &dsn)]).await;
    let longest: u64 = text(&output.stdout).trim().parse().unwrap();
    assert!(longest < 500, "a panic took {longest} ms");
}

#[tokio::test]
async fn an_event_that_finds_no_room_takes_no_other_s_stack() {
    let (dsn, receiver) = sentry(Some(Duration::from_millis(20))).await;
    let scratch = Scratch::new();
    let output = under("many fail at once", &scratch, &[("SENTRY_DSN", &dsn), ("RUST_LOG", "off")]).await;
    let events = events_in(receiver).await;
    let lines = text(&output.stderr);
    let is_begin = |line: &&str| line.contains("the Sentry queue is full") && !line.contains("(ended: ");
    assert_eq!(lines.lines().filter(is_begin).count(), 1, "{lines}");
    // The last measurements count all lost events. The event that is being sent when the program ends may be neither
    // received nor counted.
    let known = events.len() as u64 + lost(&scratch.lines("metrics"), "event");
    assert!((399..=400).contains(&known), "{known}");
    assert!((10..400).contains(&events.len()), "{}", events.len());
    let has_stack = |event: &Value| event["threads"]["values"][0]["stacktrace"]["frames"].is_array();
    assert!(events.iter().all(has_stack), "{:#?}", events.iter().find(|event| !has_stack(event)));
}

#[tokio::test]
async fn a_panic_that_ends_the_program_is_reported_after_a_flush() {
    let (dsn, receiver) = sentry(Some(Duration::ZERO)).await;
    let output = under("a panic ends the program", &Scratch::new(), &[("SENTRY_DSN", &dsn)]).await;
    assert_eq!(text(&output.stdout).trim(), "flushed true");
    assert_eq!(events_in(receiver).await.len(), 1);
}
