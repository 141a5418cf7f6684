//! The only code that posts or edits cards in channels: takes batches from the FIFO queue.
//!
//! One message group per channel. A job carries no state: the newest record is read, and `domain::plan` says what to do.
//! So a job that failed may be overtaken by the jobs of other incidents. Only what concerns the whole channel (Teams
//! throttles, the table is down) ends the group; a failure of one incident returns that incident's messages alone, since
//! every receive counts towards the dead-letter queue and healthy messages must not end there. For FIFO queues AWS advises
//! to return everything behind the first failure (Lambda docs on partial batch responses), to keep the order; here a job
//! only says that a card may be out of date, and one incident's messages stay together, so there is no order to lose.

mod channel_gone;
mod deliver;
mod last_delivery;
mod note;
mod outcome;
mod test;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use domain::job::{Job, Occasion};
use domain::plan::CardKey;
use futures_util::future::join_all;
use runtime::App;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::note::Told;
use crate::outcome::{Outcome, Scope, backoff};

/// A step may wait this long for Teams, so none is begun with less time left.
const STEP_BUDGET: Duration = Duration::from_secs(12);

/// How long after the end of its invocation a batch stays hidden, if the invocation ended without a word. Lambda leaves that
/// to the queue's own time, six minutes, in which nothing else would reach the channels.
const SURELY_ENDED: Duration = Duration::from_secs(15);

/// How long this invocation has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// No step is begun after it.
    pub(crate) begin: jiff::Timestamp,
    /// Lambda ends everything then.
    pub(crate) end: Instant,
}

/// Delivers a batch and names the messages that must come again. `left` is the time until Lambda ends the invocation.
pub async fn handle(app: &App, batch: SqsEvent, left: Duration) -> SqsBatchResponse {
    let (started, end) = (app.clock.now(), Instant::now() + left);
    // Before anything else: arriving late, it would undo what a message is given for its own wait.
    let receipts: Vec<&str> = batch.records.iter().filter_map(|message| message.receipt_handle.as_deref()).collect();
    if let Err(error) = app.queue.hold(&receipts, left + SURELY_ENDED).await {
        tracing::warn!(error = runtime::chain(&error), "a sender that dies now silences its channels for longer");
    }
    let mut groups: BTreeMap<String, Vec<SqsMessage>> = BTreeMap::new();
    for message in batch.records {
        let group = message.attributes.get("MessageGroupId").cloned().unwrap_or_default();
        groups.entry(group).or_default().push(message);
    }
    let deadline =
        started.checked_add(jiff::SignedDuration::try_from(left.saturating_sub(STEP_BUDGET)).unwrap_or_default());
    let limits = Limits { begin: deadline.unwrap_or(jiff::Timestamp::MAX), end };
    let returned = join_all(groups.into_values().map(|group| Box::pin(deliver_group(app, group, limits)))).await;
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = returned.into_iter().flatten().map(failure).collect();
    response
}

/// Delivers one channel's messages in order. Returns the ids of those that must come again.
async fn deliver_group(app: &App, group: Vec<SqsMessage>, limits: Limits) -> Vec<String> {
    let mut done = Delivered::new();
    let mut returned = Vec::new();
    let mut rest = group.into_iter();
    while let Some(message) = rest.next() {
        let job = read(&message);
        let span = span_of(job.as_ref());
        let outcome = deliver_one(app, job, attempts(&message), limits, &mut done).instrument(span).await;
        match outcome {
            Outcome::Done => {}
            Outcome::Later { scope: Scope::Incident, delay } => returned.extend(hold(app, vec![message], delay).await),
            Outcome::Later { scope: Scope::Channel, delay } => {
                let waiting: Vec<SqsMessage> = std::iter::once(message).chain(rest).collect();
                returned.extend(hold(app, waiting, delay).await);
                return returned;
            }
        }
    }
    returned
}

/// What became of the cards of one batch.
type Delivered = BTreeMap<CardKey, (Outcome, Told)>;

async fn deliver_one(app: &App, job: Option<Job>, attempts: u32, limits: Limits, done: &mut Delivered) -> Outcome {
    match job {
        // Our own producer wrote it, so it is kept for inspection: it comes again until the dead-letter queue takes it.
        None => Outcome::later(Scope::Incident, backoff(attempts)),
        Some(_) if app.clock.now() > limits.begin => Outcome::later(Scope::Channel, backoff(attempts)),
        Some(Job::Test(job)) => test::deliver(app, &job, attempts).await,
        Some(Job::Card(job)) => {
            let card = job.card();
            // Whatever came before this batch was received is already in the record that was read for the first job.
            // A Replay is another wish: it tries what Teams refused.
            let known = done.get(&card).filter(|_| job.occasion != Occasion::Replayed);
            if let Some((outcome, told)) = known {
                note::ended(app, &job, attempts, *outcome, &told.for_another()).await;
                return *outcome;
            }
            let (outcome, told) = deliver::deliver(app, &job, attempts, limits).await;
            done.insert(card, (outcome, told));
            outcome
        }
    }
}

/// Hides all of them for `delay`: a group is blocked as long as any of its messages is hidden. Returns their ids.
async fn hold(app: &App, waiting: Vec<SqsMessage>, delay: Duration) -> Vec<String> {
    let receipts: Vec<&str> = waiting.iter().filter_map(|message| message.receipt_handle.as_deref()).collect();
    if let Err(error) = app.queue.hold(&receipts, delay).await {
        tracing::warn!(error = runtime::chain(&error), "messages may come again at another time");
    }
    waiting.into_iter().filter_map(|message| message.message_id).collect()
}

/// Every line about a job says which event brought it about: the same id is in the webhook's own lines.
fn span_of(job: Option<&Job>) -> tracing::Span {
    match job {
        Some(Job::Card(job)) => tracing::info_span!("job", event.id = %job.cause),
        Some(Job::Test(job)) => tracing::info_span!("job", event.id = job.test),
        None => tracing::Span::none(),
    }
}

fn read(message: &SqsMessage) -> Option<Job> {
    let job = message.body.as_deref().and_then(|body| serde_json::from_str(body).ok());
    if job.is_none() {
        tracing::error!(message.id = message.message_id.as_deref(), "queue message is not a job");
    }
    job
}

/// How often the message has been received, this time included.
fn attempts(message: &SqsMessage) -> u32 {
    message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1)
}

fn failure(message_id: String) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = message_id;
    failure
}
