//! Stopping and going on.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, activities, card, text_activity};

#[tokio::test]
async fn a_restored_simulator_goes_on_where_the_old_one_was() {
    let (old, team, channel, ada) = World::with_team().await;
    let button = json!({ "type": "AdaptiveCard", "version": "1.5",
        "actions": [{ "type": "Action.Execute", "title": "Acknowledge", "verb": "ack" }] });
    let root = old.post_card(&channel, &button).await;
    old.teams.say_privately(&ada, "hello").await.unwrap();
    let kept: Value = serde_json::from_str(&old.teams.snapshot().to_string()).unwrap();

    let new = World::new().await;
    new.teams.restore(kept.clone()).unwrap();
    assert_eq!(new.teams.snapshot(), kept);
    assert_eq!(new.teams.messages(&channel), old.teams.messages(&channel));
    assert_eq!(new.teams.personal_chat(&ada), old.teams.personal_chat(&ada));
    assert_eq!(new.teams.team_named("SRE"), Some(team));
    let answer = json!({ "statusCode": 200, "type": "application/vnd.microsoft.card.adaptive", "value": card("done") });
    new.bot.will_answer(200, &answer);
    new.teams.click(&ada, &root, "Acknowledge", Value::Null).await.unwrap();
    assert_eq!(new.teams.card_for(&ada, &root).unwrap(), card("done"));
    let id = new.call(Method::POST, &activities(&channel), text_activity("x")).await.text("/id");
    assert!(old.teams.message(&id).is_none(), "ids are not given twice");
    let service_url = new.bot.last().activity["serviceUrl"].clone();
    assert_eq!(service_url, json!(format!("{}connector/amer/", new.base)), "addresses are the new ones");
    new.finish();
    old.finish();
}

#[tokio::test]
async fn what_is_no_snapshot_changes_nothing() {
    let (world, _, _, _) = World::with_team().await;
    let before = world.teams.snapshot();
    assert!(world.teams.restore(json!({ "users": 3 })).is_err());
    assert_eq!(world.teams.snapshot(), before);
    world.finish();
}
