//! Delays in one line.

use std::time::Duration;

/// How long each of several things took, and how many never came.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    sorted: Vec<Duration>,
    pub missing: usize,
}

impl FromIterator<Option<Duration>> for Stats {
    fn from_iter<I: IntoIterator<Item = Option<Duration>>>(delays: I) -> Self {
        let (mut sorted, mut missing) = (Vec::new(), 0);
        for delay in delays {
            match delay {
                Some(delay) => sorted.push(delay),
                None => missing += 1,
            }
        }
        sorted.sort_unstable();
        Self { sorted, missing }
    }
}

impl Stats {
    /// The delay that this percentage of all did not exceed; `None` if as many never came.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Option<Duration> {
        let all = self.sorted.len() + self.missing;
        self.sorted.get((all * percent).div_ceil(100).saturating_sub(1)).copied()
    }

    /// The mean of those that came.
    #[must_use]
    pub fn mean(&self) -> Duration {
        let count = u32::try_from(self.sorted.len()).unwrap_or(u32::MAX).max(1);
        self.sorted.iter().sum::<Duration>() / count
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let at = |percent| self.percentile(percent).map_or_else(|| "never".to_owned(), seconds);
        let missing = if self.missing == 0 { String::new() } else { format!(", {} not shown", self.missing) };
        format!("p50 {}, p99 {}, max {}{missing}", at(50), at(99), at(100))
    }
}

/// For people: seconds, with tenths while they are few.
#[must_use]
pub fn seconds(delay: Duration) -> String {
    let seconds = delay.as_secs_f64();
    if seconds < 100.0 { format!("{seconds:.1} s") } else { format!("{seconds:.0} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_came_is_later_than_all_that_did() {
        let of = |came: u64, missing: usize| -> Stats {
            let came = (1..=came).map(|second| Some(Duration::from_secs(second)));
            came.chain(std::iter::repeat_n(None, missing)).collect()
        };
        assert_eq!(of(100, 0).text(), "p50 50.0 s, p99 99.0 s, max 100 s");
        assert_eq!(of(99, 1).text(), "p50 50.0 s, p99 99.0 s, max never, 1 not shown");
        assert_eq!(of(0, 0).percentile(99), None);
    }
}
