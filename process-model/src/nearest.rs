//! Finds the word that a user probably meant, for diagnostics such as "did you mean …?".

/// The length of the longest words that are compared, in bytes.
const LONGEST: usize = 256;

/// Returns the candidate that is nearest to `typed`, or `None` if no candidate is near enough. A candidate is near
/// enough if its distance is at most a third of the letters of the longer word, rounded up. The distance ignores
/// case. It is the optimal string alignment distance, which counts a swap of two neighbouring letters as one change.
/// A word of more than 256 bytes is not near to any other, because comparing long words takes long.
///
/// ```
/// assert_eq!(process_model::nearest("verison", ["id", "version", "sla"]), Some("version"));
/// assert_eq!(process_model::nearest("colour", ["id", "version", "sla"]), None);
/// ```
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if typed.len() > LONGEST {
        return None;
    }
    let typed = typed.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (distance(&typed, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            let longer = typed.chars().count().max(candidate.chars().count());
            *distance <= longer.div_ceil(3)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns the optimal string alignment distance, which counts insertions, deletions, substitutions and swaps of
/// neighbours.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, &from) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &to) in right.iter().enumerate() {
            let mut best =
                (last[column] + usize::from(from != to)).min(last[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && from == right[column - 1] && left[row - 1] == to {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}
