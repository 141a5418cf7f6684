//! The only code that posts or edits cards in channels: woken by the FIFO queue, one channel at a time.
//!
//! A message carries nothing but the channel's name: what is unfinished there is in the table, and stays there until it is done.
//! So a message that is lost or given up costs time and nothing else, and no incident waits for another one's trouble. A channel
//! that waits as a whole hides its message for a minute at a time at most, what is due within seconds for a second at a time.

mod channel_gone;
mod deliver;
mod details;
mod drain;
mod ended;
mod last_delivery;
mod late;
mod mention;
mod note;
mod rows;
mod say;
mod sending;
mod settle;
mod wave;

use std::time::Duration;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use domain::behind::{Wish, pause};
use domain::cause::{Cause, Occasion};
use domain::ids::{AccountId, ChannelId};
use domain::routing::Channels;
use domain::wake_up::{CardJob, WakeUp};
use futures_util::future::join_all;
use incidents::{ObserveError, What, observe, wake_anew};
use runtime::{App, MAX_RECEIVES};
use tokio::time::Instant;

use crate::drain::Next;

/// A step may wait this long for Teams, so none is begun with less time left.
const STEP_BUDGET: Duration = Duration::from_secs(12);

/// How long after the end of its invocation a message stays hidden, if the invocation ended without a word. Lambda leaves that
/// to the queue's own time, six minutes, in which nothing else would reach the channel.
const SURELY_ENDED: Duration = Duration::from_secs(15);

/// A message that has waited so often is replaced by a new one: waiting must not lead into the dead-letter queue.
const MOST_WAITS: u32 = MAX_RECEIVES / 2;

/// How long this invocation has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// No step is begun after it.
    pub(crate) begin: Instant,
    /// Lambda ends everything then.
    pub(crate) end: Instant,
}

/// Looks at the channels of a batch and names the messages that must come again. `left` is the time until Lambda ends the
/// invocation. The template has one message in a batch, so that no channel waits for another.
pub async fn handle(app: &App, batch: SqsEvent, left: Duration) -> SqsBatchResponse {
    let begun = Instant::now();
    let limits = Limits { begin: begun + left.saturating_sub(STEP_BUDGET), end: begun + left };
    let returned = join_all(batch.records.into_iter().map(|message| Box::pin(take(app, message, limits)))).await;
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = returned.into_iter().flatten().map(failure).collect();
    response
}

/// Does what a message asks for. Gives its id if it must come again.
async fn take(app: &App, message: SqsMessage, limits: Limits) -> Option<String> {
    let receives = receives(&message);
    let wake_up: WakeUp = match serde_json::from_str(message.body.as_deref().unwrap_or_default()) {
        Ok(wake_up) => wake_up,
        Err(_) => {
            // Our own producer wrote it, so it is kept for inspection: it comes again until the dead-letter queue takes it.
            tracing::error!(message.id = message.message_id.as_deref(), "queue message cannot be read");
            hide(app, &message, Duration::ZERO).await;
            return message.message_id;
        }
    };
    let WakeUp { account, channel, card } = wake_up;
    if let Some(card) = card {
        let Err(error) = mark_for_before(app, &account, &channel, card).await else { return None };
        tracing::error!(error = runtime::chain(&error), channel.id = %channel, "not marked");
        hide(app, &message, seconds(receives)).await;
        return message.message_id;
    }
    // Beside the first call: nothing is done that would be lost if the sender died before it.
    let hidden = hide(app, &message, limits.end.saturating_duration_since(Instant::now()) + SURELY_ENDED);
    let drained = Box::pin(drain::drain(app, &account, &channel, limits, hidden)).await;
    let wait = match drained {
        Ok(Next::Nothing) => return None,
        Ok(Next::More) => Duration::ZERO,
        Ok(Next::At(wait)) => wait,
        Err(error) => {
            tracing::error!(error = runtime::chain(&error), channel.id = %channel, "channel not drained");
            seconds(receives)
        }
    };
    if wait.is_zero() || receives >= MOST_WAITS {
        match wake_anew(app, &account, &channel).await {
            Ok(()) => return None,
            Err(error) => tracing::warn!(error = runtime::chain(&error), channel.id = %channel, "not woken anew"),
        }
    }
    hide(app, &message, wait.max(Duration::from_secs(1))).await;
    message.message_id
}

/// A function of the version before asks for a look at a card, and has marked nothing. The channel is woken for it.
async fn mark_for_before(
    app: &App,
    account: &AccountId,
    channel: &ChannelId,
    card: CardJob,
) -> Result<(), ObserveError> {
    let (known, cards) = app.store.incident_with_cards(account, &card.incident).await?;
    let Some(record) = known.map(|known| known.record) else { return Ok(()) };
    let connections = match record.state() {
        Some(state) => app.store.connections_of_service(account, &state.service.id).await?,
        None => Vec::new(),
    };
    let mut channels: Channels = domain::routing::targets(&record, &connections, &cards);
    channels.retain(|known, _| known == channel);
    let cause = Cause::from(card);
    let wish = if cause.occasion == Occasion::Replayed { Wish::Afresh } else { Wish::Shown };
    Box::pin(observe(app, account, What::Again(&record, channels, wish), &cause)).await.map(drop)
}

/// Hides a message, and with it the channel, for `time` from now.
async fn hide(app: &App, message: &SqsMessage, time: Duration) {
    let Some(receipt) = message.receipt_handle.as_deref() else { return };
    if let Err(error) = app.queue.hold(receipt, time).await {
        tracing::warn!(error = runtime::chain(&error), "the message may come again at another time");
    }
}

fn seconds(receives: u32) -> Duration {
    pause(receives).unsigned_abs()
}

/// How often the message has been received, this time included.
fn receives(message: &SqsMessage) -> u32 {
    message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1)
}

fn failure(message_id: String) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = message_id;
    failure
}
