//! Every error is JSON with a stable code, even if no handler was called.

use axcouncil::ACME_USER;
use reqwest::Method;
use serde_json::json;

use crate::client::{Service, code};

#[tokio::test]
async fn an_error_before_any_handler_has_the_same_form() {
    let service = Service::start().await;
    let token = service.login(ACME_USER).await;
    for (method, path, expected) in [
        (Method::POST, "/nowhere", (404, "not_found")),
        (Method::DELETE, "/login", (405, "method_not_allowed")),
        (Method::POST, "/login", (422, "bad_body")),
        (Method::DELETE, "/departments/sales", (400, "bad_path")),
    ] {
        let (status, body) = service.send(method, path, &token, &json!({})).await;
        assert_eq!((status, code(&body)), expected, "{path}");
    }
}
