//! Each run is counted exactly once. Fixtures that several modules need are here.

mod bounds;
mod ends;
mod harm;
mod lateness;
mod places;

use std::sync::Arc;

use process_runtime::testing::Domain;
use process_runtime::{Verdict, critical_process};
use process_tests::sink::Log;
use process_tests::ways::{How, Trouble};

/// Ends with any outcome on demand.
#[critical_process(
    id = "any_outcome",
    version = "1.0.0",
    sla = "10s",
    rejects(Trouble::Yours),
    degraded = How::is_fallback,
    error_type = Trouble::kind,
)]
async fn any_outcome(how: How) -> Result<How, Trouble> {
    how.end().await
}

/// Returns a domain, and the log of its runs.
fn logged() -> (Domain, Log) {
    let log = Log::default();
    (Domain::builder().sink(Arc::new(log.clone())).build(), log)
}

fn kind(_: &Trouble) -> &'static str {
    panic!("the rule itself is broken")
}

#[critical_process(id = "judged", version = "1.0.0", sla = "10s", outcome = judge)]
fn judged(rows: usize) -> usize {
    rows
}

fn judge(rows: &usize) -> Verdict {
    match rows {
        0 => Verdict::Rejected("no_rows"),
        1 => Verdict::Degraded,
        13 => Verdict::Failure("unlucky"),
        _ => Verdict::Success,
    }
}
