//! The histogram of the built-in statistics. Its buckets are log-linear: each octave of ticks has eight buckets of
//! equal width. A percentile is the middle of a bucket, so its error is at most half the width of the bucket.
//! Relative to the value, this is at most [`ERROR`]. Clocks and threads do not belong here.

/// The binary logarithm of the number of buckets in an octave.
const PRECISION: u32 = 3;
/// The binary logarithm of the width of the finest buckets, in ticks. 2^7 ticks are about 50 ns at 2.5 GHz.
const FLOOR: u32 = 7;
/// The number of octaves from the width of the finest bucket up to 2^47 ticks, which are about 16 hours at 2.5 GHz.
/// The last bucket also counts all longer durations.
const OCTAVES: u32 = 40;

/// The number of buckets.
pub(crate) const BUCKETS: usize = ((OCTAVES - PRECISION + 1) << PRECISION) as usize;

/// The largest relative error of a percentile that is at least about 1 µs. The error of a shorter percentile is at
/// most 64 ns.
pub const ERROR: f64 = 1.0 / 16.0;

/// Returns the index of the bucket that counts a duration of `ticks`.
#[inline]
pub(crate) fn bucket(ticks: u64) -> usize {
    let scaled = ticks >> FLOOR;
    if scaled < 1 << PRECISION {
        return scaled as usize;
    }
    let octave = scaled.ilog2();
    let sub = (scaled >> (octave - PRECISION)) as usize & ((1 << PRECISION) - 1);
    let bucket = (((octave - PRECISION + 1) as usize) << PRECISION) + sub;
    bucket.min(BUCKETS - 1)
}

/// Returns the middle of a bucket, in ticks.
pub(crate) fn middle(bucket: usize) -> f64 {
    let sub = bucket & ((1 << PRECISION) - 1);
    let (base, width) = match bucket >> PRECISION {
        0 => (sub as u64, 1u64),
        octave => {
            let shift = octave as u32 - 1;
            ((((1 << PRECISION) + sub) as u64) << shift, 1u64 << shift)
        }
    };
    (base as f64 + width as f64 / 2.0) * f64::from(1u32 << FLOOR)
}

/// Returns the middle, in ticks, of the bucket that contains the sample of rank `ceil(quantile × count)` (the
/// nearest-rank definition); `None` if there are no samples.
pub(crate) fn quantile(buckets: &[u64], quantile: f64) -> Option<f64> {
    let count: u64 = buckets.iter().sum();
    if count == 0 {
        return None;
    }
    let rank = ((quantile * count as f64).ceil() as u64).clamp(1, count);
    let mut seen = 0;
    let at = buckets.iter().position(|&samples| {
        seen += samples;
        seen >= rank
    })?;
    Some(middle(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_within_the_stated_error_of_its_bucket() {
        let mut ticks = 1u64 << (FLOOR + PRECISION);
        while ticks < 1 << 46 {
            let middle = middle(bucket(ticks));
            let error = (middle - ticks as f64).abs() / ticks as f64;
            assert!(error <= ERROR, "{ticks} reads as {middle}");
            ticks += ticks / 37 + 1;
        }
    }

    #[test]
    fn buckets_rise_with_durations() {
        let mut last = 0;
        for step in 0..60_000u64 {
            let bucket = bucket(step * step * step);
            assert!(bucket >= last && bucket < BUCKETS);
            last = bucket;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_quantile_is_the_nearest_rank() {
        let mut buckets = vec![0u64; BUCKETS];
        buckets[10] = 98;
        buckets[20] = 1;
        buckets[30] = 1;
        assert_eq!(quantile(&buckets, 0.98), Some(middle(10)));
        assert_eq!(quantile(&buckets, 0.99), Some(middle(20)));
        assert_eq!(quantile(&buckets, 0.991), Some(middle(30)));
        assert_eq!(quantile(&[0; 4], 0.5), None);
    }
}
