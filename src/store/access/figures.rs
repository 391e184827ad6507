//! How access is asked about: sizes of batches, and how long questions wait and statements take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Powers of two up to half an hour in microseconds.
const BUCKETS: usize = 32;

/// What was counted so far, since the database was opened.
#[derive(Clone, Debug)]
pub struct AccessFigures {
    /// Questions of each statement, those that were asked twice counted twice.
    pub batch_size: Histogram,
    /// Microseconds from a question's arrival to its statement.
    pub wait_micros: Histogram,
    /// Microseconds that a statement took.
    pub query_micros: Histogram,
    /// Statements that failed.
    pub failures: u64,
    /// Questions that were refused since too many waited.
    pub refused: u64,
}

/// How often which values came up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    pub count: u64,
    pub sum: u64,
    /// Bucket n counts the values below 2^n that are in no bucket before it.
    pub buckets: Vec<u64>,
}

impl Histogram {
    /// A value that this share of the values is below, to within a factor of two.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        let reached = self.buckets.iter().position(|bucket| {
            seen += bucket;
            seen >= wanted
        });
        reached.map_or(0, |bucket| 1 << bucket)
    }
}

/// The counters themselves.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) batch_size: Counter,
    pub(super) wait: Counter,
    pub(super) query: Counter,
    failures: AtomicU64,
    refused: AtomicU64,
}

#[derive(Default)]
pub(super) struct Counter {
    sum: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

impl Counter {
    pub(super) fn add(&self, value: u64) {
        let bucket = (64 - value.leading_zeros() as usize).min(BUCKETS - 1);
        self.sum.fetch_add(value, Ordering::Relaxed);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn add_time(&self, time: Duration) {
        self.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    fn read(&self) -> Histogram {
        let buckets: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        Histogram { count: buckets.iter().sum(), sum: self.sum.load(Ordering::Relaxed), buckets }
    }
}

impl Counters {
    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn fail(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> AccessFigures {
        AccessFigures {
            batch_size: self.batch_size.read(),
            wait_micros: self.wait.read(),
            query_micros: self.query.read(),
            failures: self.failures.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_each_value_in_its_power_of_two() {
        let counter = Counter::default();
        for value in [0, 1, 2, 3, 4, 1_000, u64::from(u32::MAX)] {
            counter.add(value);
        }
        let histogram = counter.read();
        assert_eq!((histogram.count, histogram.sum), (7, 1_010 + u64::from(u32::MAX)));
        let filled: Vec<usize> = (0..BUCKETS).filter(|bucket| histogram.buckets[*bucket] > 0).collect();
        assert_eq!(filled, [0, 1, 2, 3, 10, 31]);
        assert_eq!(histogram.buckets[2], 2);
        assert_eq!([0.5, 0.8, 1.0].map(|share| histogram.quantile(share)), [4, 1_024, 1 << 31]);
    }
}
