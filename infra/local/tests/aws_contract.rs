//! One contract for two stand-ins: the checks run, with the real SDKs, against our endpoint and against ministack, which
//! others maintain. So ours cannot drift into a private idea of AWS.
//!
//! Where ministack is known to differ from the service, [`MINISTACK_GAPS`] says why we side with the service; the day it is
//! mended, the suite asks to delete the line.

#![expect(clippy::unwrap_used, reason = "a test's helpers may fail the test")]

#[path = "support/dynamodb_checks.rs"]
mod dynamodb_checks;
#[path = "support/ministack.rs"]
mod ministack;
#[path = "support/secrets_checks.rs"]
mod secrets_checks;
#[path = "support/sqs_checks.rs"]
mod sqs_checks;
mod support;

use std::pin::Pin;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_sqs::types::QueueAttributeName;
use jiff::SignedDuration;
use local::aws::sqs::Depth;

use support::{Clients, TestClock};

type Check = fn(&Clients) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + '_>>;

macro_rules! checks {
    ($($module:ident: [$($name:ident),+ $(,)?]),+ $(,)?) => {
        &[$($((stringify!($name), |clients| Box::pin($module::$name(clients)))),+),+]
    };
}

const CHECKS: &[(&str, Check)] = checks! {
    sqs_checks: [
        check_a_message_arrives_whole,
        check_attributes_are_given_only_if_asked_for,
        check_order_in_a_group,
        check_a_group_in_flight_is_locked,
        check_a_message_comes_back_first,
        check_a_head_does_not_wait_for_those_behind_it,
        check_a_message_does_not_overtake_one_in_flight,
        check_a_stale_handle_deletes_nothing,
        check_a_handle_ends_with_the_visibility,
        check_deleting_twice_is_no_error,
        check_nonsense_is_no_handle,
        check_duplicates_are_taken_once,
        check_content_can_identify_a_message,
        check_a_group_can_be_the_scope_of_deduplication,
        check_poison_goes_to_the_dead_letters,
        check_the_dead_are_identified_by_their_id,
        check_the_dead_can_be_moved_back,
        check_a_receive_gives_at_most_ten,
        check_a_receive_gives_one_by_default,
        check_visibility_is_at_most_twelve_hours,
        check_a_message_cannot_be_delayed,
        check_a_message_needs_group_id_and_content,
        check_entries_of_a_batch_fail_on_their_own,
        check_a_batch_without_a_group_is_refused_whole,
        check_malformed_batches_are_refused_whole,
        check_a_long_poll_sees_what_is_sent_meanwhile,
        check_a_long_poll_sees_what_comes_back_meanwhile,
        check_a_long_poll_ends,
        check_a_queue_is_described,
        check_a_queue_is_found_by_name,
        check_a_queue_is_created_once,
        check_dead_letters_need_a_queue,
    ],
    secrets_checks: [
        check_a_secret_is_read_by_name_and_arn,
        check_bytes_can_be_secret,
        check_a_new_value_becomes_current,
        check_a_value_can_wait_under_its_own_label,
        check_a_token_makes_a_call_repeatable,
        check_a_secret_is_described,
        check_a_secret_is_created_once,
        check_what_is_not_there_is_not_found,
        check_a_secret_has_one_content,
    ],
    dynamodb_checks: [
        check_an_item_is_kept_whole,
        check_a_condition_protects_an_item,
        check_an_update_counts_and_answers,
        check_an_update_makes_keeps_appends_and_removes,
        check_the_first_elements_of_a_list_are_removed,
        check_a_query_reads_a_partition_in_order,
        check_an_index_holds_only_items_with_its_key,
        check_a_transaction_happens_whole_or_not_at_all,
        check_many_items_are_read_at_once,
        check_expiry_can_be_switched_on,
        check_a_table_is_created_once,
    ],
};

/// A check that a stand-in does not pass.
struct Gap {
    check: &'static str,
    /// Part of how the check fails, so that another failure is not taken for this one.
    shows: &'static str,
    /// Why the service is on our side.
    reason: &'static str,
}

/// Of ministack 1.5.33.
const MINISTACK_GAPS: &[Gap] = &[
    Gap {
        check: "check_a_head_does_not_wait_for_those_behind_it",
        shows: r#"([] vs ["1"])"#,
        reason: "it locks a group for all its messages; LocalStack's tests recorded from the service that a visible head is given",
    },
    Gap {
        check: "check_a_handle_ends_with_the_visibility",
        shows: "it was accepted",
        reason: "it deletes what is visible again; LocalStack's tests recorded the refusal, and many issues quote it",
    },
    Gap {
        check: "check_deleting_twice_is_no_error",
        shows: "ReceiptHandleIsInvalid",
        reason: "API reference of DeleteMessage: it fails only for a handle that is none; FIFO adds the expired one",
    },
    Gap {
        check: "check_the_dead_are_identified_by_their_id",
        shows: "MessageDeduplicationId",
        reason: "developer guide, dead-letter queue redrive: the message id replaces the de-duplication id",
    },
    Gap { check: "check_the_dead_can_be_moved_back", shows: "InvalidAction", reason: "it has no StartMessageMoveTask" },
    Gap {
        check: "check_visibility_is_at_most_twelve_hours",
        shows: "it was accepted",
        reason: "API reference of ChangeMessageVisibility: 0 to 43200",
    },
    Gap {
        check: "check_a_batch_without_a_group_is_refused_whole",
        shows: "it was accepted",
        reason: "it fails only the entry; LocalStack's tests recorded the refusal of the whole batch",
    },
    Gap {
        check: "check_dead_letters_need_a_queue",
        shows: "InvalidAttributeValue",
        reason: "it refuses with another code than the one that LocalStack's tests recorded for a bad dead-letter target",
    },
    Gap {
        check: "check_a_token_makes_a_call_repeatable",
        shows: "it was accepted",
        reason: "API reference of PutSecretValue: a version cannot be changed",
    },
    Gap {
        check: "check_a_secret_has_one_content",
        shows: "it was accepted",
        reason: "API reference of PutSecretValue: either SecretString or SecretBinary",
    },
];

