//! Every answer of the endpoints matches the schemas in `process-runtime/schemas`, in every state, in both JSON
//! forms, with and without detail. Every property of the schemas occurs in an answer, and the schemas reject other
//! bodies.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use jsonschema::Validator;
use process_runtime::health::{CheckVerdict, Detail, Health, Request, Response, Setup, Status};
use process_runtime::{Install, critical_process, dependency, dependency_check, health_check, stage};
use serde_json::{Value, json};

#[path = "shared/children.rs"]
mod children;

use children::child;

const JSON: &str = "application/json";
const HEALTH_JSON: &str = "application/health+json";

/// How a process or dependency behaves under its check. The check of one that hangs fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Works,
    Degrades,
    Fails,
    Hangs,
}

#[derive(Debug, thiserror::Error)]
#[error("the oven is cold")]
struct Cold;

/// Bakes.
#[critical_process(
    id = "bake",
    version = "3.1.4",
    sla = "5s",
    degraded = is_burnt,
    depends_on("oven", "mill"),
)]
async fn bake(mode: Mode) -> Result<bool, Cold> {
    knead().await;
    dependency("mill", async { Ok(()) }).await?;
    match mode {
        Mode::Works => Ok(false),
        Mode::Degrades => Ok(true),
        Mode::Fails => Err(Cold),
        Mode::Hangs => std::future::pending().await,
    }
}

fn is_burnt(burnt: &bool) -> bool {
    *burnt
}

#[stage(id = "knead", process = "bake")]
async fn knead() {}

#[health_check(process = "bake")]
async fn it_bakes(mode: Mode) -> Result<(), Cold> {
    bake(mode).await.map(drop)
}

#[dependency_check(id = "oven", timeout = "1s")]
async fn the_oven_is_warm(mode: Mode) -> CheckVerdict {
    match mode {
        Mode::Works => CheckVerdict::Pass,
        Mode::Degrades => CheckVerdict::Warn("it is lukewarm".to_owned()),
        Mode::Fails => CheckVerdict::Fail("it is cold".to_owned()),
        Mode::Hangs => std::future::pending().await,
    }
}

/// Sells. It has no check.
#[critical_process(id = "sell", version = "1.0.0", sla = "1s")]
async fn sell(works: bool) -> Result<(), Cold> {
    if works { Ok(()) } else { Err(Cold) }
}

async fn sold(times: usize, works: bool) {
    for _ in 0..times {
        let _ = sell(works).await;
    }
}

static IS_OPEN: AtomicBool = AtomicBool::new(true);

fn is_open() -> Result<(), String> {
    IS_OPEN.load(Ordering::SeqCst).then_some(()).ok_or_else(|| "it is closed".to_owned())
}

fn schema(form: &str) -> Value {
    let text = match form {
        HEALTH_JSON => include_str!("../schemas/health+json.schema.json"),
        _ => include_str!("../schemas/health.schema.json"),
    };
    serde_json::from_str(text).expect("it is JSON")
}

/// Returns a validator that also validates formats, which validators do not do by default.
fn validator(schema: &Value) -> Validator {
    assert!(jsonschema::meta::is_valid(schema), "it is a schema itself");
    jsonschema::options().should_validate_formats(true).build(schema).expect("it is a schema")
}

async fn get(health: &Health, path: &str, accept: &str) -> Response {
    health.respond(Request { method: "GET", path, accept: Some(accept), authorization: None }).await
}

fn parsed(answer: &Response) -> Value {
    serde_json::from_str(&answer.body).expect("it is JSON")
}

/// The answers in one form, and the values that occurred in them.
struct SchemaCheck {
    form: &'static str,
    schema: Value,
    validator: Validator,
    seen: BTreeSet<String>,
    of_parts: BTreeSet<String>,
    statuses: BTreeSet<(&'static str, String)>,
}

impl SchemaCheck {
    fn new(form: &'static str) -> SchemaCheck {
        let schema = schema(form);
        let validator = validator(&schema);
        let (seen, of_parts, statuses) = Default::default();
        SchemaCheck { form, schema, validator, seen, of_parts, statuses }
    }

    /// Returns the properties that the schema has for a whole answer, and those that it has for one entry of the
    /// answer's `details` or `checks`.
    fn known(&self) -> [&Value; 2] {
        let properties = &self.schema["properties"];
        let part = match self.form {
            HEALTH_JSON => &properties["checks"]["additionalProperties"]["items"],
            _ => &properties["details"]["additionalProperties"],
        };
        [properties, &part["properties"]]
    }

