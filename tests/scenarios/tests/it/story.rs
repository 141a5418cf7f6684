//! The card tells the story: what the alert says, what somebody wrote, how it went; on every client, and whatever PagerDuty does.

use jiff::SignedDuration;
use serde_json::{Value, json};
use simulators::pagerduty::{Fault, NewAlert};
use simulators::teams::Task;

use crate::world::{Card, World};

const ADA: &str = "Ada Wong";
const ALERTS: &str = "GET /incidents/{id}/alerts";

/// An alert as monitoring tools send it.
fn event(world: &World) -> Value {
    let key = world.pagerduty().routing_key(&world.service("Payments")).unwrap();
    json!({
        "routing_key": key,
        "event_action": "trigger",
        "dedup_key": "lag",
        "payload": {
            "summary": "Replication lag above 30 s",
            "source": "db-7.eu-west.example",
            "severity": "critical",
            "custom_details": { "lag": { "seconds": 43 }, "cluster": "payments", "tags": ["db", "eu"] },
        },
        "links": [{ "href": "https://wiki.example/lag", "text": "Runbook" }],
        "images": [{ "src": "https://graphs.example/lag.png", "alt": "Lag" }],
    })
}

async fn enqueued(event: impl FnOnce(&World) -> Value) -> World {
    let world = World::new().await;
    let (status, answer) = world.pagerduty().enqueue(&event(&world));
    assert_eq!(status, 202, "{answer}");
    world.settle().await;
    world
}

fn newest(world: &World) -> String {
    let incidents = world.pagerduty().incidents();
    incidents.last().unwrap()["id"].as_str().unwrap().to_owned()
}

/// The texts of the elements that every phone shows.
fn plainest(card: &Value) -> Vec<String> {
    let all = |key: &str| card[key].as_array().cloned().unwrap_or_default();
    let own = match card["type"].as_str() {
        Some("TextBlock") => vec![card["text"].as_str().unwrap().to_owned()],
        _ => Vec::new(),
    };
    own.into_iter()
        .chain(["body", "items", "facts"].into_iter().flat_map(all).flat_map(|child| plainest(&child)))
        .collect()
}

#[tokio::test]
async fn the_first_post_says_what_the_alert_says() {
    let world = enqueued(event).await;
    let card = world.only_card("Payments");
    for part in ["Critical", "db-7.eu-west.example", "lag.seconds: ", "43", "payments", "db, eu", "1 alert"] {
        assert!(card.shows(part), "{part} in {}", card.text());
    }
    let ada = world.person(ADA).teams;
    let buttons = world.teams().buttons(&ada, &card.message.id).unwrap();
    for (link, url) in [
        ("Runbook (wiki.example)", "https://wiki.example/lag"),
        ("Lag (graphs.example)", "https://graphs.example/lag.png"),
    ] {
        assert!(buttons.contains(&link.to_owned()), "{buttons:?}");
        assert_eq!(world.teams().link(&ada, &card.message.id, link).unwrap(), url);
    }
    assert_eq!((card.posts(), card.edits()), (1, 0), "nothing had to be added later");
    world.finish();
}

#[tokio::test]
async fn the_five_facts_stand_where_every_phone_shows_them() {
    let world = enqueued(event).await;
    let card = world.only_card("Payments");
    let shown = plainest(card.message.card.as_ref().unwrap()).join("\n");
    for fact in ["Replication lag above 30 s", "Triggered", "High", "Payments", "Ada Wong"] {
        assert!(shown.contains(fact), "{fact} in {shown}");
    }
    world.finish();
}

