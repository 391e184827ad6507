//! Two samples, and whether anybody could tell them apart.

use std::fmt;

/// A sample, in increasing order.
pub struct Sample(Vec<f64>);

impl Sample {
    pub fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    pub fn quantile(&self, part: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((part * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
    }

    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    fn len(&self) -> f64 {
        self.0.len() as f64
    }
}

/// p10, p50, p90, p99 and the mean, in the unit of the values.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [0.1, 0.5, 0.9, 0.99] {
            write!(f, " {:8.3} |", self.quantile(part))?;
        }
        write!(f, " {:8.3}", self.mean())
    }
}

/// What tells two samples apart.
pub struct Comparison {
    /// The largest distance between the two distribution functions (Kolmogorov and Smirnov), and the probability of one as
    /// large if there were no difference.
    pub distance: f64,
    pub distance_p: f64,
    /// How often one of the first sample is larger than one of the second (Mann and Whitney), and the probability of a
    /// value as far from a half if there were no difference.
    pub larger: f64,
    pub larger_p: f64,
}

impl Comparison {
    pub fn of(first: &Sample, second: &Sample) -> Self {
        let (m, n) = (first.len(), second.len());
        let (distance, larger) = walk(&first.0, &second.0);
        let effective = (m * n / (m + n)).sqrt();
        let lambda = (effective + 0.12 + 0.11 / effective) * distance;
        // Times that are equal to the nanosecond are too few to be corrected for.
        let deviation = ((m + n + 1.0) / (12.0 * m * n)).sqrt();
        let larger_p = 2.0 * upper_tail(((larger - 0.5) / deviation).abs());
        Self { distance, distance_p: kolmogorov(lambda), larger, larger_p }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { distance, distance_p, larger, larger_p } = self;
        write!(f, "Kolmogorov–Smirnov D = {distance:.4}, p = {distance_p:.3}; ")?;
        write!(f, "Mann–Whitney P(first > second) = {larger:.4}, p = {larger_p:.3}")
    }
}

/// Both statistics in one walk along the two samples.
fn walk(first: &[f64], second: &[f64]) -> (f64, f64) {
    let (mut i, mut j, mut distance, mut wins) = (0, 0, 0.0_f64, 0.0);
    while let (Some(a), Some(b)) = (first.get(i), second.get(j)) {
        let value = a.min(*b);
        let (before_i, before_j) = (i, j);
        i += first[i..].partition_point(|x| *x <= value);
        j += second[j..].partition_point(|x| *x <= value);
        // Those of the first at this value are larger than all of the second before it, and tie with those at it.
        wins += (i - before_i) as f64 * (before_j as f64 + (j - before_j) as f64 / 2.0);
        distance = distance.max((i as f64 / first.len() as f64 - j as f64 / second.len() as f64).abs());
    }
    wins += (first.len() - i) as f64 * second.len() as f64;
    (distance, wins / (first.len() as f64 * second.len() as f64))
}

/// The upper tail of Kolmogorov's distribution.
fn kolmogorov(lambda: f64) -> f64 {
    if lambda < 0.2 {
        return 1.0;
    }
    let term = |k: i32| 2.0 * (-1.0_f64).powi(k - 1) * (-2.0 * f64::from(k * k) * lambda * lambda).exp();
    (1..=100).map(term).sum::<f64>().clamp(0.0, 1.0)
}

/// The upper tail of the normal distribution, to seven digits (Abramowitz and Stegun, 26.2.17).
fn upper_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let coefficients = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let polynomial = coefficients.iter().rev().fold(0.0, |sum, c| (sum + c) * t);
    polynomial * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}
