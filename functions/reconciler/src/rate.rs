//! How often one run may ask PagerDuty.

/// PagerDuty allows an app 960 calls a minute; a run, of which there is one a minute, takes a tenth of them.
const CALLS: usize = 96;

/// What is left of a run's calls.
#[derive(Debug)]
pub(crate) struct Rate {
    left: usize,
}

impl Rate {
    /// What a run may take in all.
    pub(crate) fn of_a_run() -> Self {
        Self { left: CALLS }
    }

    /// Takes a call; `false`: there is none left.
    pub(crate) fn take(&mut self) -> bool {
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_a_tenth_of_a_minute() {
        let mut rate = Rate::of_a_run();
        assert_eq!((0..1_000).filter(|_| rate.take()).count(), 96);
    }
}
