//! All chance of a run, from its seed.

use std::time::Duration;

use fastrand::Rng;

/// Chance that repeats itself from the same seed.
#[derive(Debug, Clone)]
pub struct Dice(Rng);

impl Dice {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// Other dice that depend on these only by their present state: what one concern draws does not move what another one draws.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.0.fork())
    }

    /// From 0 to below `end`; 0 if there is nothing below.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.0.usize(..end) }
    }

    pub fn seed(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// True in so many of a thousand cases.
    pub fn per_mille(&mut self, chance: u32) -> bool {
        self.0.u32(..1000) < chance
    }

    /// One of them. `None` if there is none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }

    /// One of these, as often as its weight says. `None` if all weights are 0.
    pub fn weighted<T: Copy>(&mut self, of: &[(u32, T)]) -> Option<T> {
        let all: u32 = of.iter().map(|(weight, _)| weight).sum();
        let mut left = if all == 0 { return None } else { self.0.u32(..all) };
        for (weight, what) in of {
            if left < *weight {
                return Some(*what);
            }
            left -= weight;
        }
        None
    }

    /// From `least` to `most`, to the millisecond.
    pub fn time(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_millis()).unwrap_or(u64::MAX - 1);
        least + Duration::from_millis(self.0.u64(..=span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeat_themselves() {
        let draw = |seed| {
            let mut dice = Dice::new(seed);
            let mut fork = dice.fork();
            (dice.below(1000), fork.below(1000), dice.time(Duration::ZERO, Duration::from_secs(9)), dice.per_mille(500))
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }

    #[test]
    fn a_weight_of_nothing_is_never_drawn() {
        let mut dice = Dice::new(1);
        assert!((0..200).all(|_| dice.weighted(&[(0, 'a'), (2, 'b'), (1, 'c')]).is_some_and(|it| it != 'a')));
        assert_eq!(dice.weighted::<char>(&[]), None);
    }
}
