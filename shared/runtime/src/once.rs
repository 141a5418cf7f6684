//! Doing something once, however often it is asked for: Teams resends what it thinks was lost, and people click twice.

use std::pin::Pin;

use jiff::SignedDuration;
use store::OnceKey;

use crate::{App, RandomError};

/// How long a claim is held: longer than a flow may take. Afterwards a crashed one may be tried again.
pub const HOLD: SignedDuration = SignedDuration::from_secs(20);

/// How long it is known that something was done: longer than Teams resends, and than anybody leaves a form open.
pub const KEEP: SignedDuration = SignedDuration::from_hours(24);

/// How a piece of work ended, as far as its repetition is concerned.
#[derive(Debug)]
pub enum Ended<T> {
    /// It is not to be done again; the text is for whoever asks for it again.
    Done(T, String),
    /// Nothing was done: the same may be tried again at once.
    Undone(T),
}

/// What became of somebody's wish.
#[derive(Debug)]
pub enum Turn<T> {
    /// It was the first, and the work was done.
    Mine(T),
    /// It is being done right now.
    InProgress,
    /// It was done before, with this outcome.
    Before(String),
}

/// It is not known whether the work was done before, so it was not done.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// The table did not answer.
    #[error(transparent)]
    Table(#[from] store::Error),
    /// No randomness to name the call.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Does `work` unless it was done within `keep`, or was begun within `hold` and has not ended. If the table does not answer,
/// nothing is done: twice is worse than a sentence that asks to try again. Work that is dropped in the middle counts as going
/// on until `hold` is over.
pub async fn run<T>(
    app: &App,
    key: OnceKey<'_>,
    hold: SignedDuration,
    keep: SignedDuration,
    work: Pin<Box<impl Future<Output = Ended<T>>>>,
) -> Result<Turn<T>, OnceError> {
    match app.store.begin_once(key, &app.random.token()?, app.clock.now(), hold).await? {
        store::Once::First => {}
        store::Once::InProgress => return Ok(Turn::InProgress),
        store::Once::Done(outcome) => return Ok(Turn::Before(outcome)),
    }
    let (value, noted) = match work.await {
        Ended::Done(value, outcome) => (value, app.store.finish_once(key, &outcome, app.clock.now(), keep).await),
        Ended::Undone(value) => (value, app.store.abandon_once(key).await),
    };
    if let Err(error) = noted {
        tracing::warn!(error = crate::chain(&error), "a repetition may be done again, or has to wait");
    }
    Ok(Turn::Mine(value))
}
