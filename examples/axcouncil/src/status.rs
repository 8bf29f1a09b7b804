//! `GET /status`: the statistics of the running service. In production, serve it on a separate port.

use std::time::Duration;

use axum::Json;
use process_runtime::stats::{Stats, Window};
use process_runtime::{Outcome, registry};
use serde_json::{Map, Value, json};

/// Shows for each process the outcomes since the start and the recent durations, in seconds.
pub(crate) async fn show() -> Json<Value> {
    let all = registry::all().filter_map(|process| {
        let stats = registry::stats(process.id()).ok()?;
        Some((process.id().to_owned(), figures(&stats)))
    });
    Json(Value::Object(all.collect()))
}

fn figures(stats: &Stats) -> Value {
    let ended = Outcome::ALL.map(|outcome| (outcome.as_str().to_owned(), stats.ended.count(outcome).into()));
    json!({
        "started": stats.started,
        "active": stats.active,
        "overdue": stats.overdue,
        "ended": Map::from_iter(ended),
        "late": stats.ended.late(),
        "lately": stats.windows.iter().map(window).collect::<Vec<_>>(),
    })
}

fn window(window: &Window) -> Value {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    json!({
        "length": window.length.as_secs(),
        "ended": window.ended.total(),
        "p50": seconds(window.p50),
        "p75": seconds(window.p75),
        "p95": seconds(window.p95),
        "p99": seconds(window.p99),
        "max": seconds(window.max),
    })
}
