//! Measured values and what is told of them: medians, since the mean of a noisy machine is its noise.

/// Nanoseconds, bytes or counts, in the order in which they were measured.
#[derive(Default)]
pub struct Samples(Vec<u64>);

impl Samples {
    pub fn add(&mut self, value: u64) {
        self.0.push(value);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub fn p99(&self) -> f64 {
        self.quantile(0.99)
    }

    pub fn min(&self) -> f64 {
        self.quantile(0.0)
    }

    pub fn max(&self) -> f64 {
        self.quantile(1.0)
    }

    /// The smallest value that is not below this share of all (nearest rank); 0 of no values.
    fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).map_or(0.0, |&value| value as f64)
    }
}

/// Visits 0..count there and back, round after round, so that nobody has always the same neighbour.
pub fn there_and_back(rounds: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..rounds).flat_map(move |round| {
        (0..count).map(move |place| if round % 2 == 0 { place } else { count - 1 - place })
    })
}

/// Nanoseconds as microseconds.
pub fn us(nanoseconds: f64) -> String {
    decimals(nanoseconds / 1e3)
}

/// Nanoseconds as milliseconds.
pub fn ms(nanoseconds: f64) -> String {
    decimals(nanoseconds / 1e6)
}

/// Three digits or so: more would be noise.
pub fn decimals(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// How often the second goes into the first.
pub fn times(value: f64, of: f64) -> String {
    if of > 0.0 { format!("{}x", decimals(value / of)) } else { "-".to_owned() }
}
