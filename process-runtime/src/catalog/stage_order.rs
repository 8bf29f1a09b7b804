//! The order of the stages of a process, and the sequence of stages that takes the longest time according to their
//! SLAs. Both are computed only from ids, `after` lists and SLAs. Looking up stages in the registry, and findings
//! about stages, do not belong here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::definition::StageDefinition;

pub(super) type Stages = Vec<&'static StageDefinition>;

/// Returns the stages in order, and the stages that cannot be ordered. A stage comes after every stage that it names
/// in `after`. If this rule allows several stages to come next, the one with the smallest id does. Stages in a cycle,
/// and stages that follow them, cannot be ordered and are sorted by id. A name in `after` that no stage has is
/// ignored.
pub(super) fn order(mut waiting: Stages) -> (Stages, Stages) {
    waiting.sort_by_key(|stage| stage.id());
    let known: BTreeSet<&str> = waiting.iter().map(|stage| stage.id()).collect();
    let mut placed = BTreeSet::new();
    let mut ordered = Vec::new();
    let is_ready = |stage: &&StageDefinition, placed: &BTreeSet<&str>| {
        stage.after().iter().all(|after| placed.contains(after.as_str()) || !known.contains(after.as_str()))
    };
    while let Some(next) = waiting.iter().position(|stage| is_ready(stage, &placed)) {
        let stage = waiting.remove(next);
        placed.insert(stage.id());
        ordered.push(stage);
    }
    (ordered, waiting)
}

/// Returns the chain of stages with the largest sum of SLAs. Each stage in the chain names the previous one in
/// `after`. A stage without an SLA adds nothing to the sum. `ordered` must have the order that [`order`] returns.
pub(super) fn slowest_path(ordered: &Stages) -> Stages {
    let mut paths: BTreeMap<&str, (Duration, Stages)> = BTreeMap::new();
    for stage in ordered {
        let before = stage.after().iter().filter_map(|after| paths.get(after.as_str()));
        let (sum, mut path) = before.max_by_key(|(sum, _)| *sum).cloned().unwrap_or_default();
        path.push(stage);
        paths.insert(stage.id(), (sum + stage.sla().unwrap_or_default(), path));
    }
    paths.into_values().max_by_key(|(sum, _)| *sum).map(|(_, path)| path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use process_model::{Common, Declaration, Place, Sla, StageDeclaration};
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::definition::Runnable;
    use crate::catalog::linked::Defined;

    /// Returns a stage with an id, an SLA in milliseconds (0 for none), and the ids in its `after`.
    fn stage(id: &str, sla: u64, after: &[&str]) -> &'static StageDefinition {
        let declaration = StageDeclaration {
            common: Common { id: id.to_owned(), ..Common::default() },
            process: Some("process".to_owned()),
            sla: Sla::from_millis(sla),
            after: after.iter().map(|&after| after.to_owned()).collect(),
        };
        let record = Declaration::Stage(declaration).at(Place::default());
        match Box::leak(Box::new(Runnable::define(record, ()))) {
            Some(Runnable::Stage(stage)) => stage,
            _ => unreachable!("the declaration is a stage's"),
        }
    }

    fn ids(stages: &[&'static StageDefinition]) -> Vec<&'static str> {
        stages.iter().map(|stage| stage.id()).collect()
    }

    fn order_of(stages: Stages) -> (Vec<&'static str>, Vec<&'static str>) {
        let (ordered, stuck) = order(stages);
        (ids(&ordered), ids(&stuck))
    }

    #[test]
    fn a_stage_follows_every_stage_that_it_names() {
        let stages = vec![stage("a", 0, &["b", "c"]), stage("b", 0, &["c"]), stage("c", 0, &[])];
        assert_eq!(order_of(stages), (vec!["c", "b", "a"], vec![]));
    }

    #[test]
    fn stages_that_name_none_are_in_the_order_of_their_ids() {
        let stages = vec![stage("c", 0, &[]), stage("a", 0, &[]), stage("b", 0, &[])];
        assert_eq!(order_of(stages), (vec!["a", "b", "c"], vec![]));
    }

    #[test]
    fn of_the_stages_that_may_be_next_the_first_id_is() {
        let stages =
            vec![stage("a", 0, &["z"]), stage("b", 0, &[]), stage("z", 0, &[]), stage("c", 0, &["z"])];
        assert_eq!(order_of(stages), (vec!["b", "z", "a", "c"], vec![]));
    }

    #[test]
    fn the_stages_of_a_cycle_and_those_after_it_cannot_be_ordered() {
        let stages = vec![
            stage("after", 0, &["two"]),
            stage("free", 0, &[]),
            stage("one", 0, &["two"]),
            stage("two", 0, &["one"]),
            stage("self", 0, &["self"]),
        ];
        assert_eq!(order_of(stages), (vec!["free"], vec!["after", "one", "self", "two"]));
    }

    #[test]
    fn a_name_that_no_stage_has_holds_nothing_back() {
        assert_eq!(order_of(vec![stage("a", 0, &["missing"])]), (vec!["a"], vec![]));
    }

    #[test]
    fn the_slowest_path_has_the_largest_sum_and_not_the_most_stages() {
        let stages = vec![
            stage("start", 10, &[]),
            stage("long", 100, &["start"]),
            stage("short", 20, &["start"]),
            stage("shorter", 20, &["short"]),
            stage("end", 5, &["long", "shorter"]),
        ];
        let (ordered, _) = order(stages);
        assert_eq!(ids(&slowest_path(&ordered)), ["start", "long", "end"]);
        assert!(slowest_path(&Vec::new()).is_empty());
    }

    proptest! {
        /// Tries random graphs of six stages, each of which names up to two stages.
        #[test]
        fn every_stage_is_either_after_all_that_it_names_or_cannot_be(
            edges in prop::collection::vec(prop::collection::vec(0..6usize, 0..3), 6)
        ) {
            const IDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
            let stages = IDS.iter().zip(&edges).map(|(id, after)| {
                stage(id, 0, &after.iter().map(|&after| IDS[after]).collect::<Vec<_>>())
            });
            let (ordered, stuck) = order(stages.collect());
            let mut all = [ids(&ordered), ids(&stuck)].concat();
            for (at, stage) in ordered.iter().enumerate() {
                let before = ids(&ordered[..at]);
                prop_assert!(stage.after().iter().all(|after| before.contains(&after.as_str())));
            }
            for stage in &stuck {
                prop_assert!(stage.after().iter().any(|after| ids(&stuck).contains(&after.as_str())));
            }
            all.sort_unstable();
            prop_assert_eq!(all, IDS);
        }
    }
}
