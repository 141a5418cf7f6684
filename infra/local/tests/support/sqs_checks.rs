//! What has to be true of any FIFO queue that answers to the SQS SDK.
//!
//! Each check uses queues of its own. None waits for a visibility timeout: it is ended by setting it to 0.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message, MessageAttributeValue,
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};

use crate::support::Clients;

/// The code of a refusal; an acceptance is an error here.
pub(crate) fn refusal<T, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> Result<String> {
    match result {
        Ok(_) => anyhow::bail!("it was accepted"),
        Err(error) => Ok(error.code().context("no error code")?.to_owned()),
    }
}

/// A queue and what checks do with it all the time.
struct Queue<'a> {
    sqs: &'a aws_sdk_sqs::Client,
    url: String,
}

impl<'a> Queue<'a> {
    async fn create(clients: &'a Clients, name: &str, attributes: &[(QueueAttributeName, &str)]) -> Result<Self> {
        let mut request = clients
            .sqs
            .create_queue()
            .queue_name(format!("{name}.fifo"))
            .attributes(QueueAttributeName::FifoQueue, "true")
            .attributes(QueueAttributeName::VisibilityTimeout, "600");
        for (attribute, value) in attributes {
            request = request.attributes(attribute.clone(), *value);
        }
        let url = request.send().await?.queue_url.context("no URL")?;
        Ok(Self { sqs: &clients.sqs, url })
    }

    /// With a dead-letter queue behind it that takes what was received `receives` times.
    async fn create_with_dead_letters(clients: &'a Clients, name: &str, receives: u32) -> Result<(Self, Self)> {
        let dead = Self::create(clients, &format!("{name}-dead"), &[]).await?;
        let arn = dead.attribute(QueueAttributeName::QueueArn).await?;
        let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"{receives}"}}"#);
        Ok((Self::create(clients, name, &[(QueueAttributeName::RedrivePolicy, &policy)]).await?, dead))
    }

    /// Sends `body`, which is also the de-duplication id.
    async fn send(&self, group: &str, body: &str) -> Result<aws_sdk_sqs::operation::send_message::SendMessageOutput> {
        let request = self.sqs.send_message().queue_url(&self.url).message_group_id(group);
        Ok(request.message_deduplication_id(body).message_body(body).send().await?)
    }

    async fn receive(&self, max: i32) -> Result<Vec<Message>> {
        let request = self.sqs.receive_message().queue_url(&self.url).max_number_of_messages(max).wait_time_seconds(0);
        let request =
            request.message_system_attribute_names(MessageSystemAttributeName::All).message_attribute_names("All");
        Ok(request.send().await?.messages.unwrap_or_default())
    }

    async fn receive_bodies(&self, max: i32) -> Result<Vec<String>> {
        Ok(bodies(&self.receive(max).await?))
    }

    async fn hide(&self, message: &Message, seconds: i32) -> Result<()> {
        let request = self.sqs.change_message_visibility().queue_url(&self.url).receipt_handle(handle(message)?);
        request.visibility_timeout(seconds).send().await?;
        Ok(())
    }

    async fn delete(&self, message: &Message) -> Result<()> {
        self.sqs.delete_message().queue_url(&self.url).receipt_handle(handle(message)?).send().await?;
        Ok(())
    }

    async fn attribute(&self, name: QueueAttributeName) -> Result<String> {
        let request = self.sqs.get_queue_attributes().queue_url(&self.url).attribute_names(name.clone());
        let attributes = request.send().await?.attributes.unwrap_or_default();
        Ok(attributes.get(&name).with_context(|| format!("no {name}"))?.clone())
    }

    async fn batch(
        &self,
        entries: Vec<SendMessageBatchRequestEntry>,
    ) -> Result<
        aws_sdk_sqs::operation::send_message_batch::SendMessageBatchOutput,
        SdkError<aws_sdk_sqs::operation::send_message_batch::SendMessageBatchError>,
    > {
        self.sqs.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await
    }
}

fn bodies(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| message.body.clone().unwrap_or_default()).collect()
}

fn handle(message: &Message) -> Result<&str> {
    message.receipt_handle().context("no receipt handle")
}

fn first(messages: &[Message]) -> Result<&Message> {
    messages.first().context("no message")
}

