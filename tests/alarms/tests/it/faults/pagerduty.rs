//! PagerDuty's faults, and those of what we have there.

use std::time::Duration;

use simulators::pagerduty::Fault;
use tokio::time::sleep;

use super::{SOON, Trial, USUAL};
use crate::stack::Stack;

/// More than any test asks for.
const ALWAYS: usize = 1_000_000;

fn is_back(stack: &Stack) {
    stack.inside().pagerduty.clear_faults();
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_disabled() {
    let trial = Box::pin(Trial::new()).await;
    let pagerduty = &trial.stack.inside().pagerduty;
    let effect = trial.stack.now();
    for subscription in pagerduty.subscriptions_of(&trial.place.service) {
        pagerduty.disable(&subscription);
    }
    // The reconciler ends it.
    trial.rings("SubscriptionDisabledAlarm", effect, USUAL, async |_| {}).await;
}

#[tokio::test(start_paused = true)]
async fn webhooks_have_a_wrong_signature() {
    let trial = Box::pin(Trial::new()).await;
    let pagerduty = &trial.stack.inside().pagerduty;
    let [subscription] = &pagerduty.subscriptions_of(&trial.place.service)[..] else { panic!("one subscription") };
    let (subscription, secret) = (subscription.clone(), pagerduty.secret_of(subscription).unwrap());
    let effect = trial.stack.now();
    pagerduty.sign_only_with(&subscription, "not the secret");
    trial
        .rings("BadSignaturesAlarm", effect, USUAL, async |stack| {
            stack.inside().pagerduty.sign_only_with(&subscription, &secret);
        })
        .await;
}

/// Two faults that have nothing to do with each other: each has its alarm in time.
#[tokio::test(start_paused = true)]
async fn lists_are_refused_while_webhooks_have_a_wrong_signature_or_come_from_elsewhere() {
    for of_webhooks in ["BadSignaturesAlarm", "WebhooksFromElsewhereAlarm"] {
        let trial = Box::pin(Trial::new()).await;
        let pagerduty = &trial.stack.inside().pagerduty;
        if of_webhooks == "BadSignaturesAlarm" {
            for subscription in pagerduty.subscriptions_of(&trial.place.service) {
                pagerduty.sign_only_with(&subscription, "not the secret");
            }
        } else {
            trial.stack.wrong(|wrong| wrong.webhooks_from = Some([198, 51, 100, 1]));
        }
        pagerduty.fail_next_at("GET /incidents", ALWAYS, &Fault::Status(403));
        let effect = trial.next_run();
        sleep(USUAL).await;
        let mut rung = trial.stack.rung();
        rung.sort_by(|(_, one), (_, other)| one.cmp(other));
        let names: Vec<&str> = rung.iter().map(|(_, name)| name.as_str()).collect();
        let mut expected = [of_webhooks, "NotHealingAlarm"];
        expected.sort_unstable();
        assert_eq!(names, expected);
        for (at, name) in rung {
            assert!(
                at.duration_since(effect) <= SOON,
                "{name} rings {:#} after the first effect",
                at.duration_since(effect)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn webhooks_come_from_elsewhere() {
    let trial = Box::pin(Trial::new()).await;
    let effect = trial.stack.now();
    trial.stack.wrong(|wrong| wrong.webhooks_from = Some([198, 51, 100, 1]));
    trial
        .rings("WebhooksFromElsewhereAlarm", effect, USUAL, async |stack| {
            stack.wrong(|wrong| wrong.webhooks_from = None);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_signed_webhook_is_no_event() {
    let trial = Box::pin(Trial::new()).await;
    let effect = trial.stack.now();
    let incident = trial.stack.inside().pagerduty.trigger(&trial.place.service, "Odd", "high");
    trial.stack.inside().pagerduty.emit_with("incident.annotated", &incident, None, serde_json::json!([1]));
    trial.rings("UnreadableWebhooksAlarm", effect, USUAL, async |_| {}).await;
}

#[tokio::test(start_paused = true)]
async fn the_rest_api_is_down() {
    let trial = Box::pin(Trial::new()).await;
    trial.stack.inside().pagerduty.fail_next(ALWAYS, &Fault::Status(503));
    let effect = trial.next_run();
    trial.rings("NotHealingAlarm", effect, USUAL, async |stack| is_back(stack)).await;
}

#[tokio::test(start_paused = true)]
async fn the_rest_api_never_answers() {
    let trial = Box::pin(Trial::new()).await;
    trial.stack.inside().pagerduty.fail_next(ALWAYS, &Fault::Hang);
    let effect = trial.next_run();
    trial.rings("NotHealingAlarm", effect, USUAL, async |stack| is_back(stack)).await;
}

#[tokio::test(start_paused = true)]
async fn lists_of_incidents_are_refused() {
    let trial = Box::pin(Trial::new()).await;
    trial.stack.inside().pagerduty.fail_next_at("GET /incidents", ALWAYS, &Fault::Status(403));
    let effect = trial.next_run();
    trial.rings("NotHealingAlarm", effect, USUAL, async |stack| is_back(stack)).await;
}

#[tokio::test(start_paused = true)]
async fn the_apps_client_secret_is_revoked() {
    let trial = Box::pin(Trial::new()).await;
    let pagerduty = &trial.stack.inside().pagerduty;
    pagerduty.expire_app_tokens();
    pagerduty.fail_next_token(ALWAYS, &Fault::Status(401));
    let effect = trial.next_run();
    trial.rings("AppTokenAlarm", effect, USUAL, async |stack| is_back(stack)).await;
}

#[tokio::test(start_paused = true)]
async fn several_peoples_tokens_cannot_be_renewed() {
    let trial = Box::pin(Trial::new()).await;
    let people = ["Ada", "Ben", "Chloe"].map(|name| trial.stack.add_person(name, "user"));
    for person in &people {
        trial.stack.inside().teams.add_member(&trial.stack.team, &person.teams).await.unwrap();
        trial.stack.link(person).await;
    }
    trial.stack.inside().pagerduty.trigger(&trial.place.service, "Stays open", "high");
    sleep(Duration::from_secs(10)).await;
    let card = trial.stack.card_of(&trial.place.channel, "Stays open").unwrap();
    for person in &people {
        trial.stack.inside().pagerduty.expire_access_tokens(&person.pagerduty);
    }
    trial.stack.inside().pagerduty.fail_next_token(people.len(), &Fault::Status(400));
    for person in &people {
        trial.stack.click(person, &card, "acknowledge").await;
    }
    let effect = trial.stack.now();
    trial.rings("TokenRefreshAlarm", effect, USUAL, async |stack| is_back(stack)).await;
}
