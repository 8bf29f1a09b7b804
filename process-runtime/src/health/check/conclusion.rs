//! The status of one execution. It follows from the verdict of the check, and from the runs that ended during the
//! execution. The effect of age does not belong here (`age`).

use process_model::CheckTarget;

use super::status::Status;
use super::synthetic::EndedRun;
use super::verdict::CheckVerdict;
use crate::catalog::registry;
use crate::instrument::execution;

/// The maximum length of a text in a report, in bytes, without the `…` at the end of a cut text. Every response
/// repeats the texts, so they must be short.
const LONGEST: usize = 1024;

/// Cuts a text that is longer than [`LONGEST`] bytes, and appends `…` to it. Returns any other text unchanged.
pub(crate) fn bounded(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Returns the status of an execution, and the reason if the status is not a pass. The status of a probe is the worse
/// of two: its verdict, and the status of the worst run of its process. If the process did not run, the probe fails.
/// While instrumentation is disabled, no run is known. The status is then the verdict, but at least a warning.
pub(super) fn conclude(
    verdict: CheckVerdict,
    target: &CheckTarget,
    runs: &[EndedRun],
) -> (Status, Option<String>) {
    let (returned, reason) = match verdict {
        CheckVerdict::Pass => (Status::Pass, None),
        CheckVerdict::Warn(reason) => (Status::Warn, Some(reason)),
        CheckVerdict::Fail(reason) => (Status::Fail, Some(reason)),
    };
    let CheckTarget::Process(id) = target else { return (returned, reason) };
    if returned == Status::Fail {
        return (returned, reason);
    }
    let is_of_process = |run: &&EndedRun| run.process == Some(id.as_str()) && run.part.is_none();
    let Some(run) = runs.iter().find(is_of_process) else {
        return match execution::is_enabled() {
            true => (
                Status::Fail,
                Some(format!("the health check did not run `{id}`; call the process in the check")),
            ),
            false => {
                let reason = "instrumentation is disabled, so only the verdict of the check is known";
                (returned.max(Status::Warn), Some(reason.to_owned()))
            }
        };
    };
    let ran = run.status();
    if ran <= returned {
        return (returned, reason);
    }
    let sla = registry::get(id).map(|process| process.sla()).unwrap_or_default();
    let late = if run.late { format!(", late: took {:.1?}, SLA {sla:?}", run.took) } else { String::new() };
    let error_type = run.error_type.map(|kind| format!(", {kind}")).unwrap_or_default();
    (ran, Some(format!("{}{late}{error_type}", run.outcome)))
}