fn system<'a>(message: &'a Message, name: &MessageSystemAttributeName) -> Option<&'a str> {
    message.attributes.as_ref()?.get(name).map(String::as_str)
}

fn entry(id: &str, group: &str, body: &str) -> Result<SendMessageBatchRequestEntry> {
    let entry = SendMessageBatchRequestEntry::builder().id(id).message_body(body).message_group_id(group);
    Ok(entry.message_deduplication_id(id).build()?)
}

fn text(value: &str) -> Result<MessageAttributeValue> {
    Ok(MessageAttributeValue::builder().data_type("String").string_value(value).build()?)
}

pub(crate) async fn check_a_message_arrives_whole(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "whole", &[]).await?;
    let binary =
        MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([0, 1, 254, 255])).build()?;
    let sent = clients
        .sqs
        .send_message()
        .queue_url(&queue.url)
        .message_group_id("group")
        .message_deduplication_id("dedup")
        .message_body("Grüße \u{1F600}\n")
        .message_attributes("cause", text("event-1")?)
        .message_attributes("digest", binary.clone())
        .send()
        .await?;
    ensure!(sent.md5_of_message_body() == Some("1591d44995736f88f943779f67a97f10"));
    ensure!(sent.md5_of_message_attributes() == Some("45bd93ad363bc71f7d47714a4055b6ac"));
    let received = queue.receive(1).await?;
    let message = first(&received)?;
    ensure!(message.body() == Some("Grüße \u{1F600}\n"));
    ensure!(message.message_id() == sent.message_id());
    ensure!(message.md5_of_body() == sent.md5_of_message_body());
    ensure!(message.md5_of_message_attributes() == sent.md5_of_message_attributes());
    let attributes = message.message_attributes().context("no attributes")?;
    ensure!(attributes.len() == 2);
    ensure!(attributes.get("cause") == Some(&text("event-1")?));
    ensure!(attributes.get("digest") == Some(&binary));
    for (name, expected) in [
        (MessageSystemAttributeName::MessageGroupId, "group"),
        (MessageSystemAttributeName::MessageDeduplicationId, "dedup"),
        (MessageSystemAttributeName::ApproximateReceiveCount, "1"),
        (MessageSystemAttributeName::SequenceNumber, sent.sequence_number().context("no sequence number")?),
    ] {
        ensure!(system(message, &name) == Some(expected), "{name}: {:?}", system(message, &name));
    }
    let now = system(message, &MessageSystemAttributeName::SentTimestamp);
    ensure!(now.is_some_and(|time| time.len() == 13), "milliseconds: {now:?}");
    ensure!(system(message, &MessageSystemAttributeName::ApproximateFirstReceiveTimestamp).is_some());
    Ok(())
}

pub(crate) async fn check_attributes_are_given_only_if_asked_for(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "asked", &[]).await?;
    let request = clients.sqs.send_message().queue_url(&queue.url).message_group_id("a").message_deduplication_id("1");
    request
        .message_body("1")
        .message_attributes("kept", text("1")?)
        .message_attributes("other", text("2")?)
        .send()
        .await?;
    let plain = clients.sqs.receive_message().queue_url(&queue.url).visibility_timeout(0).send().await?;
    let plain = first(plain.messages())?.clone();
    ensure!(plain.attributes.unwrap_or_default().is_empty());
    ensure!(plain.message_attributes.unwrap_or_default().is_empty());
    let some = clients
        .sqs
        .receive_message()
        .queue_url(&queue.url)
        .message_attribute_names("kept")
        .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
        .send()
        .await?;
    let some = first(some.messages())?.clone();
    ensure!(
        some.attributes.unwrap_or_default().into_keys().collect::<Vec<_>>()
            == [MessageSystemAttributeName::MessageGroupId]
    );
    ensure!(some.message_attributes.unwrap_or_default().into_keys().collect::<Vec<_>>() == ["kept"]);
    Ok(())
}

