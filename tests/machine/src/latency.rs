//! Compares latencies that were measured in turn while a backend is good and while it is bad.

use std::fmt;

/// The latency that a service may have with a bad backend, as a multiple of the latency with a good one.
const SLOWER: f64 = 1.05;
/// How much longer it may take with a bad backend in any case, in nanoseconds.
const LONGER: f64 = 1_000.0;
/// The minimum number of latencies above a percentile.
const ABOVE: usize = 10;

/// The latencies of one slice of time in nanoseconds: of the calls that succeed, and of those that fail.
pub type Slice = [Vec<u64>; 2];

/// Pairs of slices, the first with a good backend and the second with a bad one.
#[derive(Default)]
pub struct Pairs(Vec<[Slice; 2]>);

impl Pairs {
    /// Adds a pair.
    pub fn add(&mut self, good: Slice, bad: Slice) {
        self.0.push([good, bad]);
    }

    /// Compares these percentiles, first of the calls that succeed and then of those that fail.
    pub fn compared(&self, percents: &[usize]) -> Vec<Compared> {
        let kinds = [0, 1].into_iter().flat_map(|kind| percents.iter().map(move |percent| (kind, *percent)));
        kinds.filter_map(|(kind, percent)| self.figure(kind, percent)).collect()
    }

    /// Returns `None` if a slice has no such call.
    fn figure(&self, kind: usize, percent: usize) -> Option<Compared> {
        let all = || self.0.iter().flatten();
        let fewest = all().map(|slice| slice[kind].len()).min().filter(|fewest| *fewest > 0)?;
        // A slice with few calls is joined with the next ones.
        let joined = (ABOVE * 100 / (100 - percent)).div_ceil(fewest).clamp(1, self.0.len());
        let percentiles: Vec<[f64; 2]> = self
            .0
            .chunks_exact(joined)
            .map(|pairs| {
                [0, 1].map(|side| {
                    let mut times: Vec<u64> =
                        pairs.iter().flat_map(|pair| &pair[side][kind]).copied().collect();
                    times.sort_unstable();
                    times[(percent * times.len()).div_ceil(100) - 1] as f64
                })
            })
            .collect();
        let of = |value: fn([f64; 2]) -> f64| median(percentiles.iter().copied().map(value));
        Some(Compared {
            what: format!("{}p{percent}", ["", "failures "][kind]),
            good: of(|[good, _]| good),
            ratio: of(|[good, bad]| bad / good),
            longer: of(|[good, bad]| bad - good),
        })
    }
}

/// A percentile of the latency with a bad backend, compared with that with a good one. The values are medians over
/// all pairs.
pub struct Compared {
    what: String,
    good: f64,
    ratio: f64,
    longer: f64,
}

impl Compared {
    /// Whether the service is as fast with a bad backend.
    pub fn is_as_fast(&self) -> bool {
        self.ratio <= SLOWER || self.longer <= LONGER
    }
}

impl fmt::Debug for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Compared { what, good, ratio, longer } = self;
        write!(f, "{what}: {:.1} µs × {ratio:.3} ({:+.2} µs)", good / 1e3, longer / 1e3)
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}