/// Runs every check and reports all that went otherwise than expected, not only the first.
async fn run(clients: &Clients, gaps: &[Gap]) {
    let mut wrong = Vec::new();
    for (name, check) in CHECKS {
        let gap = gaps.iter().find(|gap| gap.check == *name);
        match (check(clients).await, gap) {
            (Ok(()), None) => {}
            (Err(error), Some(gap)) if format!("{error:?}").contains(gap.shows) => {}
            (Err(error), _) => wrong.push(format!("{name}: {error:?}")),
            (Ok(()), Some(gap)) => wrong.push(format!("{name} passes: delete its gap ({})", gap.reason)),
        }
    }
    let unknown = gaps.iter().filter(|gap| !CHECKS.iter().any(|(name, _)| *name == gap.check));
    wrong.extend(unknown.map(|gap| format!("{} is no check", gap.check)));
    assert!(wrong.is_empty(), "{} of {} checks:\n{}", wrong.len(), CHECKS.len(), wrong.join("\n"));
}

#[tokio::test]
async fn our_endpoint_keeps_the_contract() {
    let endpoint = TestClock::new().endpoint(None).await;
    run(&Clients::new(endpoint.url.as_str()), &[]).await;
}

#[tokio::test]
async fn ministack_keeps_the_same_contract() {
    let ministack = ministack::Ministack::start().unwrap_or_else(|error| panic!("{error:#}"));
    run(&Clients::new(&ministack.url), MINISTACK_GAPS).await;
}

const QUEUE: &str = "jobs.fifo";

async fn create_queue(clients: &Clients) -> String {
    let request = clients.sqs.create_queue().queue_name(QUEUE).attributes(QueueAttributeName::FifoQueue, "true");
    request.attributes(QueueAttributeName::VisibilityTimeout, "180").send().await.unwrap().queue_url.unwrap()
}

async fn send(clients: &Clients, url: &str, body: &str) {
    let request = clients.sqs.send_message().queue_url(url).message_group_id("a").message_deduplication_id(body);
    request.message_body(body).send().await.unwrap();
}

