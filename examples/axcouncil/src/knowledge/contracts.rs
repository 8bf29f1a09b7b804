//! The contracts of saving an entry.

use std::time::Duration;

use process_runtime::contract;
use process_runtime::testing::{Fault, Observing, observe};

use super::*;
use crate::trial::{ADA, Platform, SALES};

const ENTRIES: &str =
    "SELECT company_id || ' ' || coalesce(department_id, '-') || ' ' || author_id || ' ' || title ||
    ' ' || body || ' ' || auto_inject FROM knowledge_entries";
const TAGS: &str = "SELECT entry_id || ' ' || tag FROM knowledge_tags ORDER BY tag";

fn entry(title: &str, tags: &[&str], department_id: Option<i64>) -> Entry {
    Entry {
        title: title.to_owned(),
        body: " Never below cost. ".to_owned(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        auto_inject: true,
        department_id,
    }
}

fn keep<'p>(
    platform: &'p Platform,
    entry: &'p Entry,
) -> Observing<impl Future<Output = Result<Saved, KnowledgeError>>> {
    observe(ADA.scope().in_scope(save(platform.service(), ADA, entry)))
}

async fn is_untouched(platform: &Platform) -> bool {
    platform.texts(ENTRIES).await.is_empty() && platform.texts(TAGS).await.is_empty()
}

#[contract(process = "knowledge_entry_save", case = happy)]
#[tokio::test]
async fn an_entry_is_saved_with_its_tags() {
    let platform = Platform::new().await;
    let entry = entry(" Prices ", &["Pricing", " pricing ", "EU"], Some(SALES));
    let run = keep(&platform, &entry).await;
    run.expect()
        .success()
        .within_sla()
        .calls(["sqlite"])
        .context_value("auto_inject", true)
        .context_value("entry_id", 1)
        .context_value("user_id", ADA.id)
        .context_value("company_id", ADA.company)
        .no_event();
    let saved = run.into_value().expect("it succeeded");
    assert_eq!(saved.id, 1);
    assert!(saved.tags.iter().eq(["eu", "pricing"]));
    assert_eq!(platform.texts(ENTRIES).await, ["1 2 1 Prices Never below cost. 1"]);
    assert_eq!(platform.texts(TAGS).await, ["1 eu", "1 pricing"]);
}

#[contract(process = "knowledge_entry_save", case = dependency("sqlite"))]
#[tokio::test]
async fn a_failed_write_is_reported() {
    let platform = Platform::new().await;
    let entry = entry("Prices", &["eu"], None);
    let run = keep(&platform, &entry).fault("sqlite", Fault::error(|| sqlx::Error::PoolClosed)).await;
    run.expect().failure("database").one_event([("process_outcome", "failure"), ("user_id", "1")]);
    assert_eq!(ApiError::from(run.into_value().err().expect("it failed")).code, "internal");
    assert!(is_untouched(&platform).await);
}

#[contract(process = "knowledge_entry_save", case = edge)]
#[tokio::test]
async fn an_entry_and_its_tags_are_saved_both_or_neither() {
    let platform = Platform::new().await;
    platform
        .change("CREATE TRIGGER no_tags BEFORE INSERT ON knowledge_tags BEGIN SELECT RAISE(ABORT, 'no'); END")
        .await;
    let entry = entry("Prices", &["eu"], None);
    keep(&platform, &entry).await.expect().failure("database");
    assert!(is_untouched(&platform).await);
}

#[contract(process = "knowledge_entry_save", case = error("invalid"))]
#[tokio::test]
async fn an_entry_needs_a_title_a_body_and_valid_tags() {
    let platform = Platform::new().await;
    let eleven: Vec<String> = (0..11).map(|number| format!("tag {number}")).collect();
    let eleven: Vec<&str> = eleven.iter().map(String::as_str).collect();
    let long = "x".repeat(41);
    let without_body = Entry { body: " ".to_owned(), ..entry("Prices", &[], None) };
    for entry in [
        entry(" ", &[], None),
        without_body,
        entry("t", &eleven, None),
        entry("t", &[" "], None),
        entry("t", &[&long], None),
    ] {
        let run = keep(&platform, &entry).await;
        run.expect().rejected("invalid").calls([]).no_event();
        assert_eq!(ApiError::from(run.into_value().err().expect("it is invalid")).code, "invalid");
    }
    assert!(is_untouched(&platform).await);
    let most = "x".repeat(40);
    keep(&platform, &entry("t", &eleven[..9].iter().copied().chain([&*most]).collect::<Vec<_>>(), None))
        .await
        .expect()
        .success();
}

#[contract(process = "knowledge_entry_save", case = error("unknown_department"))]
#[tokio::test]
async fn another_companys_department_is_unknown() {
    let platform = Platform::new().await;
    let entry = entry("Prices", &[], Some(3));
    let run = keep(&platform, &entry).await;
    run.expect().rejected("unknown_department").no_event();
    assert_eq!(ApiError::from(run.into_value().err().expect("it is another's")).code, "not_found");
    assert!(is_untouched(&platform).await);
}

#[contract(process = "knowledge_entry_save", case = timeout)]
#[tokio::test]
async fn a_database_that_hangs_is_an_error() {
    let platform = Platform::with(|limits| limits.sqlite = Duration::from_millis(100)).await;
    let entry = entry("Prices", &[], None);
    keep(&platform, &entry)
        .fault("sqlite", Fault::hang())
        .await
        .expect()
        .failure("database_timeout")
        .within_sla();
}

#[contract(process = "knowledge_entry_save", case = sla)]
#[tokio::test]
async fn it_is_late_after_three_seconds() {
    let platform = Platform::new().await;
    let entry = entry("Prices", &[], None);
    let late = Fault::delay(Duration::from_millis(3_001));
    keep(&platform, &entry).fault("sqlite", late).await.expect().success().late();
}