#[tokio::test]
async fn details_that_are_late_delay_nothing_and_come_with_an_edit() {
    let world = World::new().await;
    world.pagerduty().fail_next_at(ALERTS, 1, &Fault::Hang);
    world.pagerduty().enqueue(&event(&world));
    world.settle().await;
    let card = world.only_card("Payments");
    assert!(!card.shows("db-7"), "the post did not wait: {}", card.text());
    assert_eq!(card.buttons(), ["Acknowledge", "Resolve", "Details", "Add note"]);
    world.advance(SignedDuration::from_secs(10)).await;
    let card = world.only_card("Payments");
    assert!(card.shows("db-7"), "{}", card.text());
    assert_eq!((card.posts(), card.edits(), card.replies().len()), (1, 1, 0), "nobody is told of it twice");
    world.finish();
}

/// Two channels show the incident; PagerDuty answers the one and not the other.
#[tokio::test]
async fn what_one_channel_has_learned_reaches_the_other() {
    let world = World::new().await;
    let (team, service) = (world.demo().team.clone(), world.service("Payments"));
    let other = world.teams().add_channel(&team, "second");
    local::connect(&world.stack.app, &team, &other, &service, "Payments").await.unwrap();
    world.settle().await;
    world.pagerduty().fail_next_at(ALERTS, 1, &Fault::Hang);
    world.pagerduty().enqueue(&event(&world));
    world.settle().await;
    world.advance(SignedDuration::from_secs(30)).await;
    for channel in [world.channel("Payments"), other] {
        let mut cards = world.cards_in_channel(&channel);
        cards.retain(|card| card.summary().contains("Replication lag"));
        assert_eq!(cards.len(), 1);
        assert!(cards[0].shows("db-7"), "{channel}: {}", cards[0].text());
    }
    world.finish();
}

#[tokio::test]
async fn while_pagerduty_gives_no_details_the_card_is_what_it_can_be() {
    let world = World::new().await;
    for (fault, edits) in [(Fault::Status(402), 0), (Fault::Status(403), 0), (Fault::Status(500), 0)] {
        world.pagerduty().fail_next_at(ALERTS, 100, &fault);
        let incident = world.trigger("Payments", "DB down").await;
        world.settle().await;
        world.advance(SignedDuration::from_mins(10)).await;
        let mut cards = world.cards("Payments");
        cards.retain(|card| card.shows("Triggered"));
        assert_eq!((cards.len(), cards[0].edits()), (1, edits), "{fault:?}");
        assert!(cards[0].shows("DB down"));
        world.pagerduty().clear_faults();
        world.pagerduty().resolve(&incident, &world.pagerduty_user(ADA));
        world.settle_all().await;
    }
    world.finish();
}

#[tokio::test]
async fn what_is_typed_into_our_own_form_is_on_the_card() {
    let world = World::new().await;
    world.link(ADA).await;
    let ada = world.person(ADA).teams;
    let channel = world.channel("Payments");
    world.teams().say(&ada, &channel, "trigger Till is stuck").await.unwrap();
    let offer = world.teams().messages(&channel).into_iter().rev().find(|message| message.card.is_some()).unwrap();
    let opened = world.teams().click(&ada, &offer.id, "Create incident", json!({})).await.unwrap();
    assert!(matches!(opened.task(), Task::Dialog { .. }), "{opened:?}");
    let typed = json!({ "details": "Customers cannot pay.\nSince nine." });
    let made = world.teams().submit_dialog(&ada, "Create incident", typed).await.unwrap();
    assert!(matches!(made.task(), Task::Dialog { .. }), "{made:?}");
    world.settle().await;
    let cards = world.cards("Payments");
    let card = cards.iter().find(|card| card.summary().contains("Till is stuck")).unwrap();
    assert!(card.shows("Customers cannot pay."), "{}", card.text());
    world.finish();
}

