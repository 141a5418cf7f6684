//! Work that must reach its end although whoever asked for it may stop waiting.

use tracing::Instrument as _;

/// The work was broken off: the process ends, or the work panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work was broken off")]
pub struct BrokenOff;

/// Does `work` to its end, even if the caller is dropped in the middle, as a time limit does. For the few steps between
/// an irrevocable answer and its storing; begin none that will not end in time, because a Lambda that has answered is
/// frozen until its next invocation, and the work with it.
///
/// # Errors
/// [`BrokenOff`] if there is no result.
pub async fn finish<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, BrokenOff> {
    let work = Box::pin(work.in_current_span());
    #[expect(
        clippy::disallowed_methods,
        reason = "the caller waits for it; only a caller that gives up leaves it alone"
    )]
    let running = tokio::spawn(work);
    running.await.map_err(|_| BrokenOff)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_reaches_its_end_although_nobody_waits_any_more() {
        let (answer, answered) = oneshot::channel::<&str>();
        let (store, stored) = oneshot::channel::<&str>();
        let work = finish(async move { store.send(answered.await.unwrap()).unwrap() });
        assert!(tokio::time::timeout(Duration::ZERO, work).await.is_err(), "the caller gave up");
        answer.send("a new pair").unwrap();
        assert_eq!(stored.await, Ok("a new pair"));
    }

    #[tokio::test]
    async fn the_caller_gets_the_result() {
        assert_eq!(finish(async { 7 }).await, Ok(7));
    }
}
