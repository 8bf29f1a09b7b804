//! Quantiles of Student's distribution, for the prediction interval of a baseline. The comparison of sessions does
//! not belong here.

use super::SESSIONS;

/// The minimum number of degrees of freedom for an estimate of the noise. Five sessions of one level have this many.
const FEWEST: usize = 4;

/// The 99.75 % quantiles for 4 to 19 degrees of freedom. Printed tables have them in the column for a tail
/// probability of 0.0025 (for example Owen, *Handbook of Statistical Tables*, 1962). The test below checks them.
const QUANTILES: [f64; SESSIONS - FEWEST] = [
    5.598, 4.773, 4.317, 4.029, 3.833, 3.690, 3.581, 3.497, 3.428, 3.372, 3.326, 3.286, 3.252, 3.222, 3.197,
    3.174,
];

/// Returns the quantile for this many degrees of freedom. Returns `None` if there are fewer than 4 or more than 19.
pub(super) fn quantile(degrees: usize) -> Option<f64> {
    QUANTILES.get(degrees.checked_sub(FEWEST)?).copied()
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    /// Returns the probability that a value is below `t`, by the formulas 26.7.3 and 26.7.4 of Abramowitz and Stegun,
    /// *Handbook of Mathematical Functions*.
    fn below(t: f64, degrees: usize) -> f64 {
        let angle = (t / (degrees as f64).sqrt()).atan();
        let (sine, cosine) = angle.sin_cos();
        let odd = degrees % 2;
        let mut term = if odd == 1 { cosine } else { 1.0 };
        let mut sum = term;
        for step in (2 + odd..degrees - 1).step_by(2) {
            term *= (step - 1) as f64 / step as f64 * cosine * cosine;
            sum += term;
        }
        let within = if odd == 1 { 2.0 / PI * (angle + sine * sum) } else { sine * sum };
        (1.0 + within) / 2.0
    }

    #[test]
    fn the_table_has_the_quantiles_of_99_75_percent() {
        for degrees in FEWEST..SESSIONS {
            let t = quantile(degrees).unwrap();
            let (less, more) = (below(t - 0.0006, degrees), below(t + 0.0006, degrees));
            assert!(less < 0.9975 && 0.9975 < more, "{degrees}: {t} is between {less} and {more}");
        }
        assert_eq!((quantile(FEWEST - 1), quantile(SESSIONS)), (None, None));
    }
}