#[tokio::test]
async fn a_resolved_card_is_two_lines_and_takes_notes() {
    let world = enqueued(event).await;
    let incident = newest(&world);
    world.advance(SignedDuration::from_mins(2)).await;
    world.pagerduty().acknowledge(&incident, &world.pagerduty_user("Ben Okafor"));
    world.settle().await;
    world.advance(SignedDuration::from_mins(10)).await;
    world.pagerduty().resolve(&incident, &world.pagerduty_user(ADA));
    world.settle().await;
    let card = world.only_card("Payments");
    let lines = plainest(card.message.card.as_ref().unwrap());
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].starts_with("Resolved by Ada Wong after 12 min, acknowledged by Ben Okafor after 2 min"),
        "{lines:?}"
    );
    assert_eq!(card.buttons(), ["Add note", "Details"]);
    world.link(ADA).await;
    let answer = world.click_with(ADA, &card, "Add note", json!({ "note": "it was the disk" })).await;
    assert_eq!(answer.message(), "The note was added to #1.");
    assert_eq!(world.notes_in_pagerduty(&incident), ["it was the disk"]);
    world.finish();
}

#[tokio::test]
async fn hostile_details_of_any_size_stay_text() {
    let nested = (0..60).fold(json!("bottom"), |inner, _| json!({ "deep": inner }));
    let alert = NewAlert {
        contexts: vec![
            json!({ "type": "link", "href": "javascript:alert(1)", "text": "click" }),
            json!({ "type": "link", "href": "https://evil.example/", "text": "[x](y) <at>all</at>" }),
            json!({ "type": "image", "src": "data:image/png;base64,AAAA" }),
        ],
        details: json!({
            "a": "<at>everyone</at> [click](https://evil.example) {{DATE(2026-01-01T00:00:00Z)}}",
            "b": "\u{202E}drowssap",
            "c": "x".repeat(1_000_000),
            "d": nested,
        }),
        ..NewAlert::default()
    };
    let world = World::new().await;
    world.tick(SignedDuration::from_millis(1));
    world.pagerduty().trigger_with_alert(
        &world.service("Payments"),
        "**DB** down [x](https://evil.example)",
        "high",
        alert,
    );
    world.settle().await;
    let card = world.only_card("Payments");
    let json = card.json();
    assert!(json.len() < 28 * 1024, "{}", json.len());
    for poison in ["<at>", "{{DATE", "javascript:", "data:image", "\u{202E}"] {
        assert!(!json.contains(poison), "{poison} in {json}");
    }
    assert!(json.contains(r"\\*\\*DB\\*\\* down \\[x\\]"), "{json}");
    assert!(card.shows("a: "), "{}", card.text());
    world.finish();
}

#[tokio::test]
async fn the_reconciler_finds_alerts_that_came_later() {
    let world = enqueued(event).await;
    let incident = newest(&world);
    world.pagerduty().add_alert(&incident, NewAlert::default());
    let escalates = json!([{ "type": "escalate", "at": "2026-11-23T09:30:00Z" }]);
    world.pagerduty().set_pending_actions(&incident, Some(escalates));
    world.reconcile().await;
    let card = world.only_card("Payments");
    assert!(card.shows("2 alerts · escalates at 09:30 UTC"), "{}", card.text());
    assert_eq!((card.edits(), card.replies().len()), (1, 0));
    world.reconcile().await;
    assert_eq!(world.only_card("Payments").edits(), 1, "nothing new is no edit");
    world.tick(SignedDuration::from_mins(2));
    world.pagerduty().set_priority(&incident, &world.pagerduty_user(ADA), Some("P1"));
    world.settle().await;
    let card = world.only_card("Payments");
    assert!(card.shows("2 alerts · escalates at 09:30 UTC"), "it is as true as before: {}", card.text());
    world.finish();
}

