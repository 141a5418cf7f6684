//! Faults of what we run on: Lambda, the table, the queue, secrets, schedules.

use std::time::Duration;

use runtime::Metric;
use tokio::time::sleep;

use super::{SHORT, Trial, USUAL};
use crate::platform::{Function, Used, Wrong};
use crate::stack::Stack;

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

#[tokio::test(start_paused = true)]
async fn webhook_ingest_may_not_read_its_secret() {
    let trial = Box::pin(Trial::new()).await;
    let effect = trial.stack.now();
    trial.stack.wrong(|wrong| _ = wrong.refused.insert((Function::Webhook, Used::Secret)));
    // What it knows already it keeps; the next process knows nothing.
    trial.stack.platform.end_processes();
    trial.rings("WebhooksFailedAlarm", effect, USUAL, async |stack| stack.wrong(|wrong| wrong.refused.clear())).await;
}

#[tokio::test(start_paused = true)]
async fn the_reconciler_may_not_read_its_secret() {
    let trial = Box::pin(Trial::new()).await;
    trial.stack.wrong(|wrong| _ = wrong.refused.insert((Function::Reconciler, Used::Secret)));
    trial.stack.platform.end_processes();
    // Its next run is at once.
    let effect = trial.next_run();
    trial.rings("AppTokenAlarm", effect, USUAL, async |stack| stack.wrong(|wrong| wrong.refused.clear())).await;
}

#[tokio::test(start_paused = true)]
async fn the_reconciler_cannot_reach_the_table() {
    let trial = Box::pin(Trial::new()).await;
    trial.stack.wrong(|wrong| _ = wrong.refused.insert((Function::Reconciler, Used::Table)));
    let effect = trial.next_run();
    trial.rings("NotHealingAlarm", effect, USUAL, async |stack| stack.wrong(|wrong| wrong.refused.clear())).await;
}

async fn wrong(alarm: &str, change: impl FnOnce(&mut Wrong)) {
    let trial = Box::pin(Trial::new()).await;
    let effect = trial.stack.now();
    trial.stack.wrong(change);
    trial.rings(alarm, effect, SHORT, async |stack| stack.wrong(|wrong| *wrong = Wrong::default())).await;
}

#[tokio::test(start_paused = true)]
async fn webhook_ingest_crashes() {
    wrong("FunctionErrorsAlarm", |wrong| _ = wrong.crashing.insert(Function::Webhook)).await;
}

/// The queue hides what a sender has died of for six minutes. Cards are five minutes late then, which is told as well.
#[tokio::test(start_paused = true)]
async fn the_sender_crashes() {
    let trial = Box::pin(Trial::new()).await;
    let effect = trial.stack.now();
    trial.stack.wrong(|wrong| _ = wrong.crashing.insert(Function::Sender));
    let end = async |stack: &Stack| stack.wrong(|wrong| wrong.crashing.clear());
    trial.rings_and_later("FunctionErrorsAlarm", "OldestUnfinishedAlarm", effect, USUAL, end).await;
}

#[tokio::test(start_paused = true)]
async fn webhook_ingest_is_throttled() {
    wrong("FunctionThrottlesAlarm", |wrong| _ = wrong.throttled.insert(Function::Webhook)).await;
}

#[tokio::test(start_paused = true)]
async fn every_function_is_throttled() {
    wrong("FunctionThrottlesAlarm", |wrong| wrong.throttled.extend(Function::ALL)).await;
}

#[tokio::test(start_paused = true)]
async fn the_reconciler_crashes() {
    let trial = Box::pin(Trial::new()).await;
    trial.stack.wrong(|wrong| _ = wrong.crashing.insert(Function::Reconciler));
    let effect = trial.next_run();
    trial.rings("FunctionErrorsAlarm", effect, USUAL, async |stack| stack.wrong(|wrong| wrong.crashing.clear())).await;
}

