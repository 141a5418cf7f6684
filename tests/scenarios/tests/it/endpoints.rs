//! A stack whose PagerDuty and Teams are somewhere else, as `--pagerduty URL` and `--teams URL` make it.

use jiff::SignedDuration;
use local::{LocalConfig, Side};
use runtime::Clock;

use crate::world::{self, World};

#[tokio::test]
async fn another_pagerduty_and_another_teams_take_the_simulators_place() {
    let elsewhere = World::new().await;
    let clock = Clock::manual(world::START);
    let config = LocalConfig {
        pagerduty: Side::At(elsewhere.pagerduty().base().parse().unwrap()),
        teams: Side::At(elsewhere.teams().base().parse().unwrap()),
        ..LocalConfig::for_tests(clock.clone())
    };
    let stack = local::compose(config).await.unwrap();
    assert!(stack.pagerduty.is_none() && stack.teams.is_none() && stack.demo.is_none());

    // Teams elsewhere talks to this bot, and PagerDuty elsewhere delivers to this address.
    elsewhere.teams().set_bot_endpoint(stack.base().join("/api/messages").unwrap());
    let team = elsewhere.teams().add_team("Elsewhere");
    let channel = elsewhere.teams().add_channel(&team, "incidents");
    elsewhere.teams().install(&team).await.unwrap();
    let service = elsewhere.pagerduty().add_service("Billing");
    local::authorize(&stack.app, &elsewhere.pagerduty().base(), &team).await.unwrap();
    local::connect(&stack.app, &team, &channel, &service, "Billing").await.unwrap();
    elsewhere.pagerduty().trigger(&service, "Invoices late", "low");
    elsewhere.deliver_webhooks().await;
    stack.settle().await.unwrap();
    stack.advance(SignedDuration::from_secs(5)).await.unwrap();

    let messages = elsewhere.teams().messages(&channel);
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].summary.as_deref(), Some("#1 Invoices late (triggered, low) on Billing"));
    elsewhere.finish();
}