#[tokio::test]
async fn times_are_written_in_the_zone_of_the_connection() {
    let world = World::new().await;
    world.link(ADA).await;
    let (ada, channel) = (world.person(ADA).teams, world.channel("Payments"));
    let address = world.service_url(&world.service("Payments"));
    for (command, answer) in [
        (format!("connect {address} zone Mars/Base"), "there is no time zone"),
        (format!("connect {address} loudly"), "I do not know"),
        (format!("connect {address} zone asia/tokyo"), "write times in Asia/Tokyo"),
    ] {
        world.teams().say(&ada, &channel, &command).await.unwrap();
        let said = world.teams().messages(&channel).into_iter().rfind(|message| message.from_bot).unwrap();
        assert!(said.card.unwrap().to_string().contains(answer), "{command}");
    }
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    let card =
        |world: &World| world.cards("Payments").into_iter().find(|card| card.summary().contains("DB down")).unwrap();
    assert!(card(&world).shows("23 Nov 2026, 18:00 JST (Asia/Tokyo)"), "{}", card(&world).text());
    let answer = world.click(ADA, &card(&world), "Acknowledge").await;
    assert!(answer.card_text().contains("JST"), "{}", answer.card_text());
    world.settle().await;
    assert!(card(&world).shows("18:00 JST · "), "{}", card(&world).text());
    assert_eq!(world.status_in_pagerduty(&incident), "acknowledged");
    world.finish();
}

/// A button's click as an older client sends it: as a message, with the button's data.
fn as_message(world: &World, card: &Card, button: &str) -> Value {
    let ada = world.person(ADA).teams;
    let content = card.message.card.as_ref().unwrap();
    let rows = content["body"].as_array().unwrap().iter().filter(|element| element["type"] == "ActionSet");
    let mut actions = rows.flat_map(|row| row["actions"].as_array().unwrap().iter());
    let data = &actions.find(|action| action["title"] == button).unwrap()["fallback"]["data"];
    let mut activity = world.teams().message_activity(&ada, &world.channel("Payments"), "x").unwrap();
    activity.as_object_mut().unwrap().remove("text");
    activity["value"] = data.clone();
    activity["replyToId"] = json!(card.message.id);
    activity
}

#[tokio::test]
async fn a_click_that_comes_as_a_message_acts_once_and_is_answered_privately() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link(ADA).await;
    let card = world.only_card("Payments");
    let before = world.private_cards(ADA).len();
    let activity = as_message(&world, &card, "Acknowledge");
    for _ in 0..2 {
        let answer = world.teams().send(activity.clone()).await.unwrap();
        assert_eq!((answer.status, answer.body.clone()), (200, Value::Null), "{answer:?}");
        world.advance(SignedDuration::from_mins(1)).await;
    }
    assert_eq!(world.status_in_pagerduty(&incident), "acknowledged");
    assert_eq!(world.log_in_pagerduty(&incident, "acknowledge"), 1);
    let private = world.private_cards(ADA);
    assert!(private[before].shows("Acknowledged #1."), "{}", private[before].text());
    assert_eq!(world.cards("Payments").len(), 1, "the channel is not told");
    let mut forged = as_message(&world, &card, "Resolve");
    forged["value"]["incident"] = json!("QELSEWHERE");
    world.teams().send(forged).await.unwrap();
    let private = world.private_cards(ADA);
    assert!(private.last().unwrap().shows(cards::text::UNKNOWN_CARD), "{}", private.last().unwrap().text());
    world.finish();
}

