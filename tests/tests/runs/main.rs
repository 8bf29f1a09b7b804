//! One run, accounted for exactly once. Fixtures of more than one question are here; the questions are in the
//! modules.

mod bounds;
mod ends;
mod harm;
mod lateness;
mod places;

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use process_runtime::observe::{End, RunView, Sink};
use process_runtime::testing::Domain;
use process_runtime::{Verdict, critical_process};

/// Every outcome on demand.
#[critical_process(
    id = "any_outcome",
    version = "1.0.0",
    sla = "10s",
    rejects(Trouble::Yours),
    degraded = is_fallback,
    error_type = Trouble::kind,
)]
async fn any_outcome(how: How) -> Result<How, Trouble> {
    tokio::task::yield_now().await;
    match how {
        How::Succeed | How::FallBack => Ok(how),
        How::Reject => Err(Trouble::Yours),
        How::Fail => Err(Trouble::Ours),
        How::Panic => panic!("on demand"),
        How::Hang => pending().await,
        How::BeLate => {
            tokio::time::sleep(Duration::from_secs(11)).await;
            Ok(how)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Succeed,
    FallBack,
    Reject,
    Fail,
    Panic,
    Hang,
    BeLate,
}

fn is_fallback(how: &How) -> bool {
    *how == How::FallBack
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("yours")]
    Yours,
    #[error("ours")]
    Ours,
}

impl Trouble {
    fn kind(&self) -> &'static str {
        match self {
            Trouble::Yours => "yours",
            Trouble::Ours => "ours",
        }
    }
}

/// Keeps what a domain told.
#[derive(Debug, Default)]
struct Log(Mutex<Vec<Told>>);

#[derive(Clone, Debug, PartialEq)]
enum Told {
    Started(u64),
    Overdue(u64),
    Ended(u64, End),
}

impl Sink for Log {
    fn started(&self, run: &RunView<'_>) {
        self.0.lock().unwrap().push(Told::Started(run.id()));
    }

    fn overdue(&self, run: &RunView<'_>, _: Duration) {
        self.0.lock().unwrap().push(Told::Overdue(run.id()));
    }

    fn ended(&self, run: &RunView<'_>, end: &End) {
        self.0.lock().unwrap().push(Told::Ended(run.id(), *end));
    }
}

impl Log {
    fn ends(&self) -> Vec<End> {
        let told = self.0.lock().unwrap();
        told.iter()
            .filter_map(|told| if let Told::Ended(_, end) = told { Some(*end) } else { None })
            .collect()
    }

    fn overdue(&self) -> usize {
        self.0.lock().unwrap().iter().filter(|told| matches!(told, Told::Overdue(_))).count()
    }
}

fn logged() -> (Domain, Arc<Log>) {
    let log = Arc::new(Log::default());
    (Domain::builder().sink(log.clone()).build(), log)
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
