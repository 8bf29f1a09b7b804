//! The status of one execution. It follows from the verdict of the check, and from the runs that ended during the
//! execution. The effect of age does not belong here (`age`).

use process_model::CheckTarget;

use super::condition::Condition;
use super::reason::Reason;
use super::status::Status;
use super::synthetic::EndedRun;
use super::verdict::CheckVerdict;
use crate::catalog::registry;
use crate::instrument::execution;

/// Returns the condition that follows from an execution. The status of a probe is the worse of two: its verdict, and
/// the status of the worst run of its process. If the process did not run, the probe fails. While instrumentation is
/// disabled, no run is known. The status is then the verdict, but at least a warning.
pub(super) fn conclude(verdict: CheckVerdict, target: &CheckTarget, runs: &[EndedRun]) -> Condition {
    let returned = match verdict {
        CheckVerdict::Pass => Condition::PASS,
        CheckVerdict::Warn(text) => Condition::new(Status::Warn, Reason::CheckFailed, text),
        CheckVerdict::Fail(text) => Condition::new(Status::Fail, Reason::CheckFailed, text),
    };
    let CheckTarget::Process(id) = target else { return returned };
    if returned.status == Status::Fail {
        return returned;
    }
    let is_of_process = |run: &&EndedRun| run.process == Some(id.as_str()) && run.part.is_none();
    let Some(run) = runs.iter().find(is_of_process) else {
        if execution::is_enabled() {
            let text = format!("the health check did not run `{id}`; call the process in the check");
            return Condition::new(Status::Fail, Reason::CheckFailed, text);
        }
        let text = "instrumentation is disabled, so only the verdict of the check is known";
        let reason = returned.reason.unwrap_or(Reason::NoTraffic);
        return Condition::new(returned.status.max(Status::Warn), reason, text);
    };
    if run.status() <= returned.status {
        return returned;
    }
    let sla = registry::get(id).map(|process| process.sla()).unwrap_or_default();
    let late = if run.late { format!(": took {:.1?}, SLA {sla:?}", run.took) } else { String::new() };
    run.condition(&late)
}
