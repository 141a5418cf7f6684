//! Work beside the incident: lines for people who look later, notes for the next time.

use std::cell::Cell;
use std::error::Error;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::chain;

/// How long whoever waits for an answer waits for one piece of bookkeeping. A Lambda that has answered is frozen, so what has not ended
/// by then is given up.
const BOOKKEEPING: Duration = Duration::from_millis(150);

/// How long for all that there is of it together, within [`all_bookkeeping`].
const ALL: Duration = Duration::from_millis(200);

tokio::task_local! {
    /// What is left of [`ALL`].
    static LEFT: Cell<Duration>;
}

/// Does work that somebody waits for. What there is beside it, of any kind and at any depth, takes 200 ms at most.
pub async fn all_bookkeeping<F: Future>(work: F) -> F::Output {
    LEFT.scope(Cell::new(ALL), work).await
}

/// Does work beside the incident for so long at most, and no longer than is left for all such work. `None`: it is given up.
pub async fn spare<T>(most: Duration, work: impl Future<Output = T>) -> Option<T> {
    let most = LEFT.try_with(Cell::get).map_or(most, |left| left.min(most));
    let began = Instant::now();
    let done = timeout(most, work).await.ok();
    // Outside of `all_bookkeeping` nothing is counted.
    let _uncounted = LEFT.try_with(|left| left.set(left.get().saturating_sub(began.elapsed())));
    done
}

/// Does bookkeeping. An incident must not wait for it, so a failure, or slowness, is only logged. Whether it is done.
pub async fn bookkeep<E: Error>(what: &'static str, work: impl Future<Output = Result<(), E>>) -> bool {
    match spare(BOOKKEEPING, work).await {
        Some(Ok(())) => true,
        Some(Err(error)) => {
            tracing::warn!(error = chain(&error), what, "bookkeeping not done");
            false
        }
        None => {
            tracing::warn!(what, "bookkeeping takes too long, and is given up");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    async fn takes(millis: u64) -> Result<(), std::fmt::Error> {
        sleep(Duration::from_millis(millis)).await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_it_longer_than_that() {
        for (millis, expected) in [(0, true), (149, true), (151, false), (60_000, false)] {
            let began = Instant::now();
            assert_eq!(bookkeep("a test", takes(millis)).await, expected, "{millis} ms");
            assert_eq!(began.elapsed(), Duration::from_millis(millis).min(BOOKKEEPING));
        }
        assert!(!bookkeep("a test", async { Err(std::fmt::Error) }).await);
    }

    #[tokio::test(start_paused = true)]
    async fn nor_for_all_of_it_together() {
        for (pieces, expected, waited) in [
            (&[50, 100, 40][..], &[true, true, true][..], 190),
            (&[149, 60, 10], &[true, false, false], 200),
            (&[60_000, 60_000, 60_000], &[false, false, false], 200),
            (&[151, 49, 0], &[false, true, true], 199),
        ] {
            let began = Instant::now();
            let done = all_bookkeeping(async {
                let mut done = Vec::new();
                for millis in pieces {
                    done.push(bookkeep("a test", takes(*millis)).await);
                    // What the incident needs does not count.
                    sleep(Duration::from_secs(1)).await;
                }
                done
            });
            assert_eq!(done.await, expected, "{pieces:?}");
            let needed = Duration::from_secs(pieces.len() as u64);
            assert_eq!(began.elapsed() - needed, Duration::from_millis(waited), "{pieces:?}");
        }
    }
}
