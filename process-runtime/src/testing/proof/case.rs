//! The meaning of each case of a contract, in one table. A row defines which run or load proves the case, which
//! outcomes a proof of the case can have, from which processes a policy can require the case, and how messages
//! describe the case. The name and the argument of a case do not belong here; they are in `process-model`, beside
//! [`Case`]. If a case has no row here, the crate does not compile.

use process_model::{Case, Outcome, Shape};

use crate::testing::domain::fault;
use crate::testing::observing::witness::{ByTest, InjectedFault, RunFacts, Seen};

/// One row of the table.
struct Meaning {
    /// A description of a run that proves the case. It completes "no run of `checkout` that this test observed …".
    sentence: String,
    /// The kind of observation that proves the case.
    proof: ProvenBy,
    /// Returns whether a run with this outcome and lateness can have proven the case.
    admits: fn(Option<Outcome>, bool) -> bool,
    /// The processes from which a policy can require the case.
    required: RequiredOf,
    /// The details with which a failed contract describes each run, in addition to the outcome of the run.
    details: &'static [Detail],
}

/// The kind of observation that proves a case.
enum ProvenBy {
    /// A run for which the function returns `true`. The second parameter of the function is the argument of the case,
    /// or an empty text.
    Run(fn(&RunFacts, &str) -> bool),
    /// A load whose bounds held.
    Load,
}

/// The processes from which a policy can require a case.
enum RequiredOf {
    Every,
    /// Processes whose runs are futures. Only a future can be stopped while it waits.
    Stoppable,
    None,
}

#[derive(PartialEq)]
enum Detail {
    /// Whether the test itself ended the run.
    EndedByTest,
    /// The faults that were injected into the run.
    Faults,
    /// How many Sentry events were sent, and which context is missing.
    Context,
}

/// Returns the row of a case.
fn meaning(case: &Case) -> Meaning {
    match case {
        Case::Happy => Meaning {
            sentence: "was a success on time".to_owned(),
            proof: ProvenBy::Run(|run, _| run.outcome == Some(Outcome::Success) && !run.late),
            admits: |outcome, late| outcome == Some(Outcome::Success) && !late,
            required: RequiredOf::Every,
            details: &[],
        },
        Case::Error(kind) => Meaning {
            sentence: format!("was a failure or rejection with the `error.type` {kind}"),
            proof: ProvenBy::Run(|run, kind| is_error(run.outcome) && run.error_type == Some(kind)),
            admits: |outcome, _| is_error(outcome),
            required: RequiredOf::Every,
            details: &[],
        },
        Case::Timeout => Meaning {
            sentence: "reached an injected hang and was ended by its own timeout".to_owned(),
            // A cancelled run does not prove the case, because its caller stopped it. The run shows no timeout of the
            // process itself.
            proof: ProvenBy::Run(|run, _| {
                let is_bounded = run.outcome.is_some_and(|outcome| outcome != Outcome::Cancelled);
                run.has_fault(fault::HANG) && is_bounded && run.by_test.is_none()
            }),
            admits: |outcome, _| outcome.is_some(),
            required: RequiredOf::Stoppable,
            details: &[Detail::EndedByTest, Detail::Faults],
        },
        Case::Dependency(id) => Meaning {
            sentence: format!("reached a fault at `{id}`"),
            // A delay proves the case only if the run is late. Otherwise, the delay had no visible effect.
            proof: ProvenBy::Run(|run, id| {
                let is_there = |fault: &&InjectedFault| fault.is_at_dependency && fault.at == id;
                run.faults.iter().filter(is_there).any(|fault| fault.kind != fault::DELAY || run.late)
            }),
            admits: |outcome, _| outcome.is_some(),
            required: RequiredOf::Every,
            details: &[Detail::Faults],
        },
        Case::Cancelled => Meaning {
            sentence: "was cancelled".to_owned(),
            proof: ProvenBy::Run(|run, _| {
                run.outcome == Some(Outcome::Cancelled) && run.by_test != Some(ByTest::Stopped)
            }),
            admits: |outcome, _| outcome == Some(Outcome::Cancelled),
            required: RequiredOf::Every,
            details: &[Detail::EndedByTest],
        },
        Case::Panic => Meaning {
            sentence: "panicked".to_owned(),
            proof: ProvenBy::Run(|run, _| run.outcome == Some(Outcome::Panic)),
            admits: |outcome, _| outcome == Some(Outcome::Panic),
            required: RequiredOf::Every,
            details: &[],
        },
        Case::Edge => Meaning {
            sentence: "ended".to_owned(),
            proof: ProvenBy::Run(|run, _| run.outcome.is_some()),
            admits: |_, _| true,
            required: RequiredOf::None,
            details: &[],
        },
        Case::Sla => Meaning {
            sentence: "was late under an injected delay".to_owned(),
            proof: ProvenBy::Run(|run, _| run.late && run.has_fault(fault::DELAY)),
            admits: |outcome, late| outcome.is_some() && late,
            required: RequiredOf::Every,
            details: &[Detail::Faults],
        },
        Case::Load => Meaning {
            sentence: "belonged to a load whose bounds held".to_owned(),
            proof: ProvenBy::Load,
            admits: |_, _| true,
            required: RequiredOf::Every,
            details: &[],
        },
        Case::Context => Meaning {
            sentence: "sent a Sentry event and had its declared context on every span and event".to_owned(),
            proof: ProvenBy::Run(|run, _| {
                run.missing.is_empty() && (run.events > 0 || cfg!(not(feature = "sentry")))
            }),
            admits: |outcome, _| outcome.is_some(),
            required: RequiredOf::Every,
            details: &[Detail::Context],
        },
    }
}

