//! Marking what is unfinished in channels, and waking whoever finishes it.

use std::collections::BTreeSet;

use domain::behind::{Mark, Marked};
use domain::channel::Epoch;
use domain::ids::{AccountId, ChannelId};
use domain::ledger::{LedgerEntry, Progress};
use futures_util::future::{join_all, try_join_all};
use jiff::Timestamp;
use runtime::{App, Metric, WakeUpCall, bookkeep};
use store::Awake;

use crate::ObserveError;

/// Marks what somebody asks for, and wakes the channels even if the last message to them was lost. What is marked is finished,
/// whatever becomes of this process. Harmless to repeat.
pub async fn want(app: &App, marks: &[Mark]) -> Result<(), ObserveError> {
    let lines = mark(app, marks).await?;
    for (WakeUpCall { account, channel, .. }, _) in wake_up_calls(app, marks).await? {
        wake_anew(app, &account, &channel).await?;
    }
    count(app, marks);
    tell(app, &lines).await;
    Ok(())
}

/// Counts marks of which somebody was told.
pub(crate) fn count(app: &App, marks: &[Mark]) {
    if !marks.is_empty() {
        app.metrics.emit(&[Metric::CardsMarked.times(marks.len())], app.clock.now());
    }
}

/// Marks, and wakes nobody yet. Gives what the ledger is to be told when everything else is done.
pub(crate) async fn mark(app: &App, marks: &[Mark]) -> Result<Vec<LedgerEntry>, store::Error> {
    let expires = app.kept_until();
    let marked = try_join_all(marks.iter().map(|mark| app.store.mark(mark, expires))).await?;
    let without_room = marks.iter().zip(marked).filter(|(_, noted)| !noted).map(|(mark, _)| mark);
    Ok(without_room.filter_map(|mark| told_with_others(mark, app.clock.now())).collect())
}

/// How to wake the channels of these marks, which have been made already, and whether a sender comes without that. A channel in
/// which nothing was ever marked is noted, so that the reconciler finds it.
pub(crate) async fn wake_up_calls(app: &App, marks: &[Mark]) -> Result<Vec<(WakeUpCall, bool)>, store::Error> {
    let channels: BTreeSet<(&AccountId, &ChannelId)> =
        marks.iter().map(|mark| (&mark.account, &mark.channel)).collect();
    try_join_all(channels.into_iter().map(async |(account, channel)| {
        let (epoch, expected) = match app.store.awake(account, channel, app.clock.now()).await? {
            Awake::When(epoch) => (epoch, false),
            Awake::Soon(epoch) => (epoch, true),
            Awake::Never => {
                app.store.put_channel_of_account(account, channel).await?;
                (Epoch(0), false)
            }
        };
        Ok((WakeUpCall { account: account.clone(), channel: channel.clone(), epoch }, expected))
    }))
    .await
}

/// Wakes a channel whatever was sent before.
pub async fn wake_anew(app: &App, account: &AccountId, channel: &ChannelId) -> Result<(), ObserveError> {
    let unique = app.random.token()?;
    Ok(app.queue.wake_anew(account, channel, &unique).await?)
}

pub(crate) async fn wake(app: &App, calls: &[(WakeUpCall, bool)]) -> Result<(), ObserveError> {
    // In a storm each change would leave a message behind the one that waits.
    let calls: Vec<WakeUpCall> = calls.iter().filter(|(_, expected)| !expected).map(|(call, _)| call.clone()).collect();
    if calls.is_empty() {
        return Ok(());
    }
    Ok(app.queue.wake(&calls).await?)
}

/// The mark has no room for its cause, which is shown with those before it.
fn told_with_others(mark: &Mark, now: Timestamp) -> Option<LedgerEntry> {
    let place = (&mark.account, &mark.channel);
    Some(LedgerEntry {
        progress: Progress::Coalesced,
        why: Some("many changes wait for this card, and are shown together".to_owned()),
        ..LedgerEntry::marked(place, mark.subject.incident()?, &Marked::from(mark), mark.cause.as_ref()?, now)
    })
}

/// Tells the ledger what became of causes. An incident must not wait for its bookkeeping.
pub(crate) async fn tell(app: &App, lines: &[LedgerEntry]) {
    let keep = app.config.retention;
    let writing = lines.iter().map(async |line| match line.progress {
        Progress::NoChannel => app.store.open_ledger_line(line, keep).await,
        _ => app.store.write_ledger_line(line, keep).await,
    });
    if !lines.is_empty() {
        // One that fails keeps no other one from being written.
        bookkeep("ledger lines", async { join_all(writing).await.into_iter().collect() }).await;
    }
}
