//! Repeated measurements of one thing.

use std::time::Duration;

#[derive(Debug, Default, Clone)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn add(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1_000.0);
        self.0.sort_by(f64::total_cmp);
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Milliseconds that `percent` of the samples did not exceed, by nearest rank: with fewer than a hundred, the
    /// 99th is the worst.
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().expect("something was measured")
    }

    pub fn p50(&self) -> f64 {
        self.percentile(50)
    }
    pub fn p99(&self) -> f64 {
        self.percentile(99)
    }
    pub fn worst(&self) -> f64 {
        self.percentile(100)
    }

    /// For a note beside a figure.
    pub fn told(&self) -> String {
        format!("p50 {:.0}, p90 {:.0}, worst {:.0} ms of {}", self.p50(), self.percentile(90), self.worst(), self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_by_rank() {
        let mut samples = Samples::default();
        (1..=30).rev().for_each(|ms| samples.add(Duration::from_millis(ms)));
        assert_eq!((samples.p50(), samples.percentile(90), samples.p99(), samples.worst()), (15.0, 27.0, 30.0, 30.0));
    }
}
