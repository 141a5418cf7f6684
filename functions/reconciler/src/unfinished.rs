//! What is unfinished in each channel: whoever should have been woken for it is woken again, and how long it has been so is told.

use std::pin::pin;
use std::time::Duration;

use domain::channel::Unfinished;
use domain::healing::Ended;
use domain::ids::{AccountId, ChannelId};
use futures_util::{StreamExt as _, stream};
use incidents::{unfinished_in, wake_anew};
use runtime::{App, Metric};
use tokio::time::Instant;

use crate::ReconcileError;

/// How many channels are looked at at the same time.
const AT_ONCE: usize = 16;

/// Looks into every channel in which something was ever marked. One that cannot be read hides no other one: how many there are is
/// told at the end. What cannot be looked at within `time` is looked at by the next run.
pub(crate) async fn wake(app: &App, account: &AccountId, time: Duration) -> Result<(Ended, usize), ReconcileError> {
    let channels = app.store.channels_of_account(account).await?;
    let looks = stream::iter(channels.into_iter().map(|channel| look(app, account, channel)));
    let (mut all, mut seen, mut failed) = (Unfinished::default(), 0_usize, Vec::new());
    let mut is_late = false;
    let mut looks = pin!(looks.buffer_unordered(AT_ONCE));
    let until = Instant::now() + time;
    loop {
        match tokio::time::timeout_at(until, looks.next()).await {
            Ok(Some(Ok(one))) => {
                all = all.and(&one);
                seen += 1;
            }
            Ok(Some(Err((channel, error)))) => {
                tracing::error!(channel.id = %channel, error = runtime::chain(&error), "channel not looked at");
                failed.push(error);
            }
            Ok(None) => break,
            Err(_) => {
                is_late = true;
                break;
            }
        }
    }
    let figures = [
        Metric::Unfinished.times(all.count),
        Metric::Parked.times(all.parked),
        (Metric::OldestUnfinished, all.oldest.as_secs_f64()),
    ];
    app.metrics.emit(&figures, app.clock.now());
    let skipped = failed.len();
    match failed.into_iter().next() {
        Some(error) if seen == 0 => Err(error),
        None if is_late && seen == 0 => Err(ReconcileError::Slow),
        first => Ok((if is_late || first.is_some() { Ended::Partly } else { Ended::Well }, skipped)),
    }
}

async fn look(app: &App, account: &AccountId, channel: ChannelId) -> Result<Unfinished, (ChannelId, ReconcileError)> {
    look_into(app, account, &channel).await.map_err(|error| (channel, error))
}

async fn look_into(app: &App, account: &AccountId, channel: &ChannelId) -> Result<Unfinished, ReconcileError> {
    let Some((set, state)) = unfinished_in(app, account, channel).await? else { return Ok(Unfinished::default()) };
    let seen = Unfinished::of(&set, &state, &app.config.storm, app.clock.now());
    if seen.is_due {
        tracing::info!(channel.id = %channel, unfinished = seen.count, "woken again");
        wake_anew(app, account, channel).await?;
    }
    Ok(seen)
}
