//! Work beside the incident: lines for people who look later, notes for the next time.

use std::error::Error;
use std::time::Duration;

use crate::chain;

/// How long whoever waits for an answer waits for bookkeeping, all that there is of it together. A Lambda that has answered is
/// frozen, so what has not ended by then is given up. With what webhook-ingest waits for its cache at most it is 200 ms.
const BOOKKEEPING: Duration = Duration::from_millis(150);

/// Does bookkeeping. An incident must not wait for it, so a failure, or slowness, is only logged. Whether it is done.
pub async fn bookkeep<E: Error>(what: &'static str, work: impl Future<Output = Result<(), E>>) -> bool {
    match tokio::time::timeout(BOOKKEEPING, work).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(error = chain(&error), what, "bookkeeping not done");
            false
        }
        Err(_) => {
            tracing::warn!(what, "bookkeeping takes too long, and is given up");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_it_longer_than_that() {
        for (takes, expected) in [(0, true), (149, true), (151, false), (60_000, false)] {
            let began = Instant::now();
            let work = async {
                sleep(Duration::from_millis(takes)).await;
                Ok::<(), std::fmt::Error>(())
            };
            assert_eq!(bookkeep("a test", work).await, expected, "{takes} ms");
            assert_eq!(began.elapsed(), Duration::from_millis(takes).min(BOOKKEEPING));
        }
        assert!(!bookkeep("a test", async { Err(std::fmt::Error) }).await);
    }
}
