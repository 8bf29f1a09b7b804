//! Checks whose code blocks, panics, or returns an error with a hostile text.

use std::fmt;
use std::time::Duration;

use process_runtime::health::{Detail, Request, Setup};
use process_runtime::{Install, Limits};
use serde_json::Value;

use super::{Lathe, get};

/// An error whose `Display` is foreign code.
#[derive(Debug)]
pub(crate) struct Broken(fn(&mut fmt::Formatter<'_>) -> fmt::Result);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

/// A value whose drop panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::panic::panic_any(Bomb);
        }
    }
}

async fn answer(check: fn() -> Result<(), Broken>) -> (u16, Value) {
    get(&Setup::new().with(Lathe(check)).detail(Detail::Always).start(), "/lathe").await
}

fn notices_about_the_lathe() -> usize {
    let report = Install::new().start().report();
    report.iter().filter(|line| line.contains("`health::the_lathe_turns` at ")).count()
}

#[tokio::test]
async fn a_check_that_ends_after_its_timeout_has_failed_and_is_named_if_it_blocks() {
    for check in [
        || {
            std::thread::sleep(Duration::from_millis(300));
            Ok(())
        },
        || {
            std::thread::sleep(Duration::from_millis(300));
            panic!("too late");
        },
        || {
            std::thread::sleep(Duration::from_millis(300));
            Err(Broken(|f| f.write_str("too late")))
        },
    ] as [fn() -> Result<(), Broken>; 3]
    {
        let health = Setup::new().with(Lathe(check)).detail(Detail::Always).start();
        for wait in [Duration::ZERO, Duration::from_millis(600)] {
            // The second request receives the result of the execution that has ended by then.
            tokio::time::sleep(wait).await;
            let (status, body) = get(&health, "/lathe").await;
            assert_eq!((status, &body["reason"]), (503, &"check_timed_out".into()), "{body}");
            let error = body["error"].as_str().unwrap();
            assert!(error.starts_with("no answer within 200ms; `health::the_lathe_turns` at "), "{error}");
            assert!(error.ends_with("blocks its thread"), "{error}");
        }
    }
    assert_eq!(notices_about_the_lathe(), 1, "one notice for all executions");
}

#[tokio::test]
async fn a_panic_of_a_check_is_a_failed_check() {
    for check in [
        || panic!("on demand"),
        || {
            let _bomb = Bomb;
            Ok(())
        },
        // The drop of the payload panics, again with such a payload.
        || std::panic::panic_any(Bomb),
    ] as [fn() -> Result<(), Broken>; 3]
    {
        let (status, body) = answer(check).await;
        let failed = (503, &"check_failed".into(), &"the check panicked".into());
        assert_eq!((status, &body["reason"], &body["error"]), failed, "{body}");
    }
    let health = Setup::new().liveness("bomb", || std::panic::panic_any(Bomb)).detail(Detail::Always).start();
    let (status, body) = get(&health, "/live").await;
    assert_eq!((status, &body["details"]["bomb"]["output"]), (503, &"the check panicked".into()), "{body}");
    // The text of an error is foreign code too.
    let (_, body) = answer(|| Err(Broken(|_| panic!("in Display")))).await;
    assert_eq!(body["error"], "[its `Display` panicked]");
    let (_, body) = answer(|| Err(Broken(|_| Err(fmt::Error)))).await;
    assert_eq!(body["error"], "[its `Display` failed]");
}

#[tokio::test]
async fn the_text_of_an_error_costs_its_limit_and_forges_nothing() {
    let limit = Limits::default().error_text;
    let (_, body) = answer(|| {
        Err(Broken(|f| {
            loop {
                f.write_str("\u{202e}and on ")?
            }
        }))
    })
    .await;
    let text = body["error"].as_str().unwrap();
    assert!(text.len() <= limit + 32 && text.ends_with(" bytes]"), "{} bytes: {text:.40}", text.len());

    const FORGED: &str = "x\"},\"status\":\"healthy\",\"serving\":true,\r\n\u{0}\u{1b}[2J\u{7f}\u{85}\u{2028}\u{202e}\u{feff}\u{ad}\u{61c}\u{180e}\u{e0041}\u{ffff}\\é🦀";
    let health =
        Setup::new().with(Lathe(|| Err(Broken(|f| f.write_str(FORGED))))).detail(Detail::Always).start();
    for accept in ["application/json", "application/health+json"] {
        let request = Request { method: "GET", path: "/lathe", accept: Some(accept), authorization: None };
        let answer = health.respond(request).await;
        assert!(!answer.body.contains("\"serving\":true"), "{}", answer.body);
        assert!(
            !answer.body.contains(|c: char| c.is_control()
                || "\u{2028}\u{202e}\u{feff}\u{ad}\u{61c}\u{180e}\u{e0041}\u{ffff}".contains(c)),
            "{}",
            answer.body
        );
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        let text = if accept == "application/json" { &body["error"] } else { &body["output"] };
        assert_eq!(text, FORGED);
    }
}
