//! Medians and quartiles.

/// The median of several values, and the range of the middle half of these values. For up to three values,
/// the range contains all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// Returns the spread of the values, or `None` if there are no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        let median = median(&mut values);
        let quarter = values.len() / 4;
        let low = *values.get(quarter)?;
        Some(Spread { median, low, high: values[values.len() - 1 - quarter] })
    }

    /// Combines each pair of values, and returns the spread of the results.
    pub(crate) fn of_pairs(
        figure: &[f64],
        other: &[f64],
        compare: impl Fn(f64, f64) -> f64,
    ) -> Option<Spread> {
        let pairs = figure.iter().zip(other);
        Spread::of(pairs.map(|(figure, other)| compare(*figure, *other)))
    }
}

/// Sorts the values and returns their median. For an even number of values, this is the mean of the middle two.
/// Without values, it is NaN.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (odd, middle) if odd % 2 == 1 => values[middle],
        (_, middle) => (values[middle - 1] + values[middle]) / 2.0,
    }
}
