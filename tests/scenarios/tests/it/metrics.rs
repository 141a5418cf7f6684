//! What the alarms of the template look at is really emitted, by the function that they look for.

use jiff::SignedDuration;
use runtime::Metric;
use serde_json::json;

use crate::platform::Platform;
use crate::signed::Signed;
use crate::world::{Fault, World};

#[tokio::test]
async fn webhooks_that_are_wrong_are_counted_by_what_is_wrong_with_them() {
    let world = World::new().await;
    let ours = world.subscription("Payments");
    let body = json!({ "event": { "id": "E1", "event_type": "incident.triggered" } }).to_string();
    assert_eq!(world.post_webhook(body.as_bytes(), Signed::by(&ours)).await, 202);
    assert_eq!(world.counted(Metric::UnreadableWebhooks), 1.0);
    let mut wrong = world.subscription("Payments");
    wrong.secret = "another secret".to_owned();
    assert_eq!(world.post_webhook(body.as_bytes(), Signed::by(&wrong)).await, 503);
    assert_eq!((world.counted(Metric::BadSignatures), world.counted(Metric::WebhooksFailed)), (1.0, 1.0));
    assert_eq!(world.post_webhook(b"", Signed::by(&ours).without_subscription()).await, 400);
    assert_eq!(world.counted(Metric::WebhooksRefused), 1.0);
    world.stack.aws.refuse_dynamodb(true);
    world.tick(SignedDuration::from_mins(2));
    assert_eq!(world.post_webhook(body.as_bytes(), Signed::by(&ours)).await, 503);
    assert_eq!((world.counted(Metric::WebhooksFailed), world.counted(Metric::WebhooksReceived)), (2.0, 4.0));
    world.finish();
}

#[tokio::test]
async fn a_lost_channel_and_a_post_that_may_be_double_are_counted() {
    let world = World::new().await;
    world.fail_posts("Payments", 1, &Fault::DropAnswerAfterApplying);
    world.trigger("Payments", "DB down").await;
    world.settle_all().await;
    assert_eq!((world.counted(Metric::DoubtfulPosts), world.counted(Metric::DeliveriesRetried)), (1.0, 1.0));
    world.delete_channel("Payments");
    world.trigger("Payments", "Disk full").await;
    world.settle_all().await;
    assert_eq!(world.counted(Metric::ChannelsLost), 1.0);
    world.teams().take_complaints();
    world.finish();
}

#[tokio::test]
async fn tokens_that_cannot_be_had_are_counted() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    let service = world.pagerduty().add_service("Checkout");
    world.link("Ada Wong").await;
    // The bot asks for the app's own token for the first time, and there is none.
    world.pagerduty().fail_next_token(20, &simulators::pagerduty::Fault::Status(401));
    platform.say("Ada Wong", &format!("connect {}", platform.service_url(&service))).await;
    assert!(world.counted(Metric::AppTokenFailures) >= 1.0, "{}", platform.last_reply().text());
    world.pagerduty().clear_faults();

    let before = world.counted(Metric::AppTokenFailures);
    world.teams().fail_next_token(1, &Fault::status(401, "invalid_client"));
    world.trigger("Payments", "DB down").await;
    world.settle_all().await;
    assert_eq!(world.counted(Metric::AppTokenFailures), before + 1.0, "Entra's token for the bot");

    let card = world.only_card("Payments");
    world.click("Ada Wong", &card, "Acknowledge").await;
    assert_eq!(world.counted(Metric::ActionsTaken), 1.0);
    world.settle_all().await;
    let card = world.only_card("Payments");
    world.tick(SignedDuration::from_hours(24 * 60));
    world.pagerduty().fail_next_token(20, &simulators::pagerduty::Fault::Status(400));
    world.click("Ada Wong", &card, "Resolve").await;
    assert!(world.counted(Metric::TokenRefreshFailures) >= 1.0, "the person's token");
    world.pagerduty().clear_faults();
    world.finish();
}
