//! Teams resends what it thinks was lost, with the same activity id: each activity acts once.

use jiff::SignedDuration;
use runtime::App;
use store::Once;
use teams::activity::Activity;

/// Longer than a flow may take; afterwards a crashed flow may be tried again.
const HOLD: SignedDuration = SignedDuration::from_secs(20);

/// Longer than Teams resends.
const KEEP: SignedDuration = SignedDuration::from_hours(24);

/// What to do about an activity or a request that may have come before.
pub(crate) enum Turn {
    /// It is the first; call [`end`], [`finish`] or [`give_up`] afterwards.
    Act,
    /// It is being done right now.
    InProgress,
    /// It was done.
    Done,
}

/// What an activity is known by.
pub(crate) fn key_of(activity: &Activity) -> String {
    format!("activity/{}/{}", activity.conversation.id, activity.id)
}

/// Claims `key`. If the table does not answer, acting is refused: twice is worse than a sentence that asks to try again.
pub(crate) async fn begin(app: &App, key: &str) -> Result<Turn, store::Error> {
    Ok(match app.store.begin_once(key, app.clock.now(), HOLD).await? {
        Once::First => Turn::Act,
        Once::InProgress => Turn::InProgress,
        Once::Done(_) => Turn::Done,
    })
}

/// Notes how it ended: `Err` is an answer as well, after which the same may be tried again.
pub(crate) async fn end<T>(app: &App, key: &str, outcome: Result<T, T>) -> T {
    match outcome {
        Ok(answer) => {
            finish(app, key).await;
            answer
        }
        Err(answer) => {
            give_up(app, key).await;
            answer
        }
    }
}

/// Notes that it was done.
pub(crate) async fn finish(app: &App, key: &str) {
    keep(app, key, KEEP).await;
}

/// Notes that it was done and may be asked for again after `keep`.
pub(crate) async fn keep(app: &App, key: &str, keep: SignedDuration) {
    keep_as(app, key, "done", keep).await;
}

/// Notes an outcome of the caller's own, for `keep`.
pub(crate) async fn keep_as(app: &App, key: &str, outcome: &str, keep: SignedDuration) {
    if let Err(error) = app.store.finish_once(key, outcome, app.clock.now(), keep).await {
        tracing::warn!(error = runtime::chain(&error), "a repeated activity may act again");
    }
}

/// Notes that nothing was done, so that it may be tried again at once.
pub(crate) async fn give_up(app: &App, key: &str) {
    if let Err(error) = app.store.abandon_once(key).await {
        tracing::warn!(error = runtime::chain(&error), "a repeated activity has to wait");
    }
}