pub(crate) async fn check_order_in_a_group(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "order", &[]).await?;
    for body in ["1", "2", "3", "4"] {
        queue.send("a", body).await?;
    }
    let received = queue.receive(3).await?;
    ensure!(bodies(&received) == ["1", "2", "3"]);
    let numbers: Vec<_> = received.iter().map(|one| system(one, &MessageSystemAttributeName::SequenceNumber)).collect();
    ensure!(numbers.is_sorted() && numbers.iter().all(Option::is_some), "{numbers:?}");
    Ok(())
}

pub(crate) async fn check_a_group_in_flight_is_locked(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "locked", &[]).await?;
    for (group, body) in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1")] {
        queue.send(group, body).await?;
    }
    let held = queue.receive(2).await?;
    ensure!(bodies(&held) == ["a1", "a2"]);
    ensure!(queue.receive_bodies(10).await? == ["b1"]);
    queue.delete(first(&held)?).await?;
    ensure!(queue.receive_bodies(10).await?.is_empty(), "a2 is still in flight");
    queue.delete(held.last().context("no a2")?).await?;
    ensure!(queue.receive_bodies(10).await? == ["a3"]);
    Ok(())
}

pub(crate) async fn check_a_message_comes_back_first(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "back", &[]).await?;
    for body in ["1", "2"] {
        queue.send("a", body).await?;
    }
    let held = queue.receive(1).await?;
    queue.hide(first(&held)?, 0).await?;
    let again = queue.receive(10).await?;
    ensure!(bodies(&again) == ["1", "2"]);
    let counts: Vec<_> =
        again.iter().map(|one| system(one, &MessageSystemAttributeName::ApproximateReceiveCount)).collect();
    ensure!(counts == [Some("2"), Some("1")]);
    Ok(())
}

/// As recorded from the real service: a head that is visible is handed out although messages behind it are in flight.
pub(crate) async fn check_a_head_does_not_wait_for_those_behind_it(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "head", &[]).await?;
    for body in ["1", "2", "3"] {
        queue.send("a", body).await?;
    }
    let held = queue.receive(2).await?;
    queue.hide(first(&held)?, 0).await?;
    ensure!(queue.receive_bodies(10).await? == ["1"]);
    Ok(())
}

pub(crate) async fn check_a_message_does_not_overtake_one_in_flight(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "overtake", &[]).await?;
    for body in ["1", "2", "3"] {
        queue.send("a", body).await?;
    }
    let held = queue.receive(2).await?;
    queue.hide(held.last().context("no second")?, 0).await?;
    ensure!(queue.receive_bodies(10).await?.is_empty());
    Ok(())
}

pub(crate) async fn check_a_stale_handle_deletes_nothing(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "stale", &[]).await?;
    queue.send("a", "1").await?;
    let old = queue.receive(1).await?;
    queue.hide(first(&old)?, 0).await?;
    let new = queue.receive(1).await?;
    ensure!(handle(first(&old)?)? != handle(first(&new)?)?);
    ensure!(queue.delete(first(&old)?).await.is_err(), "the old handle was accepted");
    queue.hide(first(&new)?, 0).await?;
    ensure!(queue.receive_bodies(1).await? == ["1"], "the message is gone");
    Ok(())
}

/// As recorded from the real service.
pub(crate) async fn check_a_handle_ends_with_the_visibility(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "expired", &[]).await?;
    queue.send("a", "1").await?;
    let held = queue.receive(1).await?;
    queue.hide(first(&held)?, 0).await?;
    let request = clients.sqs.delete_message().queue_url(&queue.url).receipt_handle(handle(first(&held)?)?);
    ensure!(refusal(request.send().await)? == "InvalidParameterValue");
    ensure!(queue.receive_bodies(1).await? == ["1"]);
    Ok(())
}

pub(crate) async fn check_deleting_twice_is_no_error(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "twice", &[]).await?;
    queue.send("a", "1").await?;
    let held = queue.receive(1).await?;
    queue.delete(first(&held)?).await?;
    queue.delete(first(&held)?).await
}

pub(crate) async fn check_nonsense_is_no_handle(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "nonsense", &[]).await?;
    let delete = clients.sqs.delete_message().queue_url(&queue.url).receipt_handle("nonsense");
    ensure!(refusal(delete.send().await)? == "ReceiptHandleIsInvalid");
    let hide =
        clients.sqs.change_message_visibility().queue_url(&queue.url).receipt_handle("nonsense").visibility_timeout(1);
    ensure!(refusal(hide.send().await)? == "ReceiptHandleIsInvalid");
    Ok(())
}