fn is_error(outcome: Option<Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Failure | Outcome::Rejected))
}

/// Returns whether an observed run or load proves the case.
pub(super) fn is_proven_by(case: &Case, seen: &Seen) -> bool {
    match (meaning(case).proof, seen) {
        (ProvenBy::Load, Seen::Load(_)) => true,
        (ProvenBy::Run(holds), Seen::Run(run)) => holds(run, case.argument().unwrap_or_default()),
        (ProvenBy::Load, Seen::Run(_)) | (ProvenBy::Run(_), Seen::Load(_)) => false,
    }
}

/// Returns whether evidence of a run with this outcome and lateness can be a proof of the case.
pub(super) fn admits(case: &Case, outcome: Option<Outcome>, late: bool) -> bool {
    (meaning(case).admits)(outcome, late)
}

/// Returns whether a policy can require the case.
pub(super) fn can_be_required(case: &Case) -> bool {
    !matches!(meaning(case).required, RequiredOf::None)
}

/// Returns whether a process whose runs have this shape must prove the case if a policy requires the case.
pub(super) fn applies_to(case: &Case, shape: Shape) -> bool {
    match meaning(case).required {
        RequiredOf::Every => true,
        RequiredOf::Stoppable => shape == Shape::Awaited,
        RequiredOf::None => false,
    }
}

/// Describes a run that proves the case, to complete "no run of `checkout` that this test observed …".
pub(super) fn sentence(case: &Case) -> String {
    meaning(case).sentence
}

/// Returns advice for a test that observed neither a run nor a load.
pub(super) fn advice(case: &Case) -> &'static str {
    match meaning(case).proof {
        ProvenBy::Run(_) => "call the process inside `observe` or `observe_call`",
        ProvenBy::Load => "run the process in a `Load` with a bound",
    }
}

/// Describes an observed run or load, with the details on which the case depends.
pub(super) fn description(case: &Case, seen: &Seen) -> String {
    let Seen::Run(run) = seen else { return "a load".to_owned() };
    let details = meaning(case).details;
    let mut text = run.outcome.map_or("still running".to_owned(), |outcome| outcome.to_string());
    for more in [run.error_type, run.late.then_some("late")].into_iter().flatten() {
        text = format!("{text}, {more}");
    }
    if run.by_test.is_some() && details.contains(&Detail::EndedByTest) {
        text.push_str(", ended by the test");
    }
    if details.contains(&Detail::Faults) {
        let faults: Vec<_> = run.faults.iter().map(|one| format!("{} at `{}`", one.kind, one.at)).collect();
        let faults = if faults.is_empty() { "no fault".to_owned() } else { faults.join(", ") };
        text = format!("{text}, with {faults}");
    }
    if details.contains(&Detail::Context) {
        let missing = match &run.missing[..] {
            [] => "no context is missing".to_owned(),
            missing => format!("missing: {}", missing.join(", ")),
        };
        text = format!("{text}, {} Sentry events, {missing}", run.events);
    }
    text
}
