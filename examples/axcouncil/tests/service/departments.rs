//! Departments are created, changed and deleted.

use axcouncil::{ACME_USER, UMBRA_USER};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Service, code};

#[tokio::test]
async fn a_department_goes_with_its_roles_and_a_line_in_the_audit_log() {
    let service = Service::start().await;
    let token = service.login(ACME_USER).await;
    let delete = async || service.send(Method::DELETE, "/departments/2", &token, &Value::Null).await;
    assert_eq!(delete().await, (200, json!({ "roles": 2 })));
    assert_eq!(service.number("SELECT count(*) FROM departments WHERE id = 2").await, 0);
    assert_eq!(service.number("SELECT count(*) FROM roles WHERE department_id = 2").await, 0);
    let log = "SELECT user_id || ' ' || action || ' ' || subject || ': ' || detail FROM audit_log";
    let written = ["1 department_delete department 2: Sales, with 2 roles"];
    assert_eq!(service.texts(log).await, written);

    let (status, body) = delete().await;
    assert_eq!((status, code(&body)), (404, "not_found"));
    assert_eq!(service.texts(log).await, written);
}

#[tokio::test]
async fn what_must_stay_stays() {
    let service = Service::start().await;
    let (ada, uma) = (service.login(ACME_USER).await, service.login(UMBRA_USER).await);
    let delete = async |token, path| service.send(Method::DELETE, path, token, &Value::Null).await;
    let (status, body) = delete(&ada, "/departments/1").await;
    assert_eq!((status, code(&body)), (409, "default_department"));
    // The department belongs to Acme, and the user does not.
    let (status, body) = delete(&uma, "/departments/2").await;
    assert_eq!((status, code(&body)), (404, "not_found"));
    assert_eq!(service.number("SELECT count(*) FROM departments").await, 3);
    assert_eq!(service.number("SELECT count(*) FROM roles").await, 4);
    assert_eq!(service.number("SELECT count(*) FROM audit_log").await, 0);
}

#[tokio::test]
async fn departments_and_roles_are_made_renamed_and_removed_and_each_change_is_in_the_audit_log() {
    let service = Service::start().await;
    let (token, uma) = (service.login(ACME_USER).await, service.login(UMBRA_USER).await);
    let (status, made) = service.post("/departments", &token, &json!({ "name": "Support" })).await;
    assert_eq!((status, &made), (201, &json!({ "id": 4 })));
    let role = json!({ "name": "First line", "brief": "Listens." });
    let (status, made) = service.post("/departments/4/roles", &token, &role).await;
    assert_eq!((status, &made), (201, &json!({ "id": 5 })));

    let send = async |method, path, token, body| service.send(method, path, token, body).await.0;
    let name = json!({ "name": "Service" });
    assert_eq!(send(Method::PUT, "/departments/4", &token, &name).await, 204);
    let brief = json!({ "name": "Line one", "brief": "Listens, and answers." });
    assert_eq!(send(Method::PUT, "/roles/5", &token, &brief).await, 204);
    let written = "SELECT departments.name || ', ' || roles.name || ': ' || brief FROM roles, departments
                   WHERE departments.id = department_id AND roles.id = 5";
    assert_eq!(service.texts(written).await, ["Service, Line one: Listens, and answers."]);

    // A request that is refused changes nothing and adds nothing to the audit log.
    let (status, body) = service.post("/departments", &token, &json!({ "name": "Service" })).await;
    assert_eq!((status, code(&body)), (409, "name_taken"));
    for (method, path, body) in [
        (Method::PUT, "/departments/4", &name),
        (Method::POST, "/departments/4/roles", &role),
        (Method::PUT, "/roles/5", &role),
        (Method::DELETE, "/roles/5", &Value::Null),
    ] {
        assert_eq!(send(method.clone(), path, &uma, body).await, 404, "{method} {path}");
    }
    assert_eq!(send(Method::DELETE, "/roles/5", &token, &Value::Null).await, 204);
    assert_eq!(send(Method::DELETE, "/roles/5", &token, &Value::Null).await, 404);
    assert_eq!(service.number("SELECT count(*) FROM roles WHERE id = 5").await, 0);
    let log =
        "SELECT user_id || ' ' || action || ' ' || subject || ': ' || detail FROM audit_log ORDER BY id";
    let changes = [
        "1 department_create department 4: Support",
        "1 role_create role 5: First line",
        "1 department_update department 4: Service",
        "1 role_update role 5: Line one",
        "1 role_delete role 5: Line one",
    ];
    assert_eq!(service.texts(log).await, changes);
}
