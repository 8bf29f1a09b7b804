//! Logins and tokens that are accepted, and logins and tokens that are refused.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axcouncil::{ACME_USER, PASSWORD};
use jsonwebtoken::{EncodingKey, Header};
use process_runtime::observe::{End, RunView, Sink};
use process_runtime::{Install, Outcome, registry};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Service, code};

#[tokio::test]
async fn the_right_password_opens_a_session() {
    let service = Service::start().await;
    let token = service.login(ACME_USER).await;
    let (status, departments) = service.send(Method::GET, "/departments", &token, &Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(departments[1], json!({ "id": 2, "name": "Sales", "roles": 2 }));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_have_the_same_answer() {
    let service = Service::start().await;
    let login = async |email, password| {
        service.post("/login", "", &json!({ "email": email, "password": password })).await
    };
    let wrong = login(ACME_USER, "guess").await;
    let unknown = login("unknown@acme-robotics.example", PASSWORD).await;
    assert_eq!(wrong, unknown);
    assert_eq!((wrong.0, code(&wrong.1)), (401, "wrong_credentials"));

    let stats = registry::stats("user_authentication").expect("it is linked");
    assert!(stats.error_types["wrong_password"] >= 1 && stats.error_types["unknown_user"] >= 1);
    assert!(stats.ended.count(Outcome::Rejected) >= 2);
}

#[tokio::test]
async fn a_forged_token_is_refused() {
    let service = Service::start().await;
    let genuine = service.login(ACME_USER).await;
    let claims = json!({ "sub": "1", "company": 1, "exp": 4_000_000_000_u64 });
    let foreign = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(b"guess"));
    let foreign = foreign.expect("it can be signed");
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (signed, payload) = (parts(&genuine), parts(&foreign).remove(1));
    // The header is `{"alg":"none"}`.
    let unsigned = format!("eyJhbGciOiJub25lIn0.{payload}.");
    let changed = format!("{}.{payload}.{}", signed[0], signed[2]);

    for token in ["", "nonsense", &foreign, &unsigned, &changed] {
        let (status, body) = service.send(Method::DELETE, "/departments/2", token, &Value::Null).await;
        assert_eq!((status, code(&body)), (401, "unauthenticated"), "{token}");
    }
    assert_eq!(service.number("SELECT count(*) FROM departments WHERE id = 2").await, 1);
}

#[tokio::test]
async fn no_telemetry_of_a_run_has_the_password() {
    let ends = Ends::install();
    let service = Service::start().await;
    service.login(ACME_USER).await;
    let ends = ends.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(ends.iter().any(|line| line.contains("user_id: 1")), "{ends:?}");
    assert!(ends.iter().all(|line| !line.contains(PASSWORD) && !line.contains(ACME_USER)), "{ends:?}");
}

/// A sink that keeps how each login ended.
#[derive(Debug)]
struct Ends(Arc<Mutex<Vec<String>>>);

impl Ends {
    fn install() -> &'static Arc<Mutex<Vec<String>>> {
        static ENDS: OnceLock<Arc<Mutex<Vec<String>>>> = OnceLock::new();
        ENDS.get_or_init(|| {
            let ends = Arc::default();
            Install::new().sink(Ends(Arc::clone(&ends))).start();
            ends
        })
    }
}

impl Sink for Ends {
    fn ended(&self, run: &RunView<'_>, end: &End) {
        if run.process().is_some_and(|process| process.id() == "user_authentication") {
            let context: Vec<_> =
                run.context().iter().map(|(name, value)| format!("{name}: {value}")).collect();
            let line = format!("{context:?} {end:?}");
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }
}
