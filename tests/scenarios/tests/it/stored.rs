//! Items of the table that cannot be read, and items that may be forgotten.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::SignedDuration;
use runtime::{AwsClients, Metric};
use simulators::pagerduty::Fault as PagerDutyFault;

use crate::world::World;

#[tokio::test]
async fn an_unreadable_record_is_rebuilt_and_the_card_is_true_again() {
    let world = World::new().await;
    let ada = world.pagerduty_user("Ada Wong");
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.pagerduty().acknowledge(&incident, &ada);
    assert!(!world.take_undelivered().is_empty());
    world.spoil(&incident, "RECORD").await;

    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().add_note(&incident, &ada, "looking at it");
    world.settle().await;
    let card = world.only_card("Payments");
    assert!(card.shows("looking at it") && card.shows("DB down"), "{}", card.text());
    assert!(card.shows_status("acknowledged"), "the webhook tells of a note only: {}", card.text());

    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().resolve(&incident, &ada);
    world.settle().await;
    assert!(world.only_card("Payments").shows_status("resolved"));
    world.finish();
}

#[tokio::test]
async fn an_unreadable_record_is_rebuilt_from_the_webhook_alone_while_pagerduty_does_not_answer() {
    let world = World::new().await;
    let ada = world.pagerduty_user("Ada Wong");
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.spoil(&incident, "RECORD").await;
    world.pagerduty().fail_next_at("GET /incidents/{id}", 9, &PagerDutyFault::Status(500));
    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().acknowledge(&incident, &ada);
    world.settle().await;
    assert_eq!(world.webhook_answers("Payments").last(), Some(&202));
    assert!(world.only_card("Payments").shows_status("acknowledged"));
    world.pagerduty().clear_faults();
    world.finish();
}

#[tokio::test]
async fn the_reconciler_rebuilds_a_record_that_nobody_tells_anything_of() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.pagerduty().acknowledge(&incident, &world.pagerduty_user("Ada Wong"));
    assert!(!world.take_undelivered().is_empty());
    world.spoil(&incident, "RECORD").await;
    world.advance(SignedDuration::from_mins(5)).await;
    world.reconcile().await;
    assert!(world.only_card("Payments").shows_status("acknowledged"));
    world.finish();
}

#[tokio::test]
async fn a_button_works_although_the_record_cannot_be_read() {
    let world = World::new().await;
    world.link("Ada Wong").await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.spoil(&incident, "RECORD").await;
    let answer = world.click("Ada Wong", &world.only_card("Payments"), "Resolve").await;
    assert!(answer.card_text().contains("Resolved"), "{}", answer.card_text());
    assert_eq!(world.status_in_pagerduty(&incident), "resolved");
    world.settle().await;
    assert!(world.only_card("Payments").shows_status("resolved"));
    world.finish();
}

#[tokio::test]
async fn a_card_that_cannot_be_read_is_posted_again_and_never_in_silence() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    let sk = format!("CARD#{}", world.card_key("Payments", &incident).channel);
    world.spoil(&incident, &sk).await;
    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().acknowledge(&incident, &world.pagerduty_user("Ada Wong"));
    world.settle().await;
    let cards = world.cards("Payments");
    assert_eq!(cards.len(), 2, "which message the first one is, is lost");
    assert!(cards[1].shows_status("acknowledged"));
    assert_eq!(world.card_record("Payments", &incident).await.possible_doubles, 1);
    assert_eq!(world.counted(Metric::DoubtfulPosts), 1.0);

    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().resolve(&incident, &world.pagerduty_user("Ada Wong"));
    world.settle().await;
    assert_eq!(world.cards("Payments").len(), 2);
    assert!(world.cards("Payments")[1].shows_status("resolved"));
    world.finish();
}

