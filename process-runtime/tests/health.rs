//! What the health endpoints promise: the truth, within bounds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use process_runtime::health::{Answer, Detail, Health, Request, Setup, Status, Verdict};
use process_runtime::{critical_process, dependency, dependency_check, health_check, registry, stage};
use serde_json::Value;

/// What a test's checks meet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Mode {
    #[default]
    Works,
    Fails,
    Degrades,
    Rejects,
    IsLate,
    Panics,
    Hangs,
    Blocks,
    DoesNotRun,
}

/// Of one test.
#[derive(Clone, Debug, Default)]
struct World {
    council: Arc<Mutex<Mode>>,
    database: Arc<Mutex<Mode>>,
    probed: Arc<AtomicUsize>,
    /// Executions that go on.
    going_on: Arc<AtomicUsize>,
}

impl World {
    fn new(council: Mode, database: Mode) -> World {
        let world = World::default();
        world.set(council, database);
        world
    }

    fn set(&self, council: Mode, database: Mode) {
        *self.council.lock().unwrap() = council;
        *self.database.lock().unwrap() = database;
    }

    fn executions(&self) -> usize {
        self.probed.load(Ordering::SeqCst)
    }

    fn health(&self) -> Setup {
        Setup::new().with(self.clone())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("host db-7 says no")]
struct CouncilError;

impl CouncilError {
    fn is_mistake(_: &CouncilError) -> bool {
        true
    }
}

/// The council.
#[critical_process(
    id = "council_deliberation_3stage",
    version = "2.1.0",
    sla = "2s",
    degraded = is_degraded,
    depends_on("openrouter_api", "supabase_db"),
)]
async fn deliberate(mode: Mode) -> Result<bool, CouncilError> {
    stage1(mode).await?;
    if mode == Mode::IsLate {
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    Ok(mode == Mode::Degrades)
}

fn is_degraded(degraded: &bool) -> bool {
    *degraded
}

#[stage(id = "stage1", process = "council_deliberation_3stage")]
async fn stage1(mode: Mode) -> Result<(), CouncilError> {
    dependency("openrouter_api", async { if mode == Mode::Fails { Err(CouncilError) } else { Ok(()) } }).await
}

#[stage(id = "stage2", process = "council_deliberation_3stage")]
async fn _stage2() {}

#[health_check(process = "council_deliberation_3stage", timeout = "10s", cached_for = "5s")]
async fn the_council_deliberates(world: World) -> Result<(), CouncilError> {
    world.probed.fetch_add(1, Ordering::SeqCst);
    let mode = *world.council.lock().unwrap();
    match mode {
        Mode::Panics => panic!("as told"),
        Mode::Hangs => std::future::pending().await,
        Mode::Blocks => std::thread::sleep(Duration::from_secs(3600)),
        Mode::DoesNotRun => return Ok(()),
        _ => {}
    }
    assert_eq!(world.going_on.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
    let done = deliberate(mode).await.map(drop);
    world.going_on.fetch_sub(1, Ordering::SeqCst);
    done
}

#[dependency_check(id = "supabase_db", timeout = "2s")]
async fn the_database_answers(world: World) -> Verdict {
    let mode = *world.database.lock().unwrap();
    match mode {
        Mode::Works => Verdict::Pass,
        Mode::Hangs => std::future::pending().await,
        _ => Verdict::Fail("host db-7 says no".to_owned()),
    }
}

/// Probed by a schedule.
#[critical_process(id = "scheduled", version = "1.0.0", sla = "1s", rejects(_error if CouncilError::is_mistake(_error)))]
async fn scheduled(mode: Mode) -> Result<(), CouncilError> {
    if mode == Mode::Rejects { Err(CouncilError) } else { Ok(()) }
}

#[derive(Clone, Debug, Default)]
struct Clockwork {
    mode: Arc<Mutex<Mode>>,
    rounds: Arc<AtomicUsize>,
}

#[health_check(process = "scheduled", timeout = "10s", every = "5m")]
async fn the_schedule_works(clockwork: Clockwork) -> Result<(), std::fmt::Error> {
    clockwork.rounds.fetch_add(1, Ordering::SeqCst);
    let mode = *clockwork.mode.lock().unwrap();
    if mode == Mode::Hangs {
        std::future::pending::<()>().await;
    }
    let _ = scheduled(mode).await;
    Ok(())
}

/// Nobody probes it.
#[critical_process(id = "unprobed", version = "1.0.0", sla = "1s", objective = 90.0)]
async fn unprobed(works: bool) -> Result<(), CouncilError> {
    if works { Ok(()) } else { Err(CouncilError) }
}

async fn get(health: &Health, path: &str) -> (u16, Value) {
    let answer = ask(health, Request { method: "GET", path, ..Request::default() }).await;
    (answer.status, serde_json::from_str(&answer.body).expect("it is JSON"))
}

async fn ask(health: &Health, request: Request<'_>) -> Answer {
    health.answer(request).await
}

const COUNCIL: &str = "/council_deliberation_3stage";

#[tokio::test(start_paused = true)]
async fn a_probe_that_passes_shows_its_stages_and_dependencies() {
    let world = World::default();
    let health = world.health().detail(Detail::Always).start();
    let (status, body) = get(&health, COUNCIL).await;
    assert_eq!(status, 200);
    assert_eq!(body["status"], "degraded", "stage 2 is not reached: {body}");
    assert_eq!(body["serving"], true);
    assert_eq!(
        (&body["process_id"], &body["version"]),
        (&"council_deliberation_3stage".into(), &"2.1.0".into())
    );
    assert_eq!(body["source"], "probe");
    assert_eq!(
        body["checks"],
        serde_json::json!({ "stage1": "pass", "stage2": "warn", "openrouter_api": "pass", "supabase_db": "pass" })
    );
    assert!(
        body["latency_ms"].is_number() && body["timestamp"].is_string() && body["checked_at"].is_string()
    );
}

#[tokio::test(start_paused = true)]
async fn each_way_of_going_wrong_is_told_by_its_name() {
    for (mode, status, text) in [
        (Mode::Fails, 503, "host db-7 says no"),
        (Mode::Degrades, 200, "degraded"),
        (Mode::IsLate, 200, "success, late: it took 3.0s of 2s"),
        (Mode::Panics, 503, "it panicked"),
        (Mode::Hangs, 503, "no answer within 10s"),
        (Mode::DoesNotRun, 503, "the probe did not run `council_deliberation_3stage`"),
    ] {
        let world = World::new(mode, Mode::Works);
        let health = world.health().detail(Detail::Always).start();
        let (answered, body) = get(&health, COUNCIL).await;
        assert_eq!(answered, status, "{mode:?}: {body}");
        assert_eq!(body["error"], text, "{mode:?}: {body}");
        assert_eq!(body.get("serving").is_some(), status == 200, "{body}");
    }
    // A dependency that is down does not break what works without.
    let world = World::new(Mode::Works, Mode::Fails);
    let health = world.health().detail(Detail::Always).start();
    let (status, body) = get(&health, COUNCIL).await;
    assert_eq!(
        (status, &body["status"], &body["checks"]["supabase_db"]),
        (200, &"degraded".into(), &"fail".into())
    );
    assert_eq!(body["details"]["supabase_db"]["output"], "host db-7 says no");
    let (status, body) = get(&health, "/supabase_db").await;
    assert_eq!((status, &body["status"]), (503, &"unhealthy".into()));
    assert_eq!(
        (&body["dependency_id"], &body["error"]),
        (&"supabase_db".into(), &"host db-7 says no".into())
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_check_lacks_is_said() {
    let health = Setup::new().detail(Detail::Always).start();
    let (status, body) = get(&health, COUNCIL).await;
    assert_eq!(status, 503);
    assert!(
        body["error"].as_str().unwrap().starts_with("it takes a `health::World`, which nobody gave"),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_at_once_are_one_execution() {
    let world = World::default();
    let health = world.health().start();
    let asked: Vec<_> = (0..1000)
        .map(|_| {
            let health = health.clone();
            tokio::spawn(async move { get(&health, COUNCIL).await.0 })
        })
        .collect();
    for asked in asked {
        assert_eq!(asked.await.unwrap(), 200);
    }
    assert_eq!(world.executions(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_hangs_up_stops_nothing() {
    let world = World::new(Mode::IsLate, Mode::Works);
    let health = world.health().start();
    let hung_up = tokio::time::timeout(Duration::from_secs(1), get(&health, COUNCIL)).await;
    assert!(hung_up.is_err());
    let (status, _) = get(&health, COUNCIL).await;
    assert_eq!((status, world.executions()), (200, 1));
}

#[tokio::test(start_paused = true)]
async fn a_result_is_good_for_its_time_and_no_longer() {
    let world = World::default();
    let health = world.health().start();
    get(&health, COUNCIL).await;
    world.set(Mode::Fails, Mode::Works);
    tokio::time::sleep(Duration::from_millis(4_900)).await;
    assert_eq!(get(&health, COUNCIL).await.0, 200);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(get(&health, COUNCIL).await.0, 503);
    assert_eq!(world.executions(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_answer_takes_longer_than_the_deadline() {
    let world = World::new(Mode::Hangs, Mode::Hangs);
    let health = world.health().with(Clockwork::default()).start();
    for path in ["", COUNCIL, "/supabase_db", "/ready", "/live"] {
        let began = tokio::time::Instant::now();
        get(&health, path).await;
        assert!(began.elapsed() <= Duration::from_secs(11), "{path}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_schedule_goes_on_by_itself_and_nobody_who_asks_adds_to_it() {
    let clockwork = Clockwork::default();
    let health = Setup::new().with(clockwork.clone()).start();
    assert_eq!(get(&health, "/scheduled").await.0, 200);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let rounds = clockwork.rounds.load(Ordering::SeqCst);
    assert!(
        (11..=14).contains(&rounds),
        "an hour has twelve times five minutes, give or take a tenth: {rounds}"
    );
    for _ in 0..100 {
        get(&health, "/scheduled").await;
    }
    assert_eq!(clockwork.rounds.load(Ordering::SeqCst), rounds);
    // It ends with the endpoints.
    drop(health);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(clockwork.rounds.load(Ordering::SeqCst) <= rounds + 1);
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_process_refuses_its_input_is_no_pass() {
    let clockwork = Clockwork { mode: Arc::new(Mutex::new(Mode::Rejects)), ..Clockwork::default() };
    let health = Setup::new().with(clockwork).detail(Detail::Always).start();
    let (status, body) = get(&health, "/scheduled").await;
    assert_eq!(status, 503);
    assert_eq!(body["error"], "rejected, health::CouncilError");
}

#[test]
fn a_check_that_does_not_let_go_is_a_failure_and_is_not_started_again() {
    let world = World::new(Mode::Blocks, Mode::Works);
    // On a runtime of its own, whose only thread the check keeps.
    let stuck = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let health = {
        let _inside = stuck.enter();
        world.health().detail(Detail::Always).start()
    };
    let asking =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    asking.block_on(async {
        while world.executions() == 0 {
            let _ = tokio::time::timeout(Duration::from_millis(1), get(&health, COUNCIL)).await;
            std::thread::sleep(Duration::from_millis(1));
        }
        let (status, body) = get(&health, COUNCIL).await;
        assert_eq!(status, 503, "{body}");
        for _ in 0..10 {
            get(&health, COUNCIL).await;
        }
    });
    assert_eq!(world.executions(), 1);
    stuck.shutdown_background();
}

#[tokio::test(start_paused = true)]
async fn synthetic_runs_are_in_no_figure() {
    let before = registry::stats("council_deliberation_3stage").unwrap().started;
    let world = World::default();
    let health = world.health().start();
    for _ in 0..3 {
        get(&health, COUNCIL).await;
        tokio::time::sleep(Duration::from_secs(6)).await;
    }
    assert_eq!(world.executions(), 3);
    assert_eq!(registry::stats("council_deliberation_3stage").unwrap().started, before);
    assert_eq!(registry::in_flight().len(), 0);
}

#[tokio::test]
async fn what_nobody_probes_is_judged_by_what_is_seen_of_it() {
    let health = Setup::new().detail(Detail::Always).start();
    let (status, body) = get(&health, "/unprobed").await;
    assert_eq!(
        (status, &body["status"], &body["source"]),
        (200, &"degraded".into(), &"traffic".into()),
        "{body}"
    );
    assert!(body["error"].as_str().unwrap().contains("no success since the start"), "{body}");
    for _ in 0..19 {
        unprobed(true).await.unwrap();
    }
    assert_eq!(get(&health, "/unprobed").await.1["status"], "healthy");
    for _ in 0..4 {
        unprobed(false).await.unwrap_err();
    }
    let (status, body) = get(&health, "/unprobed").await;
    assert_eq!((status, &body["status"]), (200, &"degraded".into()), "more than a tenth failed: {body}");
    for _ in 0..15 {
        unprobed(false).await.unwrap_err();
    }
    let (status, body) = get(&health, "/unprobed").await;
    assert_eq!((status, &body["status"]), (503, &"unhealthy".into()), "{body}");
}

#[tokio::test(start_paused = true)]
async fn readiness_goes_with_the_program_and_with_what_it_needs() {
    let world = World::default();
    let health = world.health().needs(["supabase_db"]).waits_for_start().start();
    assert_eq!((get(&health, "/live").await.0, get(&health, "/started").await.0), (200, 503));
    assert_eq!(get(&health, "/ready").await.0, 503);
    health.started();
    assert_eq!((get(&health, "/started").await.0, get(&health, "/ready").await.0), (200, 200));
    world.set(Mode::Works, Mode::Fails);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!((get(&health, "/live").await.0, get(&health, "/ready").await.0), (200, 503));
    world.set(Mode::Works, Mode::Works);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(get(&health, "/ready").await.0, 200);
    health.stopping();
    let (status, body) = get(&health, "/ready").await;
    assert_eq!((status, &body["checks"]["shutdown"]), (503, &"fail".into()));
    assert_eq!(get(&health, "/live").await.0, 200);

    // What is only shown takes no replica out.
    let health = World::new(Mode::Works, Mode::Fails).health().shows(["supabase_db"]).start();
    let (status, body) = get(&health, "/ready").await;
    assert_eq!(
        (status, &body["status"], &body["checks"]["supabase_db"]),
        (200, &"degraded".into(), &"warn".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_vital_sign_that_is_missing_is_a_failure_of_liveness() {
    let health = Setup::new().alive("writer", || Err("it is gone".to_owned())).detail(Detail::Always).start();
    let (status, body) = get(&health, "/live").await;
    assert_eq!((status, &body["details"]["writer"]["output"]), (503, &"it is gone".into()));
    let health = Setup::new().alive("writer", || panic!("as told")).start();
    assert_eq!(get(&health, "/live").await.0, 503);
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_wrongly_gets_a_clear_answer_and_nothing_else() {
    let world = World::default();
    let health = world.health().alias("council", "council_deliberation_3stage").start();
    assert_eq!(get(&health, "/council").await.0, 200);
    assert_eq!(get(&health, "/health/council/").await.0, 200);
    assert_eq!(get(&health, "/health").await.1["checks"]["scheduled"], "fail");
    let (status, body) = get(&health, "/councill").await;
    assert_eq!(status, 404);
    assert_eq!(body["error"], "no process, check or alias is called `councill`; did you mean `council`?");
    let long = format!("/{}", "x".repeat(100_000));
    for path in [&*long, "/a/b", "/%00", "/../etc/passwd", "/<script>", "/live/x"] {
        let (status, body) = get(&health, path).await;
        assert_eq!((status, &body["error"]), (404, &"no such endpoint".into()), "{path:.30}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", ""] {
        let answer = ask(&health, Request { method, path: "/live", ..Request::default() }).await;
        assert_eq!(answer.status, 405);
        assert!(answer.headers.contains(&("allow", "GET, HEAD")));
    }
    let head = ask(&health, Request { method: "HEAD", path: "/council", ..Request::default() }).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.headers.contains(&("cache-control", "no-store")));
}

#[tokio::test(start_paused = true)]
async fn the_form_is_what_was_asked_for() {
    let health = World::default().health().start();
    let media = async |accept| {
        let answer =
            ask(&health, Request { method: "GET", path: COUNCIL, accept, ..Request::default() }).await;
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        (answer.headers[0].1, body["status"].as_str().unwrap().to_owned())
    };
    let (json, draft) =
        (("application/json", "degraded".to_owned()), ("application/health+json", "warn".to_owned()));
    for accept in
        [None, Some("*/*"), Some("text/html"), Some(""), Some(";;,q=,"), Some("application/health+json;q=0")]
    {
        assert_eq!(media(accept).await, json, "{accept:?}");
    }
    assert_eq!(media(Some("application/json, application/health+json;q=0.5")).await, json);
    for accept in [
        "application/health+json",
        "text/html, Application/Health+JSON ; q=0.3",
        "*/*, application/health+json",
    ] {
        assert_eq!(media(Some(accept)).await, draft, "{accept}");
    }
}

#[tokio::test(start_paused = true)]
async fn detail_is_for_those_who_may_read_it() {
    let world = World::new(Mode::Fails, Mode::Fails);
    let all = async |detail, authorization| {
        let health = world.health().detail(detail).start();
        let mut said = String::new();
        for (path, accept) in [
            (COUNCIL, None),
            ("", None),
            (COUNCIL, Some("application/health+json")),
            ("", Some("application/health+json")),
        ] {
            let request = Request { method: "GET", path, accept, authorization };
            said += &ask(&health, request).await.body;
        }
        said.contains("db-7") || said.contains("2.1.0") || said.contains("CouncilError")
    };
    assert!(all(Detail::Always, None).await);
    assert!(!all(Detail::Never, Some("Bearer secret")).await);
    let token = || Detail::Bearer("secret".to_owned());
    for wrong in [
        None,
        Some("secret"),
        Some("Bearer"),
        Some("Bearer "),
        Some("Bearer secre"),
        Some("Bearer secrett"),
        Some("Basic secret"),
    ] {
        assert!(!all(token(), wrong).await, "{wrong:?}");
    }
    assert!(all(token(), Some("bearer secret")).await);
    assert!(!all(Detail::Bearer(String::new()), Some("Bearer ")).await, "no token is nobody's");
    assert!(!format!("{:?}", token()).contains("secret"));
}

#[test]
fn without_a_runtime_it_says_so() {
    let health = World::default().health().detail(Detail::Always).start();
    let asking = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    // One that asks lends its own.
    assert_eq!(asking.block_on(get(&health, "/supabase_db")).0, 200);
    assert_eq!(health.live().status, Status::Pass);
}

#[tokio::test(start_paused = true)]
async fn readiness_that_needs_what_is_not_there_fails_and_says_so() {
    let health = World::default().health().needs(["supabase_bd"]).detail(Detail::Always).start();
    let (status, body) = get(&health, "/ready").await;
    assert_eq!((status, &body["details"]["supabase_bd"]["output"]), (503, &"there is no such check".into()));
}

#[test]
fn no_two_executions_overlap_whoever_asks_when() {
    for round in 0..50 {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::default();
            let health = world.health().detail(Detail::Always).start();
            let asked: Vec<_> = (0..64)
                .map(|number| {
                    let (health, path) = (health.clone(), if number % 2 == 0 { COUNCIL } else { "" });
                    tokio::spawn(async move {
                        let asking = get(&health, path);
                        // Some hang up.
                        let patience =
                            Duration::from_micros(if number % 5 == 0 { number * 3 } else { 30_000_000 });
                        tokio::time::timeout(patience, asking).await.map(|(_, body)| body)
                    })
                })
                .collect();
            for asked in asked {
                if let Ok(body) = asked.await.unwrap() {
                    assert!(body["error"].is_null(), "round {round}: {body}");
                }
            }
            assert_eq!(world.executions(), 1, "round {round}");
        });
    }
}

proptest::proptest! {
    #[test]
    fn whatever_is_asked_gets_an_answer_that_does_not_repeat_it(
        method in "GET|HEAD|\\PC{0,8}",
        path in "(/health)?/(live|ready|started|sqlite|council_deliberation_3stage|\\PC{0,80})[/?#]?\\PC{0,8}",
        accept in "(application/health\\+json|application/json|\\*/\\*|\\PC{0,12})(;q=[0-9.]{0,4})?,?\\PC{0,12}",
        authorization in "(Bearer |bearer|Basic )?\\PC{0,16}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let answer = runtime.block_on(async {
            let health = Setup::new().detail(Detail::Bearer("a token that is long enough".to_owned())).start();
            let request =
                Request { method: &method, path: &path, accept: Some(&accept), authorization: Some(&authorization) };
            ask(&health, request).await
        });
        proptest::prop_assert!([200, 404, 405, 503].contains(&answer.status));
        if method == "HEAD" {
            proptest::prop_assert_eq!(answer.body, "");
        } else {
            let body: Value = serde_json::from_str(&answer.body).expect("it is JSON");
            proptest::prop_assert!(answer.status == 404 || answer.status == 405 || body["status"].is_string());
            let said = body["error"].as_str().unwrap_or_default();
            proptest::prop_assert!(said.len() < 250 && said.is_ascii(), "{}", said);
        }
    }
}
