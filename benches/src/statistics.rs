//! Medians and ranges: all the statistics there are here.

/// The middle of several rounds, and how far they lay apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(rounds: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut rounds: Vec<f64> = rounds.into_iter().collect();
        let median = median(&mut rounds);
        let (&low, &high) = rounds.first().zip(rounds.last())?;
        Some(Spread { median, low, high })
    }

    /// Of what two figures make of one another within each round.
    pub(crate) fn of_pairs(
        figure: &[f64],
        other: &[f64],
        compare: impl Fn(f64, f64) -> f64,
    ) -> Option<Spread> {
        let pairs = figure.iter().zip(other);
        Spread::of(pairs.map(|(figure, other)| compare(*figure, *other)))
    }
}

/// Sorts the values; of an even number the mean of the two in the middle, of none not a number.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (odd, middle) if odd % 2 == 1 => values[middle],
        (_, middle) => (values[middle - 1] + values[middle]) / 2.0,
    }
}
