//! Knowledge entries that are saved, and those of them that the council receives.

use axcouncil::ACME_USER;
use serde_json::json;

use crate::client::{Service, code};

#[tokio::test]
async fn an_entry_is_kept_with_its_tags() {
    let service = Service::start().await;
    let token = service.login(ACME_USER).await;
    let entry = json!({
        "title": "Prices", "body": "No discount.", "tags": ["EU", "pricing", "eu "],
        "auto_inject": true, "department_id": 2,
    });
    let saved = (201, json!({ "id": 1, "tags": ["eu", "pricing"] }));
    assert_eq!(service.post("/knowledge", &token, &entry).await, saved);
    assert_eq!(service.texts("SELECT tag FROM knowledge_tags ORDER BY tag").await, ["eu", "pricing"]);
    let injected = "SELECT count(*) FROM knowledge_entries WHERE auto_inject = 1 AND department_id = 2";
    assert_eq!(service.number(injected).await, 1);
}

#[tokio::test]
async fn what_makes_no_entry_leaves_nothing() {
    let service = Service::start().await;
    let token = service.login(ACME_USER).await;
    for (entry, expected) in [
        (json!({ "title": " ", "body": "b" }), (422, "invalid")),
        (json!({ "title": "t", "body": "b", "tags": [""] }), (422, "invalid")),
        // The department belongs to another company.
        (json!({ "title": "t", "body": "b", "tags": ["x"], "department_id": 3 }), (404, "not_found")),
    ] {
        let (status, body) = service.post("/knowledge", &token, &entry).await;
        assert_eq!((status, code(&body)), expected);
    }
    assert_eq!(service.number("SELECT count(*) FROM knowledge_entries").await, 0);
    assert_eq!(service.number("SELECT count(*) FROM knowledge_tags").await, 0);
}
