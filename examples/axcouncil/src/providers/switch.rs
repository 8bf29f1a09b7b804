//! The switch of a provider. It can make answers slow, turn them into errors, or hold them back. A rule is set with
//! `POST /mode {"mode": "hang", "path": "/v1/answer", "model": "hypnos"}`. A rule without a path applies to every
//! path, and a rule without a model to every model. If several rules match a request, the latest applies. A request
//! that hangs continues as soon as a later rule no longer makes it hang.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use axum::{Json, Router};
use process_runtime::propagation;
use serde::Deserialize;
use tokio::sync::watch;

/// The duration of a slow answer.
const SLOW: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Ok,
    Slow,
    Fail,
    Hang,
    Decline,
}

#[derive(Clone, Deserialize)]
struct Rule {
    mode: Mode,
    path: Option<String>,
    model: Option<String>,
}

impl Rule {
    fn fits(&self, path: &str, model: Option<&str>) -> bool {
        self.path.as_deref().is_none_or(|own| own == path)
            && self.model.as_deref().is_none_or(|own| Some(own) == model)
    }
}

/// The rules of a provider, the latest last.
#[derive(Clone)]
pub(super) struct Switch(watch::Sender<Vec<Rule>>);

impl Switch {
    /// Returns a router with the given routes, and with the route `/mode` that sets their switch.
    pub(super) fn router<const N: usize>(routes: [(&str, MethodRouter<Switch>); N]) -> Router {
        let switch = Switch(watch::Sender::new(Vec::new()));
        let start = Router::new().route("/mode", post(set));
        let router = routes.into_iter().fold(start, |router, (path, route)| router.route(path, route));
        router.with_state(switch).layer(propagation::layer())
    }

    /// Applies the rules to a request with this path and model. Returns as soon as the request may be answered. If
    /// the rules turn the answer into an error, returns that error response.
    pub(super) async fn pass(&self, path: &str, model: Option<&str>) -> Result<(), Response> {
        let mode = |rules: &Vec<Rule>| {
            rules.iter().rev().find(|rule| rule.fits(path, model)).map_or(Mode::Ok, |rule| rule.mode)
        };
        let mut rules = self.0.subscribe();
        let mode = match rules.wait_for(|rules| mode(rules) != Mode::Hang).await {
            Ok(rules) => mode(&rules),
            Err(_) => Mode::Fail,
        };
        match mode {
            Mode::Ok | Mode::Hang => Ok(()),
            Mode::Slow => {
                tokio::time::sleep(SLOW).await;
                Ok(())
            }
            Mode::Fail => Err(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
            Mode::Decline => Err(StatusCode::PAYMENT_REQUIRED.into_response()),
        }
    }
}

async fn set(State(switch): State<Switch>, Json(rule): Json<Rule>) -> StatusCode {
    switch.0.send_modify(|rules| {
        // The new rule replaces an older rule for the same path and model.
        rules.retain(|old| (&old.path, &old.model) != (&rule.path, &rule.model));
        rules.push(rule);
    });
    StatusCode::NO_CONTENT
}
