//! `pending_actions`: what will happen if nobody does anything.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn what_is_pending_follows_from_policy_and_service() {
    let world = World::new().await;
    let pagerduty = &world.pagerduty;
    let (ada, ben) = (&world.ada, &world.ben);
    let (high, low) =
        (|| pagerduty.trigger(&world.service, "x", "high"), || pagerduty.trigger(&world.service, "x", "low"));
    let incident = high();
    let pending = |incident: &str| world.incident(incident)["pending_actions"].clone();
    let at = |kind: &str, at: &str| json!({ "type": kind, "at": at });
    assert_eq!(pending(&low()), json!([]), "low urgency escalates nowhere");
    let by_hand = high();
    pagerduty.reassign(&by_hand, ada, ben);
    assert_eq!(pending(&by_hand), json!([]), "nobody is behind who was named");

    assert_eq!(pending(&incident), json!([at("escalate", "2026-11-23T09:30:00Z")]));
    world.advance(SignedDuration::from_mins(31));
    assert_eq!(pending(&incident), json!([]), "what is over is not pending");
    pagerduty.escalate(&incident, ben);
    assert_eq!(pending(&incident), json!([]), "there is no third level");
    pagerduty.set_timeouts(&world.service, Some(SignedDuration::from_mins(10)), Some(SignedDuration::from_hours(4)));
    let service = world.get(&format!("/services/{}", world.service)).await;
    assert_eq!(service.at("/service/acknowledgement_timeout"), &json!(600));
    assert_eq!(service.at("/service/auto_resolve_timeout"), &json!(14400));
    pagerduty.acknowledge(&incident, ben);
    let expected = json!([at("unacknowledge", "2026-11-23T09:41:00Z"), at("resolve", "2026-11-23T13:00:00Z")]);
    assert_eq!(pending(&incident), expected);
    pagerduty.resolve(&incident, ben);
    assert_eq!(pending(&incident), json!([]));
    world.finish();
}

#[tokio::test]
async fn a_test_can_say_what_is_pending() {
    let world = World::new().await;
    let incident = world.pagerduty.trigger(&world.service, "x", "low");
    let path = format!("/incidents/{incident}");
    let set = json!([{ "type": "urgency_change", "at": "2026-11-23T09:05:00Z", "to": "high" }]);
    for (actions, expected) in [(Some(set.clone()), set), (Some(json!([])), json!([])), (None, json!([]))] {
        world.pagerduty.set_pending_actions(&incident, actions);
        assert_eq!(world.get(&path).await.at("/incident/pending_actions"), &expected);
    }
    world.pagerduty.set_pending_actions("QX", Some(Value::Null));
    world.pagerduty.set_timeouts("PX", None, None);
    world.finish_with(&["set_pending_actions: there is no QX", "set_timeouts: there is no PX"]);
}
