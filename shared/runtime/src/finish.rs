//! Work that must reach its end although whoever asked for it may stop waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tracing::Instrument as _;

use crate::App;

/// The work was broken off: the process ends, or the work panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work was broken off")]
pub struct BrokenOff;

/// How much work of [`App::finish`] has not ended. Whoever waits for it goes on in the order in which they came: a `watch` would
/// draw lots.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unfinished(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    count: AtomicUsize,
    none_left: Notify,
}

impl Unfinished {
    async fn ended(&self) {
        let Self(counted) = self;
        loop {
            // Before the count is read, so that an end between the two is heard.
            let none_left = counted.none_left.notified();
            if counted.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            none_left.await;
        }
    }
}

/// One piece of work, until it is dropped.
struct Mark(Unfinished);

impl Mark {
    fn begin(unfinished: &Unfinished) -> Self {
        unfinished.0.count.fetch_add(1, Ordering::SeqCst);
        Self(unfinished.clone())
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let Unfinished(counted) = &self.0;
        if counted.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            counted.none_left.notify_waiters();
        }
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
        self.unfinished.ended().await;
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
    use std::sync::Mutex;
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::task::JoinSet;

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
    async fn all_who_wait_for_the_end_go_on_in_their_order() {
        const WAITING: usize = 20;
        let (unfinished, order) = (Unfinished::default(), Arc::<Mutex<Vec<usize>>>::default());
        let (first, second) = (Mark::begin(&unfinished), Mark::begin(&unfinished));
        let mut waiting = JoinSet::new();
        for number in 0..WAITING {
            let (unfinished, order) = (unfinished.clone(), Arc::clone(&order));
            waiting.spawn(async move {
                unfinished.ended().await;
                order.lock().unwrap().push(number);
            });
        }
        tokio::task::yield_now().await;
        drop(first);
        tokio::task::yield_now().await;
        assert!(order.lock().unwrap().is_empty(), "one is left");
        drop(second);
        waiting.join_all().await;
        assert_eq!(*order.lock().unwrap(), (0..WAITING).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn the_caller_gets_the_result() {
        assert_eq!(finish(async { 7 }).await, Ok(7));
    }
}
