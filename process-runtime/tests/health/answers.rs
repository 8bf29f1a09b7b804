//! The form of an answer: paths, methods, media types, and the detail that a caller may read.

use process_runtime::health::{Detail, Request, Setup};
use serde_json::Value;

use super::{COUNCIL, Mode, World, get};

#[tokio::test(start_paused = true)]
async fn a_wrong_request_gets_a_clear_answer_and_nothing_else() {
    let world = World::default();
    let health = world.health().alias("council", "council_deliberation_3stage").start();
    assert_eq!(get(&health, "/council").await.0, 200);
    assert_eq!(get(&health, "/health/council/").await.0, 200);
    assert_eq!(get(&health, "/health").await.1["checks"]["scheduled"], "fail");
    let (status, body) = get(&health, "/councill").await;
    assert_eq!(status, 404);
    assert_eq!(body["error"], "no process, check or alias is named `councill`; did you mean `council`?");
    let long = format!("/{}", "x".repeat(100_000));
    for path in [&*long, "/a/b", "/%00", "/../etc/passwd", "/<script>", "/live/x"] {
        let (status, body) = get(&health, path).await;
        assert_eq!((status, &body["error"]), (404, &"no such endpoint".into()), "{path:.30}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", ""] {
        let answer = health.respond(Request { method, path: "/live", ..Request::default() }).await;
        assert_eq!(answer.status, 405);
        assert!(answer.headers.contains(&("allow", "GET, HEAD")));
    }
    let head = health.respond(Request { method: "HEAD", path: "/council", ..Request::default() }).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.headers.contains(&("cache-control", "no-store")));
}

#[tokio::test(start_paused = true)]
async fn the_form_is_the_one_that_the_caller_accepts() {
    let health = World::default().health().start();
    let media = async |accept| {
        let answer =
            health.respond(Request { method: "GET", path: COUNCIL, accept, ..Request::default() }).await;
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
async fn detail_is_for_callers_that_may_read_it() {
    let world = World::new(Mode::Fails, Mode::Fails);
    let all = async |detail, authorization| {
        let health = world.health().detail(detail).start();
        let mut bodies = String::new();
        for (path, accept) in [
            (COUNCIL, None),
            ("", None),
            (COUNCIL, Some("application/health+json")),
            ("", Some("application/health+json")),
        ] {
            let request = Request { method: "GET", path, accept, authorization };
            bodies += &health.respond(request).await.body;
        }
        bodies.contains("db-7") || bodies.contains("2.1.0") || bodies.contains("CouncilError")
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
    assert!(!all(Detail::Bearer(String::new()), Some("Bearer ")).await, "an empty token admits no one");
    assert!(!format!("{:?}", token()).contains("secret"));
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
            health.respond(request).await
        });
        proptest::prop_assert!([200, 404, 405, 503].contains(&answer.status));
        if method == "HEAD" {
            proptest::prop_assert_eq!(answer.body, "");
        } else {
            let body: Value = serde_json::from_str(&answer.body).expect("it is JSON");
            proptest::prop_assert!(answer.status == 404 || answer.status == 405 || body["status"].is_string());
            let error = body["error"].as_str().unwrap_or_default();
            proptest::prop_assert!(error.len() < 250 && error.is_ascii(), "{}", error);
        }
    }
}