#[tokio::test(start_paused = true)]
async fn the_reconcilers_schedule_is_off() {
    let trial = Box::pin(Trial::new()).await;
    trial.stack.wrong(|wrong| wrong.is_unscheduled = true);
    let effect = trial.next_run();
    trial
        .rings("ReconcilerSilentAlarm", effect, USUAL, async |stack| stack.wrong(|wrong| wrong.is_unscheduled = false))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_no_sender_can_read_is_given_up() {
    let trial = Box::pin(Trial::new()).await;
    let queue = trial.stack.inside().app.config.queue_url.clone();
    let message = trial.stack.platform.clients.sqs.send_message().queue_url(&queue).message_body("not ours");
    message.message_group_id("g").message_deduplication_id("d").send().await.unwrap();
    while trial.stack.dead_letters() == 0 {
        sleep(Duration::from_secs(1)).await;
    }
    let effect = trial.stack.now();
    trial.rings("DeadLettersAlarm", effect, USUAL, async |stack| stack.take_dead_letters().await).await;
}

/// Each run begins, and says nothing until Lambda ends it: that is when it is known.
#[tokio::test(start_paused = true)]
async fn the_reconciler_hangs() {
    let trial = Box::pin(Trial::new()).await;
    trial.stack.wrong(|wrong| _ = wrong.hanging.insert(Function::Reconciler));
    let effect = trial.next_run().checked_add(trial.stack.platform.limit(Function::Reconciler)).unwrap();
    let end = async |stack: &Stack| stack.wrong(|wrong| wrong.hanging.clear());
    trial.rings("FunctionErrorsAlarm", effect, 2 * USUAL, end).await;
}

/// Some of its runs are ended, others are well.
#[tokio::test(start_paused = true)]
async fn some_runs_of_the_reconciler_are_ended() {
    let trial = Box::pin(Trial::new()).await;
    let limit = trial.stack.platform.limit(Function::Reconciler);
    trial.stack.wrong(|wrong| _ = wrong.hanging.insert(Function::Reconciler));
    sleep(Duration::from_secs(20)).await;
    trial.stack.wrong(|wrong| wrong.hanging.clear());
    let effect = trial.stack.now().checked_add(limit.saturating_sub(Duration::from_secs(20))).unwrap();
    trial.rings("FunctionErrorsAlarm", effect, USUAL, async |_| {}).await;
}

#[tokio::test(start_paused = true)]
async fn the_sender_may_not_read_its_secret() {
    let trial = Box::pin(Trial::new()).await;
    trial.stack.wrong(|wrong| _ = wrong.refused.insert((Function::Sender, Used::Secret)));
    trial.stack.platform.end_processes();
    let effect = trial.first(Function::Sender, Metric::AppTokenFailures).await;
    trial.rings("AppTokenAlarm", effect, SHORT, async |stack| stack.wrong(|wrong| wrong.refused.clear())).await;
}

async fn requests_fail(function: Function) {
    let trial = Box::pin(Trial::new()).await;
    trial.stack.wrong(|wrong| _ = wrong.refused.insert((function, Used::Table)));
    let effect = trial.first(function, Metric::RequestsFailed).await;
    trial.rings("ApiErrorsAlarm", effect, USUAL, async |stack| stack.wrong(|wrong| wrong.refused.clear())).await;
}

#[tokio::test(start_paused = true)]
async fn the_configuration_page_cannot_reach_the_table() {
    requests_fail(Function::Admin).await;
}

#[tokio::test(start_paused = true)]
async fn log_ins_cannot_reach_the_table() {
    requests_fail(Function::Oauth).await;
}

#[tokio::test(start_paused = true)]
async fn the_bot_cannot_reach_the_table() {
    requests_fail(Function::Bot).await;
}

/// It is known when Lambda ends the first invocation.
async fn hangs(function: Function) {
    let trial = Box::pin(Trial::new()).await;
    trial.stack.wrong(|wrong| _ = wrong.hanging.insert(function));
    let effect = trial.stack.now().checked_add(trial.stack.platform.limit(function)).unwrap();
    trial.rings("FunctionErrorsAlarm", effect, SHORT, async |stack| stack.wrong(|wrong| wrong.hanging.clear())).await;
}

#[tokio::test(start_paused = true)]
async fn webhook_ingest_hangs() {
    hangs(Function::Webhook).await;
}

#[tokio::test(start_paused = true)]
async fn the_bot_hangs() {
    hangs(Function::Bot).await;
}

#[tokio::test(start_paused = true)]
async fn log_ins_hang() {
    hangs(Function::Oauth).await;
}

#[tokio::test(start_paused = true)]
async fn the_configuration_page_hangs() {
    hangs(Function::Admin).await;
}

#[tokio::test(start_paused = true)]
async fn log_ins_are_throttled() {
    wrong("FunctionThrottlesAlarm", |wrong| _ = wrong.throttled.insert(Function::Oauth)).await;
}
