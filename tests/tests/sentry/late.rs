//! How often late runs send a warning.

use std::time::Duration;

use process_runtime::critical_process;
use process_runtime::testing::Domain;
use process_tests::events::{Inbox, in_block, tag};
use sentry::Level;
use tokio::time::sleep;

use super::{Unavailable, fingerprint};

#[critical_process(id = "late_once", version = "1.0.0", sla = "10s", context(number))]
async fn late_once(number: u8, seconds: u64) {
    let _ = number;
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_process_is_one_warning_a_minute_while_it_still_runs() {
    let (inbox, _guard) = Inbox::bound();
    let domain = Domain::new();
    let late = async { tokio::join!(late_once(1, 40), late_once(2, 40), late_once(3, 5)) };
    let watched = async {
        sleep(Duration::from_secs(9)).await;
        assert!(inbox.events().is_empty());
        sleep(Duration::from_secs(2)).await;
        inbox.only_event()
    };
    let (_, event) = domain.run(async { tokio::join!(late, watched) }).await;
    assert_eq!(event.level, Level::Warning);
    assert_eq!(fingerprint(&event), ["late_once", "overdue"]);
    assert_eq!((tag(&event, "process_id"), tag(&event, "number")), (Some("late_once"), Some("1")));
    assert_eq!(in_block(&event, "late"), Some(&true.into()));
    assert!(event.message.unwrap().contains("late_once"));
    // The second run was late in the same minute, so it sent no warning. The ends of the late runs send nothing.
    assert!(inbox.events().is_empty());
    assert_eq!(domain.stats("late_once").unwrap().ended.late(), 2);
}

#[critical_process(id = "late_again", version = "1.0.0", sla = "10s")]
async fn late_again() {
    sleep(Duration::from_secs(45)).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_minute_a_late_process_is_a_warning_again() {
    let (inbox, _guard) = Inbox::bound();
    let domain = Domain::new();
    domain
        .run(async { while tokio::time::timeout(Duration::from_secs(1), late_again()).await.is_ok() {} })
        .await;
    for _ in 0..4 {
        domain.run(late_again()).await;
    }
    // Runs are late at 11, 56, 101 and 146 s. The second and the fourth are late within a minute of the last warning,
    // so they send nothing.
    assert_eq!(inbox.events().len(), 2);
}

#[critical_process(id = "late_other", version = "1.0.0", sla = "10s")]
async fn late_other() -> Result<(), Unavailable> {
    sleep(Duration::from_secs(11)).await;
    Err(Unavailable)
}

#[tokio::test(start_paused = true)]
async fn a_late_failure_is_a_warning_and_an_event() {
    let (inbox, _guard) = Inbox::bound();
    Domain::new().run(late_other()).await.unwrap_err();
    let events = inbox.events();
    let levels: Vec<_> = events.iter().map(|event| event.level).collect();
    assert_eq!(levels, [Level::Warning, Level::Error]);
    assert_eq!(in_block(&events[1], "late"), Some(&true.into()));
}
