//! Moving dead letters back into the queue.

use anyhow::Context as _;
use aws_sdk_sqs::types::QueueAttributeName;

use super::Stack;

/// Moves every message of the dead-letter queue back to where it came from, in its old order (SQS docs, "Dead-letter queue
/// redrive"). Says what it did. They hold no state, so nothing appears twice.
///
/// # Errors
/// The queue does not answer, or the operator may not do it.
pub async fn redrive(stack: &Stack, dry_run: bool) -> anyhow::Result<String> {
    let url = stack.outputs.get("DeadLetterQueueUrl").context("the stack has no output DeadLetterQueueUrl")?;
    let (arn, count) = depth(&stack.sqs, url).await?;
    if count == 0 {
        return Ok("The dead-letter queue is empty.".to_owned());
    }
    if dry_run {
        return Ok(format!("{count} messages are in the dead-letter queue."));
    }
    stack.sqs.start_message_move_task().source_arn(arn).send().await.context("the move cannot be started")?;
    Ok(format!("Moving {count} messages back. They are delivered again as soon as they are in the queue."))
}

/// The queue's ARN, and how many messages it holds (approximately, as SQS says).
pub(super) async fn depth(sqs: &aws_sdk_sqs::Client, url: &str) -> anyhow::Result<(String, u64)> {
    let attributes = sqs
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(QueueAttributeName::QueueArn)
        .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
        .send()
        .await
        .context("the dead-letter queue does not answer")?;
    let attributes = attributes.attributes.unwrap_or_default();
    let arn = attributes.get(&QueueAttributeName::QueueArn).cloned().context("the queue has no ARN")?;
    let count = attributes.get(&QueueAttributeName::ApproximateNumberOfMessages).and_then(|count| count.parse().ok());
    Ok((arn, count.unwrap_or_default()))
}
