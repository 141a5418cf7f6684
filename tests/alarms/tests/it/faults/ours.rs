//! Faults of what we run on: Lambda, the table, the queue, secrets, schedules.

use super::{Trial, USUAL};
use crate::platform::{Function, Used};

async fn refused(function: Function, used: Used, alarm: &str) {
    let trial = Box::pin(Trial::new()).await;
    let effect = trial.stack.now();
    trial.stack.wrong(|wrong| _ = wrong.refused.insert((function, used)));
    trial.rings(alarm, effect, USUAL, async |stack| stack.wrong(|wrong| wrong.refused.clear())).await;
}

#[tokio::test(start_paused = true)]
async fn webhook_ingest_cannot_reach_the_table() {
    refused(Function::Webhook, Used::Table, "WebhooksFailedAlarm").await;
}

#[tokio::test(start_paused = true)]
async fn webhook_ingest_cannot_reach_the_queue() {
    refused(Function::Webhook, Used::Queue, "WebhooksFailedAlarm").await;
}

#[tokio::test(start_paused = true)]
async fn nothing_can_reach_the_table() {
    let trial = Box::pin(Trial::new()).await;
    let effect = trial.stack.now();
    trial.stack.inside().aws.refuse_dynamodb(true);
    trial.rings("WebhooksFailedAlarm", effect, USUAL, async |stack| stack.inside().aws.refuse_dynamodb(false)).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_can_reach_the_queue() {
    let trial = Box::pin(Trial::new()).await;
    let effect = trial.stack.now();
    trial.stack.inside().aws.refuse_sqs(true);
    trial.rings("WebhooksFailedAlarm", effect, USUAL, async |stack| stack.inside().aws.refuse_sqs(false)).await;
}