async fn receive(clients: &Clients, url: &str) -> Vec<String> {
    let received = clients.sqs.receive_message().queue_url(url).send().await.unwrap();
    received.messages().iter().map(|message| message.body().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn time_passes_only_when_the_clock_is_moved() {
    let clock = TestClock::new();
    let endpoint = clock.endpoint(None).await;
    let clients = Clients::new(endpoint.url.as_str());
    let url = create_queue(&clients).await;
    assert_eq!((endpoint.next_visible_at(), endpoint.depth(QUEUE)), (None, Some(Depth::default())));
    send(&clients, &url, "1").await;
    assert_eq!(endpoint.next_visible_at(), Some(clock.now()));
    assert_eq!(receive(&clients, &url).await, ["1"]);
    assert_eq!(endpoint.depth(QUEUE), Some(Depth { visible: 0, in_flight: 1 }));
    assert!(receive(&clients, &url).await.is_empty());
    let due = endpoint.next_visible_at().unwrap();
    assert_eq!(due.duration_since(clock.now()), SignedDuration::from_secs(180));
    clock.advance(SignedDuration::from_secs(180));
    assert_eq!(receive(&clients, &url).await, ["1"]);
    assert_eq!(endpoint.depth("missing.fifo"), None);
}

#[tokio::test]
async fn a_long_poll_is_woken_by_the_end_of_a_visibility() {
    let started = tokio::time::Instant::now();
    let real = std::sync::Arc::new(move || {
        let passed = SignedDuration::try_from(started.elapsed()).unwrap();
        jiff::Timestamp::UNIX_EPOCH.checked_add(passed).unwrap()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = local::aws::Endpoint::start(real, None, listener, None).await.unwrap();
    let clients = Clients::new(endpoint.url.as_str());
    let url = create_queue(&clients).await;
    send(&clients, &url, "1").await;
    let first = clients.sqs.receive_message().queue_url(&url).visibility_timeout(1).send().await.unwrap();
    assert_eq!(first.messages().len(), 1);
    let again = clients.sqs.receive_message().queue_url(&url).wait_time_seconds(20).send().await.unwrap();
    assert_eq!(again.messages().len(), 1);
    assert!(started.elapsed() < Duration::from_secs(15), "it waited to the end");
}

#[tokio::test]
async fn state_survives_a_restart_if_it_has_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("state");
    let clock = TestClock::new();
    let endpoint = clock.endpoint(Some(&data_dir)).await;
    let clients = Clients::new(endpoint.url.as_str());
    let url = create_queue(&clients).await;
    send(&clients, &url, "1").await;
    send(&clients, &url, "2").await;
    assert_eq!(receive(&clients, &url).await, ["1"]);
    clients.secrets.create_secret().name("secret").secret_string("hidden").send().await.unwrap();
    let attribute =
        AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S).build().unwrap();
    let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build().unwrap();
    let table = clients.dynamodb.create_table().table_name("table").billing_mode(BillingMode::PayPerRequest);
    table.attribute_definitions(attribute).key_schema(key).send().await.unwrap();
    let item = AttributeValue::S("A".to_owned());
    clients.dynamodb.put_item().table_name("table").item("pk", item.clone()).send().await.unwrap();
    drop((endpoint, clients));

    let endpoint = clock.endpoint(Some(&data_dir)).await;
    let clients = Clients::new(endpoint.url.as_str());
    assert_eq!(endpoint.depth(QUEUE), Some(Depth { visible: 1, in_flight: 1 }));
    assert!(receive(&clients, &url).await.is_empty(), "the group is still locked");
    clock.advance(SignedDuration::from_secs(180));
    assert_eq!(receive(&clients, &url).await, ["1"]);
    let secret = clients.secrets.get_secret_value().secret_id("secret").send().await.unwrap();
    assert_eq!(secret.secret_string(), Some("hidden"));
    let found = clients.dynamodb.get_item().table_name("table").key("pk", item).send().await.unwrap();
    assert!(found.item().is_some());
}

#[cfg(unix)]
#[tokio::test]
async fn files_with_secrets_are_private() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let endpoint = TestClock::new().endpoint(Some(folder.path())).await;
    let clients = Clients::new(endpoint.url.as_str());
    clients.secrets.create_secret().name("secret").secret_string("hidden").send().await.unwrap();
    let mode = std::fs::metadata(folder.path().join("secrets.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_damaged_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("queues.json"), "{").unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let now = std::sync::Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
    let error = local::aws::Endpoint::start(now, Some(folder.path()), listener, None).await.unwrap_err();
    assert!(error.to_string().contains("queues.json"), "{error:#}");
}

#[tokio::test]
async fn what_is_not_offered_is_refused_by_name() {
    let endpoint = TestClock::new().endpoint(None).await;
    let clients = Clients::new(endpoint.url.as_str());
    let url = create_queue(&clients).await;
    let purge = sqs_checks::refusal(clients.sqs.purge_queue().queue_url(&url).send().await).unwrap();
    assert_eq!(purge, "AWS.SimpleQueueService.UnsupportedOperation");
    let list = sqs_checks::refusal(clients.secrets.list_secrets().send().await).unwrap();
    assert_eq!(list, "InvalidRequestException");
    let attempt = clients.sqs.receive_message().queue_url(&url).receive_request_attempt_id("1");
    assert_eq!(
        sqs_checks::refusal(attempt.send().await).unwrap(),
        "SerializationException",
        "a member that is not modelled"
    );
    let standard = sqs_checks::refusal(clients.sqs.create_queue().queue_name("standard").send().await).unwrap();
    assert_eq!(standard, "InvalidParameterValue");
    let elsewhere = sqs_checks::refusal(clients.dynamodb.list_backups().send().await).unwrap();
    assert_eq!(elsewhere, "UnknownOperationException");
}

#[tokio::test]
async fn the_same_services_can_be_served_elsewhere_too() {
    let endpoint = TestClock::new().endpoint(None).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = Clients::new(&format!("http://{}", listener.local_addr().unwrap()));
    let router = endpoint.router();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let url = create_queue(&elsewhere).await;
    send(&elsewhere, &url, "1").await;
    assert_eq!(receive(&Clients::new(endpoint.url.as_str()), &url).await, ["1"]);
}

#[tokio::test]
async fn the_endpoint_ends_with_its_last_clone() {
    let endpoint = TestClock::new().endpoint(None).await;
    let clone = endpoint.clone();
    let url = endpoint.url.clone();
    drop(endpoint);
    assert!(
        Clients::new(url.as_str())
            .secrets
            .list_secrets()
            .send()
            .await
            .unwrap_err()
            .into_service_error()
            .meta()
            .code()
            .is_some()
    );
    drop(clone);
    // An aborted task ends when the runtime gets to it.
    tokio::task::yield_now().await;
    let unreachable = Clients::new(url.as_str()).secrets.list_secrets().send().await.unwrap_err();
    assert!(matches!(unreachable, aws_sdk_secretsmanager::error::SdkError::DispatchFailure(_)), "{unreachable:?}");
}