    fn verify(&mut self, path: &'static str, answer: &Response, expected: Status, with_detail: bool) {
        let body = parsed(answer);
        let errors: Vec<_> = self.validator.iter_errors(&body).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{path}: {errors:#?} of {body:#}");
        assert!(answer.headers.contains(&("content-type", self.form)), "{path}: {:?}", answer.headers);
        let status = match expected {
            _ if self.form == JSON => expected.as_overall_str(),
            Status::Unknown => "pass",
            _ => expected.as_str(),
        };
        assert_eq!(
            (&body["status"], answer.status),
            (&status.into(), expected.http_status()),
            "{path}: {body:#}"
        );
        assert_eq!(body.get("serving").is_some(), answer.status == 200, "{path}: {body:#}");
        self.statuses.insert((path, status.to_owned()));

        let parts = if self.form == JSON { &body["details"] } else { &body["checks"] };
        let parts = parts.as_object().into_iter().flatten();
        let parts = parts.flat_map(|(_, part)| keys(part.get(0).unwrap_or(part))).collect();
        let seen = [keys(&body).collect::<BTreeSet<_>>(), parts];
        for (seen, known) in seen.iter().zip(self.known()) {
            let is_detail = |key: &&String| {
                let description = known[key.as_str()]["description"].as_str();
                description.is_some_and(|text| text.ends_with("Detail."))
            };
            let details: Vec<_> = seen.iter().filter(is_detail).collect();
            assert!(with_detail || details.is_empty(), "{path}: {details:?} in {body:#}");
        }
        let [own, parts] = seen;
        self.seen.extend(own);
        self.of_parts.extend(parts);
    }
}

fn keys(object: &Value) -> impl Iterator<Item = String> {
    object.as_object().into_iter().flatten().map(|(key, _)| key.clone())
}

#[tokio::test(start_paused = true)]
async fn every_answer_matches_its_schema_and_every_property_of_a_schema_occurs() {
    use Status::{Fail, Pass, Unknown, Warn};
    let mut checks = [JSON, HEALTH_JSON].map(SchemaCheck::new);
    let paths = ["", "/live", "/started", "/ready", "/bake", "/bread", "/oven", "/sell"];
    // In the first state nothing was sold yet, so nothing is known about `sell`.
    let states = [
        (Mode::Degrades, 0, 0, [Warn, Pass, Pass, Warn, Warn, Warn, Warn, Unknown]),
        (Mode::Works, 20, 0, [Pass; 8]),
        (Mode::Fails, 0, 30, [Fail, Fail, Fail, Fail, Fail, Fail, Fail, Warn]),
        (Mode::Hangs, 0, 0, [Fail, Pass, Pass, Fail, Fail, Fail, Fail, Warn]),
    ];
    for (mode, sold_well, sold_badly, expected) in states {
        sold(sold_well, true).await;
        sold(sold_badly, false).await;
        IS_OPEN.store(mode != Mode::Fails, Ordering::SeqCst);
        for detail in [Detail::Always, Detail::Never] {
            let with_detail = matches!(detail, Detail::Always);
            let setup =
                Setup::new().with(mode).require(["oven"]).alias("bread", "bake").liveness("open", is_open);
            let health = setup.wait_for_mark_started().detail(detail).start();
            match mode {
                Mode::Fails => {}
                Mode::Hangs => {
                    health.mark_started();
                    health.begin_shutdown();
                }
                _ => health.mark_started(),
            }
            for check in &mut checks {
                for (path, expected) in paths.into_iter().zip(expected) {
                    check.verify(path, &get(&health, path, check.form).await, expected, with_detail);
                }
            }
        }
    }
    for check in checks {
        for (seen, known) in [&check.seen, &check.of_parts].into_iter().zip(check.known()) {
            assert_eq!(*seen, keys(known).collect(), "what is answered, and what is described");
        }
        // Two of the paths, `/live` and `/started`, are never degraded. `/sell` never fails, but may be unknown, which
        // is a pass in the other form.
        let of_sell = if check.form == JSON { 3 } else { 2 };
        assert_eq!(check.statuses.len(), 3 * (paths.len() - 1) - 2 + of_sell, "{:?}", check.statuses);
    }
}

#[tokio::test(start_paused = true)]
async fn a_schema_takes_nothing_else() {
    let change = |answer: &Value, key: &str, value: Value| {
        let mut answer = answer.clone();
        answer[key] = value;
        answer
    };
    for (form, words) in [(JSON, ["healthy", "unhealthy"]), (HEALTH_JSON, ["pass", "fail"])] {
        let validator = validator(&schema(form));
        let health = Setup::new().with(Mode::Works).detail(Detail::Always).start();
        let good = parsed(&get(&health, "/oven", form).await);
        let bad = change(&good, "status", words[1].into());
        let mut without = good.clone();
        without.as_object_mut().expect("it is an object").remove("serving");
        assert!(validator.is_valid(&good) && good["status"] == words[0], "{good:#}");
        for wrong in [
            // A monitor that searches for the text `serving` would take this failure for a success.
            bad,
            without,
            change(&good, "serving", false.into()),
            change(&good, "status", "ok".into()),
            change(&good, "hostname", "db-7".into()),
            change(&good, "checks", json!({ "stage1": "degraded" })),
        ] {
            assert!(!validator.is_valid(&wrong), "{wrong:#}");
        }
        if form == JSON {
            for (key, value) in [
                ("timestamp", json!("yesterday")),
                ("latency_ms", json!(-1)),
                ("process_id", json!("no id")),
                ("details", json!({ "stage1": { "output": "no status" } })),
            ] {
                assert!(!validator.is_valid(&change(&good, key, value)), "{key}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_name_of_a_part_makes_a_valid_answer() {
    for name in ["", ":", "db:writer", "the writer", "\u{202e}", "status"] {
        let health = Setup::new().with(Mode::Works).liveness("", || Ok(())).require([name]);
        let health = health.liveness("db:writer", || Err("gone".to_owned())).start();
        for form in [JSON, HEALTH_JSON] {
            for path in ["/live", "/ready"] {
                let body = parsed(&get(&health, path, form).await);
                assert!(validator(&schema(form)).is_valid(&body), "{body:#}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_description_has_these_schemas_and_one_of_each_refusal() {
    // The alias `live` has no endpoint, because `/live` has another meaning.
    let health = Setup::new().with(Mode::Works).alias("bread", "bake").alias("live", "bake").start();
    let answer = get(&health, "/openapi.json", JSON).await;
    assert_eq!(answer.status, 200);
    let description = parsed(&answer);
    let schemas = &description["components"]["schemas"];
    assert_eq!((&schemas["Health"], &schemas["HealthJson"]), (&schema(JSON), &schema(HEALTH_JSON)));
    let problem = validator(&schemas["Problem"]);
    let post = Request { method: "POST", path: "/live", ..Request::default() };
    for (answer, status) in [
        (get(&health, "/baked", JSON).await, 404),
        (get(&health, "/a/b", HEALTH_JSON).await, 404),
        (health.respond(post).await, 405),
    ] {
        assert_eq!(answer.status, status);
        assert!(problem.is_valid(&parsed(&answer)), "{}", answer.body);
    }
    assert!(!problem.is_valid(&json!({ "error": "", "at": "here" })));

    // The description lists every name that has an endpoint.
    let examples = &description["paths"]["/health/{id}"]["get"]["parameters"][0]["examples"];
    assert_eq!(keys(examples).collect::<Vec<_>>(), ["bake", "bread", "oven", "sell"]);
    for (name, example) in examples.as_object().expect("they are named") {
        assert_eq!(example, &json!({ "value": name }));
    }
}

#[test]
fn each_alias_that_is_ignored_is_reported_with_its_reason() {
    let output = child("child_has_aliases_that_are_ignored").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(start_paused = true)]
#[ignore = "child of each_alias_that_is_ignored_is_reported_with_its_reason"]
async fn child_has_aliases_that_are_ignored() {
    let setup = Setup::new().with(Mode::Works).alias("bread", "bake");
    drop(setup.alias("oven", "bake").alias("ready", "bake").alias("hot bread", "bake").start());
    let report = Install::new().start().report();
    for expected in [
        "alias `oven` is ignored, because a check or process has this id; use another",
        "alias `ready` is ignored, because it is a built-in endpoint; use another",
        "invalid alias `hot bread`: use at most 64 letters, digits, `_` and `-`; the alias is ignored",
    ] {
        assert!(report.iter().any(|line| line == expected), "{expected}: {report:#?}");
    }
    assert!(!report.iter().any(|line| line.contains("`bread`")), "{report:#?}");
}
