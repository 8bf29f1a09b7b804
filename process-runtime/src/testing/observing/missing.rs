//! Finds declared business context that is missing from a run, its span or its Sentry events. The decision whether a
//! test fails does not belong here.

use process_model::ContextSource;

use super::observation::{Observation, ObservedRun};

/// Returns the places at which a declared context key is missing. The keys are those that the run's process declares.
/// Keys that are declared as recorded later are not checked.
pub(in crate::testing) fn declared_keys(run: &ObservedRun) -> Vec<String> {
    places(run, &declared(run))
}

/// Takes the declared keys for which a run of a process has a value, except keys of `later(…)`. Each of these keys must
/// also be in the runs inside that run, and on the span and the events of all these runs. Returns the places at which
/// a key is missing.
pub(in crate::testing) fn recorded_keys<T>(observation: &Observation<T>) -> Vec<String> {
    let processes = observation.all().filter(|run| run.is_process());
    let missing = processes.flat_map(|run| {
        let recorded = |key: &&str| run.context().iter().any(|(name, _)| name == key);
        let keys: Vec<_> = declared(run).into_iter().filter(recorded).collect();
        places(run, &keys)
    });
    missing.collect()
}

/// Returns the keys that a run has from its start, according to the declaration of its process.
fn declared(run: &ObservedRun) -> Vec<&'static str> {
    let keys = run.process().into_iter().flat_map(|process| process.context());
    let from_its_start = keys.filter(|key| key.source != ContextSource::Later);
    from_its_start.map(|key| key.name.as_str()).collect()
}

/// Returns the places at which these keys are missing. The places are the context, the span and the events of the run
/// and of each run inside it.
pub(in crate::testing) fn places(run: &ObservedRun, keys: &[&'static str]) -> Vec<String> {
    let mut missing = Vec::new();
    for key in keys {
        for one in run.all() {
            if one.context().iter().all(|(name, _)| name != key) {
                missing.push(format!("`{key}` in the context of `{}`", one.name()));
                continue;
            }
            #[cfg(feature = "tracing")]
            if one.span().is_some_and(|span| span.field(key).is_none()) {
                missing.push(format!("`{key}` on the span of `{}`", one.name()));
            }
            #[cfg(feature = "sentry")]
            if !one.events().iter().all(|event| is_on(event, key)) {
                missing.push(format!("`{key}` on an event of `{}`", one.name()));
            }
        }
    }
    missing
}

#[cfg(feature = "sentry")]
fn is_on(event: &sentry_core::protocol::Event<'_>, key: &str) -> bool {
    use sentry_core::protocol::Context;
    let block = event.contexts.get("process");
    let is_in_block = matches!(block, Some(Context::Other(block)) if block.contains_key(key));
    is_in_block || event.tags.contains_key(key)
}
