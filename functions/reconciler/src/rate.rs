//! How often a run may ask PagerDuty.

/// Of the 960 requests that PagerDuty takes in a minute (REST docs, "Rate limits"), healing uses at most a tenth, so that what people
/// do is never refused for its sake. Runs begin a minute apart.
const IN_A_RUN: usize = 96;

/// What a run may still ask.
#[derive(Debug)]
pub(crate) struct Rate {
    left: usize,
}

impl Default for Rate {
    fn default() -> Self {
        Self { left: IN_A_RUN }
    }
}

impl Rate {
    /// Whether one more request may be made now.
    pub(crate) fn take(&mut self) -> bool {
        self.take_many(1)
    }

    /// Whether so many may be made: all of them or none.
    pub(crate) fn take_many(&mut self, wanted: usize) -> bool {
        let left = self.left.checked_sub(wanted);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    /// Notes requests that are made in any case.
    pub(crate) fn spend(&mut self, made: usize) {
        self.left = self.left.saturating_sub(made);
    }

    /// How many requests are left.
    pub(crate) fn left(&self) -> usize {
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_asks_no_more_than_a_tenth_of_what_pagerduty_takes_in_a_minute() {
        let mut rate = Rate::default();
        assert!(rate.take_many(90) && !rate.take_many(7) && rate.take_many(5));
        assert!(rate.take() && !rate.take());
        assert_eq!(rate.left(), 0);
    }
}