pub(crate) async fn check_duplicates_are_taken_once(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "duplicates", &[]).await?;
    let original = queue.send("a", "1").await?;
    let duplicate = queue.send("b", "1").await?;
    ensure!(duplicate.message_id == original.message_id);
    ensure!(duplicate.sequence_number == original.sequence_number);
    let held = queue.receive(10).await?;
    ensure!(bodies(&held) == ["1"]);
    queue.delete(first(&held)?).await?;
    ensure!(queue.send("a", "1").await?.message_id == original.message_id, "also after it was deleted");
    ensure!(queue.receive_bodies(10).await?.is_empty());
    Ok(())
}

pub(crate) async fn check_content_can_identify_a_message(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "content", &[(QueueAttributeName::ContentBasedDeduplication, "true")]).await?;
    for body in ["1", "1", "2"] {
        clients.sqs.send_message().queue_url(&queue.url).message_group_id("a").message_body(body).send().await?;
    }
    let received = queue.receive(10).await?;
    ensure!(bodies(&received) == ["1", "2"]);
    let id = system(first(&received)?, &MessageSystemAttributeName::MessageDeduplicationId);
    ensure!(id == Some("6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"), "SHA-256 of 1");
    Ok(())
}

pub(crate) async fn check_a_group_can_be_the_scope_of_deduplication(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "scope", &[(QueueAttributeName::DeduplicationScope, "messageGroup")]).await?;
    for (group, body) in [("a", "1"), ("b", "1"), ("a", "1")] {
        queue.send(group, body).await?;
    }
    ensure!(queue.receive_bodies(10).await? == ["1", "1"]);
    Ok(())
}

pub(crate) async fn check_poison_goes_to_the_dead_letters(clients: &Clients) -> Result<()> {
    let (queue, dead) = Queue::create_with_dead_letters(clients, "poison", 2).await?;
    let request = clients.sqs.send_message().queue_url(&queue.url).message_group_id("a").message_deduplication_id("1");
    let sent = request.message_body("poison").message_attributes("cause", text("event-1")?).send().await?;
    queue.send("a", "next").await?;
    for _ in 0..2 {
        let held = queue.receive(1).await?;
        ensure!(bodies(&held) == ["poison"]);
        queue.hide(first(&held)?, 0).await?;
    }
    ensure!(queue.receive_bodies(10).await? == ["next"], "the group goes on");
    let buried = dead.receive(10).await?;
    ensure!(bodies(&buried) == ["poison"]);
    let buried = first(&buried)?;
    ensure!(buried.message_id() == sent.message_id());
    ensure!(buried.message_attributes().and_then(|all| all.get("cause")) == Some(&text("event-1")?));
    ensure!(system(buried, &MessageSystemAttributeName::MessageGroupId) == Some("a"));
    let source = queue.attribute(QueueAttributeName::QueueArn).await?;
    ensure!(system(buried, &MessageSystemAttributeName::DeadLetterQueueSourceArn) == Some(source.as_str()));
    Ok(())
}

/// So the developer guide says of FIFO dead-letter queues.
pub(crate) async fn check_the_dead_are_identified_by_their_id(clients: &Clients) -> Result<()> {
    let (queue, dead) = Queue::create_with_dead_letters(clients, "identity", 1).await?;
    queue.send("a", "1").await?;
    let held = queue.receive(1).await?;
    queue.hide(first(&held)?, 0).await?;
    queue.receive(1).await?;
    let buried = dead.receive(1).await?;
    let buried = first(&buried)?;
    ensure!(system(buried, &MessageSystemAttributeName::MessageDeduplicationId) == buried.message_id());
    Ok(())
}

