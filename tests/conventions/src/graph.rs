//! Finds circles in a directed graph, and the arrows (edges) whose removal opens a circle.

use std::collections::{BTreeMap, BTreeSet};

/// Returns every circle: a set of nodes that all reach one another (a strongly connected component of more than one
/// node).
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

/// The maximum number of nodes in a circle for which [`fewest_cuts`] compares all orders of the nodes.
const COMPARED: usize = 14;

/// Returns a smallest set of arrows whose removal leaves no circle among the nodes. Returns an empty set for a circle
/// of more than 14 nodes, because comparing all orders of so many nodes takes too long.
pub fn fewest_cuts<N: Copy + Ord>(circle: &BTreeSet<N>, arrows: &BTreeSet<(N, N)>) -> BTreeSet<(N, N)> {
    let nodes: Vec<N> = circle.iter().copied().collect();
    if nodes.len() > COMPARED {
        return BTreeSet::new();
    }
    // Each index is a set of nodes, written as bits. The value describes the order of these nodes in which the fewest
    // arrows lead from a node to a later node: the number of these arrows, and the last node of the order.
    let mut best = vec![(usize::MAX, 0); 1 << nodes.len()];
    best[0] = (0, 0);
    for first in 0..best.len() {
        for (next, node) in nodes.iter().enumerate().filter(|(next, _)| first & (1 << next) == 0) {
            let earlier = nodes.iter().enumerate().filter(|(at, _)| first & (1 << at) != 0);
            let cuts = best[first].0 + earlier.filter(|(_, from)| arrows.contains(&(**from, *node))).count();
            let both = first | (1 << next);
            if cuts < best[both].0 {
                best[both] = (cuts, next);
            }
        }
    }
    let mut cuts = BTreeSet::new();
    let mut first = best.len() - 1;
    while first != 0 {
        let last = best[first].1;
        first &= !(1 << last);
        let earlier = nodes.iter().enumerate().filter(|(at, _)| first & (1 << at) != 0);
        cuts.extend(earlier.map(|(_, from)| (*from, nodes[last])).filter(|arrow| arrows.contains(arrow)));
    }
    cuts
}
