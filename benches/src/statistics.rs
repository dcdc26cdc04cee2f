//! Medians, percentiles and moments.

/// The value below which the share `p` (0 to 1) of the samples lies; not a
/// number if there are none. Nearest rank: always one of the samples.
#[must_use]
pub fn percentile(samples: &[f64], p: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (p * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// The middle sample, or the mean of the two middle ones.
#[must_use]
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

/// The mean and the standard deviation.
#[must_use]
pub fn moments(samples: &[f64]) -> (f64, f64) {
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count;
    let variance = samples.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_sample() {
        let samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!([0.5, 0.99, 1.0].map(|p| percentile(&samples, p)), [50.0, 99.0, 100.0]);
        assert!(percentile(&[], 0.5).is_nan());
    }

    #[test]
    fn the_median_of_an_even_count_lies_between() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
    }

    #[test]
    fn the_moments_of_a_uniform_spread() {
        let samples: Vec<f64> = (0..10_000).map(|n| f64::from(n) / 10_000.0).collect();
        let (mean, deviation) = moments(&samples);
        assert!((mean - 0.5).abs() < 1e-3 && (deviation - (1.0f64 / 12.0).sqrt()).abs() < 1e-3);
    }
}
