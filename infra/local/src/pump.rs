//! What AWS and PagerDuty do by themselves: deliver webhooks, and hand queue messages to the sender.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use reconciler::{Extent, Report};
use runtime::{App, AwsClients};
use simulators::pagerduty::PagerDuty;
use simulators::teams::Teams;

use crate::aws;
use crate::environment;
use crate::serve::Servers;

/// As the function's timeout in the template.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(60);

/// The reconciler's, and how often the schedule starts it.
const RECONCILER_TIMEOUT: Duration = Duration::from_secs(90);
const RECONCILED_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub(crate) struct Pumping {
    /// The sender's.
    app: App,
    reconciler: App,
    sqs: aws_sdk_sqs::Client,
    pagerduty: Option<PagerDuty>,
    aws: aws::Endpoint,
}

impl Pumping {
    pub(crate) fn new(app: App, reconciler: App, pagerduty: Option<PagerDuty>, aws: aws::Endpoint) -> Self {
        // Lambda's own, which the sender's role allows beside what the sender does itself.
        let mut lambda = app.config.aws.clone();
        "lambda".clone_into(&mut lambda.access_key_id);
        let sqs = AwsClients::new(&lambda).sqs;
        Self { app, reconciler, sqs, pagerduty, aws }
    }

    /// Until nothing more happens at the present time.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        loop {
            let delivered = match &self.pagerduty {
                Some(pagerduty) => pagerduty.deliver().await,
                None => 0,
            };
            if delivered == 0 && self.drain(0).await? == 0 {
                return Ok(());
            }
        }
    }

    /// When the next webhook or queue message becomes due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let webhook = self.pagerduty.as_ref().and_then(PagerDuty::next_due);
        [webhook, self.aws.next_visible_at()].into_iter().flatten().min()
    }

    /// Hands one batch to the sender, waiting up to `wait` seconds for it. Returns how many messages it had.
    async fn drain(&self, wait: i32) -> anyhow::Result<usize> {
        let batch = receive_batch(&self.sqs, &self.app.config.queue_url, wait).await?;
        let messages: Vec<(Option<String>, Option<String>)> =
            batch.records.iter().map(|record| (record.message_id.clone(), record.receipt_handle.clone())).collect();
        if messages.is_empty() {
            return Ok(0);
        }
        let answer = notification_sender::handle(&self.app, batch, FUNCTION_TIMEOUT).await;
        for (id, receipt) in &messages {
            let failed = answer.batch_item_failures.iter().any(|failure| Some(&failure.item_identifier) == id.as_ref());
            if let (false, Some(receipt)) = (failed, receipt) {
                self.sqs.delete_message().queue_url(&self.app.config.queue_url).receipt_handle(receipt).send().await?;
            }
        }
        Ok(messages.len())
    }

    pub(crate) async fn reconcile(&self, extent: Extent) -> Report {
        Box::pin(reconciler::run(&self.reconciler, extent, RECONCILER_TIMEOUT)).await
    }

    /// When the schedule comes next.
    pub(crate) fn next_run(&self) -> anyhow::Result<Timestamp> {
        Ok(self
            .app
            .clock
            .now()
            .round(TimestampRound::new().smallest(Unit::Minute).mode(RoundMode::Floor))?
            .checked_add(RECONCILED_EVERY)?)
    }

    /// Whether a short round would find anything.
    pub(crate) async fn is_unfinished(&self) -> anyhow::Result<bool> {
        // As the reconciler does: the sender may not read whose the app is.
        let store = &self.reconciler.store;
        let Some(account) = store.known_account_of_app(&self.reconciler.config.pagerduty_client_id).await? else {
            return Ok(false);
        };
        for channel in store.channels_of_account(&account).await? {
            let Some((set, state)) = incidents::unfinished_in(&self.app, &account, &channel).await? else { continue };
            let wants = state.storm_wants(&self.app.config.storm, self.app.clock.now());
            if wants.is_some() || set.iter().any(|item| item.parked.is_none()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Background tasks: the queue poller, the reconciler's schedule, PagerDuty's deliveries, and a copy of the simulators' state on disk.
    pub(crate) fn run_in(&self, servers: &mut Servers, data_dir: Option<&Path>, teams: Option<&Teams>) {
        let poller = self.clone();
        servers.run(async move {
            loop {
                if let Err(error) = poller.drain(1).await {
                    tracing::error!(error = format!("{error:#}"), "queue poller");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        });
        let scheduled = self.clone();
        servers.run(async move {
            loop {
                tokio::time::sleep(RECONCILED_EVERY).await;
                // It has logged what is wrong; the next run tries again.
                let _reported = scheduled.reconcile(Extent::Due).await;
            }
        });
        let Some(pagerduty) = self.pagerduty.clone() else { return };
        let keep: Option<(PathBuf, Teams)> = data_dir.map(Path::to_owned).zip(teams.cloned());
        servers.run(async move {
            loop {
                pagerduty.deliver().await;
                if let Some((folder, teams)) = &keep
                    && let Err(error) = environment::keep(folder, &pagerduty, teams)
                {
                    tracing::error!(error = format!("{error:#}"), "state not kept");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
}

/// One batch, which has one message, as Lambda's event source mapping hands it to a function, waiting up to `wait` seconds for it.
///
/// # Errors
/// The queue cannot be read.
pub async fn receive_batch(sqs: &aws_sdk_sqs::Client, queue_url: &str, wait: i32) -> anyhow::Result<SqsEvent> {
    let received = sqs
        .receive_message()
        .queue_url(queue_url)
        .max_number_of_messages(1)
        .wait_time_seconds(wait)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send()
        .await
        .context("the queue cannot be read")?;
    let mut batch = SqsEvent::default();
    batch.records = received.messages().iter().map(record).collect();
    Ok(batch)
}

/// An SQS message as Lambda's event source mapping writes it.
fn record(message: &Message) -> SqsMessage {
    let mut record = SqsMessage::default();
    record.message_id = message.message_id.clone();
    record.receipt_handle = message.receipt_handle.clone();
    record.body = message.body.clone();
    record.attributes =
        message.attributes.iter().flatten().map(|(name, value)| (name.as_str().to_owned(), value.clone())).collect();
    record
}
