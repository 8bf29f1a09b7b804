//! Circles in a graph.

use std::collections::{BTreeMap, BTreeSet};

/// Returns the sets of nodes that reach one another (strongly connected components of more than one node).
pub fn circles<N: Copy + Ord>(arrows: &BTreeSet<(N, N)>) -> Vec<BTreeSet<N>> {
    let forward = neighbours(arrows.iter().copied());
    let backward = neighbours(arrows.iter().map(|(from, to)| (*to, *from)));
    let mut assigned = BTreeSet::new();
    let mut circles = Vec::new();
    for node in forward.keys() {
        if assigned.contains(node) {
            continue;
        }
        let after = reachable(*node, &forward);
        let before = reachable(*node, &backward);
        let circle: BTreeSet<N> = after.intersection(&before).copied().collect();
        assigned.extend(circle.iter().copied());
        if circle.len() > 1 {
            circles.push(circle);
        }
    }
    circles
}

fn neighbours<N: Copy + Ord>(arrows: impl Iterator<Item = (N, N)>) -> BTreeMap<N, Vec<N>> {
    let mut neighbours: BTreeMap<N, Vec<N>> = BTreeMap::new();
    arrows.for_each(|(from, to)| neighbours.entry(from).or_default().push(to));
    neighbours
}

fn reachable<N: Copy + Ord>(start: N, neighbours: &BTreeMap<N, Vec<N>>) -> BTreeSet<N> {
    let mut reached = BTreeSet::from([start]);
    let mut open = vec![start];
    while let Some(node) = open.pop() {
        open.extend(neighbours.get(&node).into_iter().flatten().filter(|next| reached.insert(**next)));
    }
    reached
}
