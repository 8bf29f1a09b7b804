//! The stage in which a process failed, as the event of the process names it.

use std::time::Duration;

use process_runtime::{critical_process, stage};
use process_tests::events::{Inbox, in_block, tag};

use super::{Kind, attempt, ships};

#[tokio::test(start_paused = true)]
async fn a_failed_stage_sends_no_event_and_the_event_of_its_process_names_it() {
    let (inbox, _guard) = Inbox::bound();
    ships("p-1", true).await.unwrap_err();
    let events = inbox.events();
    let [message, failure] = &events[..] else { panic!("{events:#?}") };
    assert_eq!(tag(failure, "process_id"), Some("ships"));
    assert_eq!(in_block(failure, "stage"), Some(&"reserve".into()));
    // The message that the stage sends also belongs to the process of the stage.
    assert_eq!(message.message.as_deref(), Some("of a stage"));
    assert_eq!((tag(message, "process_id"), tag(message, "parcel")), (Some("ships"), Some("p-1")));
    assert_eq!(in_block(message, "stage"), Some(&"reserve".into()));
}

/// What `repairs` does after its stage has failed.
#[derive(Clone, Copy)]
enum Then {
    Nothing,
    CallFails,
    CallSucceeds,
    StageIsCancelled,
}

#[stage(id = "waits")]
async fn waits() {
    std::future::pending::<()>().await;
}

#[critical_process(id = "repairs", version = "1.0.0", sla = "10s", error_type = Kind::kind, depends_on("db"))]
async fn repairs(error: &'static str, then: Then) -> Result<(), Kind> {
    let _ = attempt(Kind(error)).await;
    let call = async |result: Result<(), Kind>| {
        let _ = process_runtime::dependency("db", async { result }).await;
    };
    match then {
        Then::Nothing => {}
        Then::CallFails => call(Err(Kind("refused"))).await,
        Then::CallSucceeds => call(Ok(())).await,
        Then::StageIsCancelled => {
            let _ = tokio::time::timeout(Duration::from_secs(1), waits()).await;
        }
    }
    Err(Kind("same"))
}

#[tokio::test(start_paused = true)]
async fn a_stage_is_named_where_its_process_failed_by_it() {
    for (error, then, stage) in [
        ("other", Then::Nothing, Some("attempt")),
        ("other", Then::StageIsCancelled, Some("attempt")),
        // The process handled the failure of the stage, and then returned another error. The event names no stage.
        ("other", Then::CallFails, None),
        ("other", Then::CallSucceeds, None),
        // The process returned the error of the stage after a call that cleans up. The event still names the stage.
        ("same", Then::CallSucceeds, Some("attempt")),
    ] {
        let (inbox, _guard) = Inbox::bound();
        repairs(error, then).await.unwrap_err();
        let event = inbox.only_event();
        assert_eq!(in_block(&event, "stage"), stage.map(Into::into).as_ref(), "{error}");
    }
}