#[tokio::test]
async fn what_is_resolved_may_be_forgotten_after_the_retention_time_unless_it_is_reopened() {
    let world = World::with("PAGERBRIDGE_RETENTION_DAYS", "30").await;
    let ada = world.pagerduty_user("Ada Wong");
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    let card = format!("CARD#{}", world.card_key("Payments", &incident).channel);
    let forgotten = async || (world.expiry(&incident, "RECORD").await, world.expiry(&incident, &card).await);
    assert_eq!(forgotten().await, (None, None));
    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().resolve(&incident, &ada);
    world.settle().await;
    let then = world.stack.app.clock.now() + SignedDuration::from_hours(30 * 24);
    assert_eq!(forgotten().await, (Some(then.as_second()), Some(then.as_second())));

    // DynamoDB deletes late: what is still there is still true.
    world.tick(SignedDuration::from_hours(31 * 24));
    world.pagerduty().reopen(&incident, &ada);
    world.settle().await;
    assert_eq!(forgotten().await, (None, None));
    assert!(world.only_card("Payments").shows_status("triggered"));
    world.finish();
}

#[tokio::test]
async fn a_connection_that_cannot_be_read_keeps_its_cards_true_and_its_subscription() {
    let world = World::new().await;
    let ada = world.pagerduty_user("Ada Wong");
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    let subscription = world.subscription("Payments").id;
    let connection = format!("SERVICE#{}#{}", local::ACCOUNT, world.service("Payments"));
    world.spoil_item(&connection, &format!("CONNECTION#{}", world.card_key("Payments", &incident).channel)).await;
    world.advance(SignedDuration::from_mins(5)).await;
    world.reconcile().await;
    assert_eq!(world.pagerduty().subscriptions_of(&world.service("Payments")), [subscription]);
    world.pagerduty().resolve(&incident, &ada);
    world.settle().await;
    assert!(world.only_card("Payments").shows_status("resolved"));
    world.finish();
}

#[tokio::test]
async fn an_installation_that_cannot_be_read_loses_nothing_and_stops_no_other_team() {
    let world = World::new().await;
    let subscriptions = world.pagerduty().subscriptions_of(&world.service("Payments"));
    let connections = async || {
        let (account, service) = (crate::world::account(), world.service("Payments").parse().unwrap());
        world.stack.app.store.connections_of_service(&account, &service).await.unwrap()
    };
    let before = connections().await;
    world.spoil_item(&format!("TEAM#{}", before[0].team), "INSTALLATION").await;
    world.advance(SignedDuration::from_mins(5)).await;
    world.reconcile().await;
    assert_eq!(connections().await, before);
    assert_eq!(world.pagerduty().subscriptions_of(&world.service("Payments")), subscriptions);
    world.finish();
}

impl World {
    /// Something has overwritten an incident's item: only its version is left.
    pub(crate) async fn spoil(&self, incident: &str, sk: &str) {
        self.spoil_item(&format!("INCIDENT#{}#{incident}", local::ACCOUNT), sk).await;
    }

    async fn spoil_item(&self, pk: &str, sk: &str) {
        let app = &self.stack.app;
        let mut item = self.item_at(pk, sk).await;
        item.retain(|name, _| ["pk", "sk", "version"].contains(&name.as_str()));
        item.insert("data".to_owned(), AttributeValue::S("what is this".to_owned()));
        let dynamodb = AwsClients::new(&app.config.aws).dynamodb;
        dynamodb.put_item().table_name(&app.config.table).set_item(Some(item)).send().await.unwrap();
    }

    async fn item(&self, incident: &str, sk: &str) -> HashMap<String, AttributeValue> {
        self.item_at(&format!("INCIDENT#{}#{incident}", local::ACCOUNT), sk).await
    }

    async fn item_at(&self, pk: &str, sk: &str) -> HashMap<String, AttributeValue> {
        let app = &self.stack.app;
        let dynamodb = AwsClients::new(&app.config.aws).dynamodb;
        let get = dynamodb.get_item().table_name(&app.config.table);
        let get = get.key("pk", AttributeValue::S(pk.to_owned())).key("sk", AttributeValue::S(sk.to_owned()));
        get.send().await.unwrap().item.unwrap()
    }

    /// When an item may be deleted.
    async fn expiry(&self, incident: &str, sk: &str) -> Option<i64> {
        Some(self.item(incident, sk).await.get("expires_at")?.as_n().unwrap().parse().unwrap())
    }
}