pub(crate) async fn check_the_dead_can_be_moved_back(clients: &Clients) -> Result<()> {
    let (queue, dead) = Queue::create_with_dead_letters(clients, "redrive", 1).await?;
    let sent = queue.send("a", "1").await?;
    let held = queue.receive(1).await?;
    queue.hide(first(&held)?, 0).await?;
    ensure!(queue.receive_bodies(1).await?.is_empty());
    let source = dead.attribute(QueueAttributeName::QueueArn).await?;
    clients.sqs.start_message_move_task().source_arn(&source).send().await?;
    let tasks = clients.sqs.list_message_move_tasks().source_arn(&source).send().await?;
    let task = tasks.results().first().context("no task")?;
    ensure!((task.status(), task.approximate_number_of_messages_moved()) == (Some("COMPLETED"), 1));
    let back = queue.receive(1).await?;
    ensure!(bodies(&back) == ["1"]);
    ensure!(first(&back)?.message_id() != sent.message_id(), "it is a new message");
    ensure!(system(first(&back)?, &MessageSystemAttributeName::ApproximateReceiveCount) == Some("1"));
    ensure!(dead.receive_bodies(1).await?.is_empty());
    let nowhere = clients.sqs.start_message_move_task().source_arn(source.replace("redrive-dead", "nowhere"));
    ensure!(refusal(nowhere.send().await)? == "ResourceNotFoundException");
    let living = queue.attribute(QueueAttributeName::QueueArn).await?;
    ensure!(refusal(clients.sqs.start_message_move_task().source_arn(living).send().await)? == "InvalidParameterValue");
    Ok(())
}

pub(crate) async fn check_a_receive_gives_at_most_ten(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "ten", &[]).await?;
    for number in 0..12 {
        queue.send(&format!("g{number}"), &number.to_string()).await?;
    }
    ensure!(queue.receive(10).await?.len() == 10);
    ensure!(queue.receive(10).await?.len() == 2);
    for max in [0, 11] {
        let request = clients.sqs.receive_message().queue_url(&queue.url).max_number_of_messages(max);
        ensure!(refusal(request.send().await)? == "InvalidParameterValue", "{max}");
    }
    Ok(())
}

pub(crate) async fn check_a_receive_gives_one_by_default(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "one", &[]).await?;
    queue.send("a", "1").await?;
    queue.send("b", "2").await?;
    let received = clients.sqs.receive_message().queue_url(&queue.url).send().await?;
    ensure!(received.messages().len() == 1);
    Ok(())
}

pub(crate) async fn check_visibility_is_at_most_twelve_hours(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "twelve", &[]).await?;
    queue.send("a", "1").await?;
    let held = queue.receive(1).await?;
    let request = clients.sqs.change_message_visibility().queue_url(&queue.url).receipt_handle(handle(first(&held)?)?);
    ensure!(refusal(request.visibility_timeout(43_201).send().await)? == "InvalidParameterValue");
    Ok(())
}

pub(crate) async fn check_a_message_cannot_be_delayed(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "delayed", &[]).await?;
    let send = |seconds| {
        let request =
            clients.sqs.send_message().queue_url(&queue.url).message_group_id("a").message_deduplication_id("1");
        request.message_body("1").delay_seconds(seconds).send()
    };
    ensure!(refusal(send(2).await)? == "InvalidParameterValue");
    ensure!(queue.receive_bodies(1).await?.is_empty());
    send(0).await?;
    ensure!(queue.receive_bodies(1).await? == ["1"]);
    Ok(())
}

pub(crate) async fn check_a_message_needs_group_id_and_content(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "needs", &[]).await?;
    let send = || clients.sqs.send_message().queue_url(&queue.url);
    let no_group = send().message_body("1").message_deduplication_id("1");
    ensure!(refusal(no_group.send().await)? == "MissingParameter");
    let no_id = send().message_body("1").message_group_id("a");
    ensure!(refusal(no_id.send().await)? == "InvalidParameterValue");
    let no_content = send().message_body("").message_group_id("a").message_deduplication_id("1");
    ensure!(refusal(no_content.send().await)? == "MissingParameter");
    let control = send().message_body("\u{1}").message_group_id("a").message_deduplication_id("1");
    ensure!(refusal(control.send().await)? == "InvalidMessageContents");
    let large = send().message_body("x".repeat(1_048_577)).message_group_id("a").message_deduplication_id("1");
    ensure!(refusal(large.send().await)? == "InvalidParameterValue");
    ensure!(queue.receive_bodies(10).await?.is_empty());
    Ok(())
}