#[tokio::test]
async fn what_was_typed_into_a_note_stays_until_it_is_written() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    let card = world.only_card("Payments");
    let refused = world.click_with(ADA, &card, "Add note", json!({ "note": "x" })).await;
    assert_eq!(refused.message(), cards::text::LINK_SENT, "who has to link first is told before they write");
    world.link(ADA).await;
    let ada = world.person(ADA).teams;
    world.pagerduty().fail_next_at("POST /incidents/{id}/notes", 1, &Fault::Status(500));
    let opened = world.teams().click(&ada, &card.message.id, "Add note", json!({})).await.unwrap();
    assert!(matches!(opened.task(), Task::Dialog { .. }), "{opened:?}");
    let again = world.teams().submit_dialog(&ada, "Add note", json!({ "note": "two\nlines" })).await.unwrap();
    let Task::Dialog { card: form, .. } = again.task() else { panic!("{again:?}") };
    assert!(form.to_string().contains(r#""value":"two\nlines""#), "{form}");
    world.advance(SignedDuration::from_mins(1)).await;
    let done = world.teams().submit_dialog(&ada, "Add note", json!({ "note": "two\nlines" })).await.unwrap();
    assert!(matches!(done.task(), Task::Message(_)), "{done:?}");
    assert_eq!(world.notes_in_pagerduty(&incident).last().unwrap(), "two\nlines");
    world.finish();
}

/// What the threads of a channel say, and whom they mention.
fn said_in_threads(world: &World) -> Vec<(String, Vec<String>)> {
    let messages = world.teams().messages(&world.channel("Payments")).into_iter();
    let replies = messages.filter(|message| message.from_bot && message.root.is_some() && message.text.is_some());
    let name = |id: &String| world.teams().user(id).unwrap().name;
    replies.map(|reply| (reply.text.unwrap_or_default(), reply.mentions.iter().map(name).collect())).collect()
}

async fn mentioning() -> World {
    let world = World::new().await;
    world.link(ADA).await;
    let (ada, channel) = (world.person(ADA).teams, world.channel("Payments"));
    let address = world.service_url(&world.service("Payments"));
    world.teams().say(&ada, &channel, &format!("connect {address} mention assignees")).await.unwrap();
    world
}

#[tokio::test]
async fn whoever_gets_an_incident_is_mentioned_once_for_each_assignment() {
    let world = mentioning().await;
    let (ada, ben) = (world.pagerduty_user(ADA), world.pagerduty_user("Ben Okafor"));
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    let first = said_in_threads(&world);
    let expected = "<at>Ada Wong</at> – incident #1 is assigned to you.";
    assert_eq!(first, [(expected.to_owned(), vec![ADA.to_owned()])]);

    world.pagerduty().set_priority(&incident, &ada, Some("P1"));
    world.settle().await;
    world.reconcile().await;
    let mentions =
        |world: &World| said_in_threads(world).into_iter().filter(|(text, _)| text.contains("assigned to you"));
    assert_eq!(mentions(&world).count(), 1, "the assignment is the same: {:?}", said_in_threads(&world));

    world.tick(SignedDuration::from_secs(30));
    world.pagerduty().reassign(&incident, &ada, &ben);
    world.settle().await;
    let named = mentions(&world).next_back().unwrap();
    assert_eq!(named, ("Ben Okafor – incident #1 is assigned to you.".to_owned(), vec![]), "he is not linked");

    world.tick(SignedDuration::from_secs(30));
    world.pagerduty().reassign(&incident, &ben, &ada);
    world.settle().await;
    assert_eq!(mentions(&world).next_back().unwrap().1, [ADA.to_owned()], "it is hers again");
    assert_eq!(mentions(&world).count(), 3);

    world.pagerduty().acknowledge(&incident, &ada);
    world.settle().await;
    world.pagerduty().resolve(&incident, &ada);
    world.settle_all().await;
    assert_eq!(mentions(&world).count(), 3);
    world.finish();
}

#[tokio::test]
async fn a_name_that_teams_refuses_is_written_as_text() {
    let world = mentioning().await;
    world.teams().never_take("<at>Ada Wong</at>", &simulators::teams::Fault::status(400, "BadArgument"));
    world.trigger("Payments", "DB down").await;
    world.settle_all().await;
    let said = said_in_threads(&world);
    assert_eq!(said, [("Ada Wong – incident #1 is assigned to you.".to_owned(), vec![])]);
    world.finish();
}

#[tokio::test]
async fn nobody_is_mentioned_where_nobody_asked_for_it() {
    let world = World::new().await;
    world.link(ADA).await;
    world.trigger("Payments", "DB down").await;
    world.settle_all().await;
    assert_eq!(said_in_threads(&world), []);
    world.finish();
}
