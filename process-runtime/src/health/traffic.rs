//! The condition of a process or dependency without a check. It follows from the runs of the last five minutes that
//! health checks did not cause. It is never a failure, because any client can cause runs that fail, and must not be
//! able to take a service out of use. Results of checks do not belong here.

use process_model::Outcome;

use super::check::{Condition, Reason, Status};
use crate::stats::{Outcomes, Stats};

/// The kind of the subject that has no check.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unchecked {
    Process,
    Dependency,
}

/// Returns the condition that follows from the runs of the last five minutes, with a summary of them. `objective` is
/// the minimum share of good runs. A run is good if it ended on time as a success or degraded. Runs that were
/// rejected, or cancelled within their SLA, do not count.
pub(super) fn judge(unchecked: Unchecked, stats: &Stats, objective: f64) -> Condition {
    let [_, window, hour] = &stats.windows;
    let ended = &window.ended;
    let succeeded = |ended: &Outcomes| ended.count(Outcome::Success) + ended.count(Outcome::Degraded) > 0;
    let last = match () {
        () if succeeded(ended) => "last success within 5 minutes",
        () if succeeded(&hour.ended) => "last success within an hour",
        () if succeeded(&stats.ended) => "last success more than an hour ago",
        () => "no success since the start",
    };
    let (check, runs) = match unchecked {
        Unchecked::Process => ("probe", "runs"),
        Unchecked::Dependency => ("check", "calls"),
    };
    let (rejected, degraded) = (ended.count(Outcome::Rejected), ended.count(Outcome::Degraded));
    let counted = ended.total() - rejected - ended.count_on_time(Outcome::Cancelled);
    let good = ended.count_on_time(Outcome::Success) + ended.count_on_time(Outcome::Degraded);
    let failed = ended.count(Outcome::Failure) + ended.count(Outcome::Panic);
    let (bad, overdue, all) = (counted - good, stats.overdue, counted + rejected);
    let output = format!(
        "no {check}; {all} {runs} in the last 5 minutes: {failed} failed, {} late, {rejected} rejected, {degraded} \
         degraded; {overdue} overdue now; {last}",
        ended.late()
    );
    // Without `1e-9`, a rounding error could turn a number of bad runs that the objective just allows into a warning.
    let allowed = (1.0 - objective) * counted as f64 + 1e-9;
    let (status, reason) = match () {
        () if overdue > 0 => (Status::Warn, Some(Reason::Overdue)),
        () if counted == 0 => (Status::Unknown, Some(Reason::NoTraffic)),
        () if bad as f64 > allowed || 2 * degraded > counted => (Status::Warn, Some(Reason::ErrorRate)),
        () => (Status::Pass, None),
    };
    Condition { status, reason, output: Some(output) }
}