pub(crate) async fn check_entries_of_a_batch_fail_on_their_own(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "partial", &[]).await?;
    let entries = vec![entry("one", "a", "1")?, entry("two", "a", "\u{1}")?, entry("three", "a", "3")?];
    let sent = queue.batch(entries).await?;
    let successful: Vec<_> = sent.successful().iter().map(|one| one.id()).collect();
    let failed: Vec<_> = sent.failed().iter().map(|one| (one.id(), one.code(), one.sender_fault())).collect();
    ensure!(successful == ["one", "three"]);
    ensure!(failed == [("two", "InvalidMessageContents", true)]);
    ensure!(sent.successful().first().map(|one| one.md5_of_message_body()) == Some("c4ca4238a0b923820dcc509a6f75849b"));
    let held = queue.receive(10).await?;
    ensure!(bodies(&held) == ["1", "3"]);

    let hide = |id: &str, handle: &str| {
        ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(id)
            .receipt_handle(handle)
            .visibility_timeout(900)
            .build()
    };
    let request = clients.sqs.change_message_visibility_batch().queue_url(&queue.url);
    let hidden = request.entries(hide("one", handle(first(&held)?)?)?).entries(hide("two", "nonsense")?).send().await?;
    ensure!(hidden.successful().iter().map(|one| one.id()).collect::<Vec<_>>() == ["one"]);
    ensure!(
        hidden.failed().iter().map(|one| (one.id(), one.code())).collect::<Vec<_>>()
            == [("two", "ReceiptHandleIsInvalid")]
    );

    let delete =
        |id: &str, handle: &str| DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build();
    let request = clients.sqs.delete_message_batch().queue_url(&queue.url);
    let deleted =
        request.entries(delete("one", handle(first(&held)?)?)?).entries(delete("two", "nonsense")?).send().await?;
    ensure!(deleted.successful().iter().map(|one| one.id()).collect::<Vec<_>>() == ["one"]);
    ensure!(
        deleted.failed().iter().map(|one| (one.id(), one.code())).collect::<Vec<_>>()
            == [("two", "ReceiptHandleIsInvalid")]
    );
    ensure!(queue.attribute(QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await? == "1");
    Ok(())
}

/// As recorded from the real service.
pub(crate) async fn check_a_batch_without_a_group_is_refused_whole(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "groupless", &[]).await?;
    let groupless =
        SendMessageBatchRequestEntry::builder().id("two").message_body("2").message_deduplication_id("2").build()?;
    ensure!(refusal(queue.batch(vec![entry("one", "a", "1")?, groupless]).await)? == "InvalidParameterValue");
    ensure!(queue.receive_bodies(10).await?.is_empty());
    Ok(())
}

pub(crate) async fn check_malformed_batches_are_refused_whole(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "malformed", &[]).await?;
    let many = (0..11).map(|number| entry(&number.to_string(), "a", "x")).collect::<Result<Vec<_>>>()?;
    let large = "x".repeat(600_000);
    for (entries, code) in [
        (vec![], "AWS.SimpleQueueService.EmptyBatchRequest"),
        (many, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"),
        (vec![entry("1", "a", "x")?, entry("1", "a", "y")?], "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"),
        (vec![entry("one:two", "a", "x")?], "AWS.SimpleQueueService.InvalidBatchEntryId"),
        (vec![entry("1", "a", &large)?, entry("2", "a", &large)?], "AWS.SimpleQueueService.BatchRequestTooLong"),
    ] {
        let found = refusal(queue.batch(entries).await).context(code)?;
        ensure!(found == code);
    }
    ensure!(queue.receive_bodies(10).await?.is_empty());
    Ok(())
}

pub(crate) async fn check_a_long_poll_sees_what_is_sent_meanwhile(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "poll", &[]).await?;
    let started = Instant::now();
    let wait = clients.sqs.receive_message().queue_url(&queue.url).wait_time_seconds(20).send();
    let (received, sent) = tokio::join!(wait, queue.send("a", "1"));
    sent?;
    ensure!(bodies(received?.messages()) == ["1"]);
    ensure!(started.elapsed() < Duration::from_secs(15), "it waited to the end");
    Ok(())
}

