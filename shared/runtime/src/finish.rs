//! Work that must reach its end although whoever asked for it may stop waiting.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::Instrument as _;

use crate::App;

/// The work was broken off: the process ends, or the work panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work was broken off")]
pub struct BrokenOff;

/// How much work of [`App::finish`] has not ended.
#[derive(Debug, Clone)]
pub(crate) struct Unfinished(Arc<watch::Sender<usize>>);

impl Default for Unfinished {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

/// One piece of work, until it is dropped.
struct Mark(Unfinished);

impl Mark {
    fn begin(unfinished: &Unfinished) -> Self {
        unfinished.0.send_modify(|count| *count += 1);
        Self(unfinished.clone())
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl App {
    /// Does `work` to its end, even if the caller is dropped in the middle, as a time limit does. For the few steps between
    /// an irrevocable answer and its storing. A Lambda that has answered is frozen until its next invocation, and the work with
    /// it: so a function that limits its own time waits for [`App::finished`] before it answers.
    ///
    /// # Errors
    /// [`BrokenOff`] if there is no result.
    pub async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, BrokenOff> {
        let mark = Mark::begin(&self.unfinished);
        let work = Box::pin(work);
        finish(async move {
            let done = work.await;
            drop(mark);
            done
        })
        .await
    }

    /// Ends as soon as nothing is left of [`App::finish`].
    pub async fn finished(&self) {
        let mut count = self.unfinished.0.subscribe();
        // It only fails without a sender, which is this one.
        let _nothing_left = count.wait_for(|count| *count == 0).await;
    }
}

async fn finish<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, BrokenOff> {
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
