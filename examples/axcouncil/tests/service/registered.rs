//! The six processes with the ids, criticality and SLA that the platform requires.

use std::time::Duration;

use axcouncil::Limits;
use process_runtime::registry;

/// Each process with its criticality, its SLA in seconds, and the maximum number of calls that one run makes to the
/// database and to the payment provider. A deliberation also calls its models, which are not counted here.
const ORDERED: [(&str, &str, u64, u32, u32); 6] = [
    ("company_context_load", "high", 5, 4, 0),
    ("council_deliberation_3stage", "critical", 120, 7, 0),
    ("department_delete", "medium", 5, 2, 0),
    ("knowledge_entry_save", "medium", 3, 1, 0),
    ("payment_subscription", "critical", 10, 3, 1),
    ("user_authentication", "critical", 2, 1, 0),
];

#[test]
fn ids_criticality_and_slas_are_those_that_were_ordered() {
    let registered: Vec<_> = registry::all()
        .map(|process| (process.id(), process.criticality().to_string(), process.sla().as_secs()))
        .collect();
    let ordered = ORDERED.map(|(id, criticality, sla, ..)| (id, criticality.to_owned(), sla));
    assert_eq!(registered, ordered);
}

#[test]
fn a_call_that_hangs_is_reported_before_its_process_is_late() {
    let limits = Limits::default();
    for (id, _, sla, statements, charges) in ORDERED {
        let longest = limits.sqlite * statements + limits.payment_provider * charges;
        assert!(longest < Duration::from_secs(sla), "{id} may take {longest:?}");
    }
    // The limit for the models exceeds the SLA, so that the day can show an overdue run.
    let council = registry::get("council_deliberation_3stage").expect("it is linked");
    assert!(limits.model_provider > council.sla());
}
