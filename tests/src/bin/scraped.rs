//! A service that a Prometheus server scrapes. Its runs have a mix of all outcomes, and one run hangs. The service
//! prints its own statistics, and ends when its standard input ends.

use std::io::Read;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use process_runtime::telemetry::TelemetryBuilder;
use process_runtime::{Outcome, critical_process, registry};
use serde_json::json;

const SLA: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, Debug)]
enum How {
    Well,
    ByFallback,
    NotYours,
    Badly,
    Panicking,
}

#[derive(Debug)]
enum Trouble {
    Yours,
    Ours,
}

fn is_fallback(how: &How) -> bool {
    matches!(how, How::ByFallback)
}

/// Ends with any outcome, on time or late.
#[critical_process(
    id = "ship_order",
    version = "1.0.0",
    sla = "250ms",
    rejects(Trouble::Yours),
    degraded = is_fallback,
)]
fn ship(how: How, slowly: bool) -> Result<How, Trouble> {
    if slowly {
        thread::sleep(SLA + Duration::from_millis(20));
    }
    match how {
        How::Well | How::ByFallback => Ok(how),
        How::NotYours => Err(Trouble::Yours),
        How::Badly => Err(Trouble::Ours),
        How::Panicking => panic!("on demand"),
    }
}

/// Never ends by itself.
#[critical_process(id = "take_stock", version = "1.0.0", sla = "200ms")]
async fn hang() {
    std::future::pending().await
}

fn run_the_mix() {
    let mix = [
        (How::Well, false, 40),
        (How::Well, true, 3),
        (How::ByFallback, false, 7),
        (How::NotYours, false, 5),
        (How::Badly, false, 4),
        (How::Badly, true, 1),
        (How::Panicking, false, 2),
    ];
    for (how, slowly, times) in mix {
        for _ in 0..times {
            let _ = catch_unwind(|| ship(how, slowly));
        }
    }
    for _ in 0..6 {
        let mut cancelled = Box::pin(hang());
        poll_once(&mut cancelled);
    }
}

fn poll_once(future: &mut (impl Future + Unpin)) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(future).poll(&mut context).is_pending());
}

/// Returns the statistics of the service.
fn known() -> serde_json::Value {
    let process = |id: &str| {
        let stats = registry::stats(id).expect("it is linked");
        let ended = |outcome: &Outcome| {
            let times = json!({ "false": stats.ended.count_on_time(*outcome), "true": stats.ended.count_late(*outcome) });
            (outcome.as_str().to_owned(), times)
        };
        let in_flight = registry::in_flight();
        let overdue =
            in_flight.iter().filter(|run| run.overdue && run.process.is_some_and(|it| it.id() == id));
        json!({
            "started": stats.started,
            "ended": Outcome::ALL.iter().map(ended).collect::<serde_json::Map<_, _>>(),
            "total": stats.ended.total(),
            "late": stats.ended.late(),
            "active": stats.active,
            "overdue": stats.overdue,
            "overdue_in_flight": overdue.count(),
        })
    };
    json!({ "ship_order": process("ship_order"), "take_stock": process("take_stock") })
}

fn main() {
    let telemetry = TelemetryBuilder::new().service("scraped", "1.2.3").prometheus().init();
    telemetry.destinations().iter().for_each(|destination| eprintln!("{destination}"));
    std::panic::set_hook(Box::new(|_| ()));
    let mut hanging = Box::pin(hang());
    poll_once(&mut hanging);
    run_the_mix();
    while registry::stats("take_stock").is_ok_and(|stats| stats.overdue == 0) {
        thread::sleep(Duration::from_millis(10));
    }
    println!("{}", known());
    let text = telemetry.prometheus().expect("it was asked for").text().expect("nothing prevents it");
    println!("{}", json!(text));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