pub(crate) async fn check_a_long_poll_sees_what_comes_back_meanwhile(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "poll-back", &[]).await?;
    queue.send("a", "1").await?;
    let held = queue.receive(1).await?;
    let wait = clients.sqs.receive_message().queue_url(&queue.url).wait_time_seconds(20).send();
    let (received, hidden) = tokio::join!(wait, queue.hide(first(&held)?, 0));
    hidden?;
    ensure!(bodies(received?.messages()) == ["1"]);
    Ok(())
}

pub(crate) async fn check_a_long_poll_ends(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "poll-end", &[]).await?;
    let started = Instant::now();
    let received = clients.sqs.receive_message().queue_url(&queue.url).wait_time_seconds(1).send().await?;
    ensure!(received.messages().is_empty());
    let waited = started.elapsed();
    ensure!(waited >= Duration::from_millis(900) && waited < Duration::from_secs(10), "{waited:?}");
    Ok(())
}

pub(crate) async fn check_a_queue_is_described(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "described", &[]).await?;
    queue.send("a", "1").await?;
    queue.send("b", "2").await?;
    queue.receive(1).await?;
    for (name, expected) in [
        (QueueAttributeName::ApproximateNumberOfMessages, "1"),
        (QueueAttributeName::ApproximateNumberOfMessagesNotVisible, "1"),
        (QueueAttributeName::ApproximateNumberOfMessagesDelayed, "0"),
        (QueueAttributeName::FifoQueue, "true"),
        (QueueAttributeName::ContentBasedDeduplication, "false"),
        (QueueAttributeName::VisibilityTimeout, "600"),
        (QueueAttributeName::MaximumMessageSize, "1048576"),
        (QueueAttributeName::QueueArn, "arn:aws:sqs:us-east-1:000000000000:described.fifo"),
    ] {
        let found = queue.attribute(name.clone()).await?;
        ensure!(found == expected, "{name}: {found}");
    }
    Ok(())
}

pub(crate) async fn check_a_queue_is_found_by_name(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "named", &[]).await?;
    let found = clients.sqs.get_queue_url().queue_name("named.fifo").send().await?;
    ensure!(found.queue_url() == Some(queue.url.as_str()));
    let missing = "AWS.SimpleQueueService.NonExistentQueue";
    ensure!(refusal(clients.sqs.get_queue_url().queue_name("missing.fifo").send().await)? == missing);
    let elsewhere = queue.url.replace("named", "missing");
    ensure!(refusal(clients.sqs.receive_message().queue_url(&elsewhere).send().await)? == missing);
    let send = clients.sqs.send_message().queue_url(&elsewhere).message_group_id("a").message_deduplication_id("1");
    ensure!(refusal(send.message_body("1").send().await)? == missing);
    Ok(())
}

pub(crate) async fn check_a_queue_is_created_once(clients: &Clients) -> Result<()> {
    let queue = Queue::create(clients, "created", &[]).await?;
    queue.send("a", "1").await?;
    let again = Queue::create(clients, "created", &[]).await?;
    ensure!(again.url == queue.url);
    ensure!(again.receive_bodies(1).await? == ["1"]);
    let other = clients.sqs.create_queue().queue_name("created.fifo").attributes(QueueAttributeName::FifoQueue, "true");
    let other = other.attributes(QueueAttributeName::VisibilityTimeout, "601");
    ensure!(refusal(other.send().await)? == "QueueAlreadyExists");
    let invalid =
        clients.sqs.create_queue().queue_name("invalid.fifo").attributes(QueueAttributeName::FifoQueue, "true");
    let invalid = invalid.attributes(QueueAttributeName::VisibilityTimeout, "43201");
    ensure!(refusal(invalid.send().await)? == "InvalidAttributeValue");
    Ok(())
}

pub(crate) async fn check_dead_letters_need_a_queue(clients: &Clients) -> Result<()> {
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:nowhere.fifo","maxReceiveCount":"1"}"#;
    let request =
        clients.sqs.create_queue().queue_name("dangling.fifo").attributes(QueueAttributeName::FifoQueue, "true");
    let result = request.attributes(QueueAttributeName::RedrivePolicy, policy).send().await;
    ensure!(refusal(result)? == "InvalidParameterValue");
    Ok(())
}
