//! One character, byte, number, depth or element that cannot be read costs itself, wherever it comes from.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::SignedDuration;
use runtime::AwsClients;
use serde_json::{Value, json};
use simulators::pagerduty::{Fault, Pending};

use crate::world::{Answer, Browser, Card, Signed, World};

/// The first of a text, replaced by any bytes; an empty text is the beginning.
fn garbled(body: &str, old: &str, new: &[u8]) -> Vec<u8> {
    let (before, after) = body.split_once(old).unwrap_or_else(|| panic!("{old} is in {body}"));
    [before.as_bytes(), new, after.as_bytes()].concat()
}

fn fault(old: &str, new: &[u8]) -> Fault {
    Fault::Garbled(vec![(old.to_owned(), new.to_vec())])
}

fn tower(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// The newest event, which PagerDuty then does not deliver itself.
fn taken(world: &World, event_type: &str) -> Pending {
    world.take_undelivered().into_iter().find(|event| event.event_type() == event_type).unwrap()
}

async fn deliver(world: &World, body: &[u8]) -> u16 {
    world.post_webhook(body, Signed::by(&world.subscription("Payments"))).await
}

fn card_of(world: &World, incident: &str) -> Option<Card> {
    let mut cards = world.cards("Payments").into_iter().filter(|card| card.json().contains(incident));
    let card = cards.next();
    assert!(cards.next().is_none(), "one card of {incident}");
    card
}

#[tokio::test]
async fn a_webhook_that_is_not_quite_legible_shows_its_incident() {
    let deep = |depth: usize| format!("\"title\":\"DB down\",\"body\":{{\"details\":{}}}", tower(depth)).into_bytes();
    let title = "\"title\":\"DB down\"";
    let half_emoji = br#""title":"DB down \ud83d""#.to_vec();
    let cases: Vec<(&str, &str, Vec<u8>, &str)> = vec![
        ("half an emoji in the title", title, half_emoji, "DB down \u{fffd}"),
        ("the other half", title, br#""title":"\ude00 DB down""#.to_vec(), "\u{fffd} DB down"),
        ("a bad byte in the title", title, b"\"title\":\"DB down \xff\"".to_vec(), "DB down \u{fffd}"),
        ("a control character in the title", title, b"\"title\":\"DB\x0bdown\"".to_vec(), "DBdown"),
        ("a number for a title", title, b"\"title\":1e999".to_vec(), "no title"),
        ("a byte order mark", "", b"\xef\xbb\xbf".to_vec(), "DB down"),
        ("details 200 deep", title, deep(200), "DB down"),
        ("details 20,000 deep", title, deep(20_000), "DB down"),
        ("a number out of range", "\"number\":", b"\"number\":1e999,\"was\":".to_vec(), "DB down"),
        (
            "assignees that are none",
            "\"assignees\":[",
            b"\"assignees\":[1e999,null,{\"id\":\"\\ud83d\"},".to_vec(),
            "DB down",
        ),
        ("half an emoji in an assignee's name", "\"agent\":", br#""was":"\ud83d","agent":"#.to_vec(), "DB down"),
        ("an event id that is cut", "\"event\":{", br#""event":{"client_url":"\ud83d","#.to_vec(), "DB down"),
        ("a status that is none", "\"status\":\"triggered\"", b"\"status\":NaN".to_vec(), "DB down"),
        ("a time that is none", "\"occurred_at\":\"", b"\"occurred_at\":\"\xff".to_vec(), "DB down"),
        ("a type of event that is none", "\"event_type\":\"", br#""event_type":"\ud83d"#.to_vec(), "DB down"),
        ("a service without a name", "\"summary\":\"Payments\"", b"\"summary\":1e999".to_vec(), "DB down"),
        ("no service at all", "\"service\":{", b"\"service\":null,\"was\":{".to_vec(), "DB down"),
    ];
    let world = World::new().await;
    for (name, old, new, expected) in cases {
        let incident = world.trigger("Payments", "DB down").await;
        let event = taken(&world, "incident.triggered");
        let status = deliver(&world, &garbled(event.body(), old, &new)).await;
        assert_eq!(status, 202, "{name}");
        world.settle().await;
        let card = card_of(&world, &incident).unwrap_or_else(|| panic!("{name}: no card"));
        assert!(card.shows(expected) && card.shows_status("triggered"), "{name}: {}", card.text());
        assert!(!card.shows("#0"), "{name}: {}", card.text());
        world.advance(SignedDuration::from_mins(2)).await;
    }
    assert_eq!(world.counted(runtime::Metric::UnreadableWebhooks), 0.0);
    world.finish();
}

/// Incidents of which no webhook has arrived.
async fn three_unheard(world: &World) -> Vec<String> {
    let mut incidents = Vec::new();
    for title in ["First", "Second", "Third"] {
        incidents.push(world.trigger("Payments", title).await);
    }
    assert!(!world.take_undelivered().is_empty(), "no webhook arrives");
    world.advance(SignedDuration::from_mins(5)).await;
    incidents
}

#[tokio::test]
async fn a_row_that_is_not_quite_legible_is_found() {
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("half an emoji", "\"title\":\"Second\"", br#""title":"Second \ud83d""#.to_vec()),
        ("a bad byte", "\"title\":\"Second\"", b"\"title\":\"Second\xff\"".to_vec()),
        ("a number out of range", "\"title\":\"Second\"", b"\"title\":\"Second\",\"alert_counts\":1e999".to_vec()),
        ("a tower", "\"title\":\"Second\"", format!("\"title\":\"Second\",\"x\":{}", tower(400)).into_bytes()),
        ("a byte order mark", "", b"\xef\xbb\xbf".to_vec()),
        ("a row without an id", "\"incidents\":[{", b"\"incidents\":[{\"id\":null},7,{".to_vec()),
    ];
    for (name, old, new) in cases {
        let world = World::new().await;
        let incidents = three_unheard(&world).await;
        world.pagerduty().fail_next_at("GET /incidents", 50, &fault(old, &new));
        world.reconcile().await;
        for incident in &incidents {
            assert!(card_of(&world, incident).is_some(), "{name}: {incident} has a card");
        }
        world.pagerduty().clear_faults();
        world.finish();
    }
}

#[tokio::test]
async fn a_row_without_its_service_hides_no_other_one() {
    let world = World::new().await;
    let incidents = three_unheard(&world).await;
    world.pagerduty().fail_next_at("GET /incidents", 50, &fault("\"service\":{", b"\"service\":1e999,\"was\":{"));
    world.reconcile().await;
    let all = incidents.iter().all(|incident| card_of(&world, incident).is_some());
    assert!(all, "the log names the one whose row cannot be read, and it is asked for by itself");
    world.pagerduty().clear_faults();
    world.finish();
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_shorter_list() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.advance(SignedDuration::from_mins(5)).await;
    // From the list on, all of it is missing.
    for operation in ["GET /incidents", "GET /webhook_subscriptions"] {
        world.pagerduty().fail_next_at(
            operation,
            50,
            &Fault::Answer(200, "{\"incidents\":[],\"webhook_subscriptions\":[".to_owned()),
        );
    }
    let _failed = world.stack.reconcile().await;
    world.pagerduty().clear_faults();
    world.settle_all().await;
    assert!(card_of(&world, &incident).unwrap().shows_status("triggered"));
    assert_eq!(world.pagerduty().subscriptions_of(&world.service("Payments")).len(), 1, "none was taken for gone");
    world.finish();
}

#[tokio::test]
async fn linking_works_with_a_name_that_is_not_quite_legible() {
    let cases: Vec<(&str, &[u8], &str, &[u8])> = vec![
        ("\"name\":\"Ada Wong\"", br#""name":"Ada \ud83d""#, "", b"\xef\xbb\xbf"),
        ("\"name\":\"Ada Wong\"", b"\"name\":\"Ada \xff\"", "{", br#"{"name":"\ud83d","n":1e999,"#),
        ("\"time_zone\":", b"\"n\":1e999,\"time_zone\":", "{", b"{\"x\":\"\x00\","),
    ];
    for (old, new, of_token, instead) in cases {
        let world = World::new().await;
        world.pagerduty().fail_next_at("GET /users/me", 9, &fault(old, new));
        world.pagerduty().fail_next_token(9, &fault(of_token, instead));
        world.say("Ada Wong", "linkUser").await;
        world.complete_link(&Browser::new(), "Ada Wong", "Ada Wong").await;
        assert!(world.is_linked("Ada Wong").await, "{old}");
        world.pagerduty().clear_faults();
        let incident = world.trigger("Payments", "DB down").await;
        world.settle().await;
        world.pagerduty().fail_next_at(
            "PUT /incidents/{id}",
            1,
            &fault("\"title\":\"DB down\"", br#""title":"DB \ud83d""#),
        );
        let answer = world.click("Ada Wong", &world.only_card("Payments"), "Acknowledge").await;
        assert_eq!(answer.status(), 200);
        assert_eq!(world.status_in_pagerduty(&incident), "acknowledged");
        world.settle().await;
        assert!(world.only_card("Payments").shows_status("acknowledged"));
        world.pagerduty().clear_faults();
        world.finish();
    }
}

#[tokio::test]
async fn an_activity_that_is_not_quite_legible_is_acted_on() {
    let damages: Vec<(&str, &str, Vec<u8>)> = vec![
        ("a byte order mark", "", b"\xef\xbb\xbf".to_vec()),
        ("half an emoji in the name", "\"name\":\"Ada Wong\"", br#""name":"Ada \ud83d""#.to_vec()),
        ("a bad byte in the name", "\"name\":\"Ada Wong\"", b"\"name\":\"Ada \xf0\x9f\"".to_vec()),
        ("a number for a name", "\"name\":\"Ada Wong\"", b"\"name\":1e999".to_vec()),
        ("a tower", "{", format!("{{\"deep\":{},", tower(5_000)).into_bytes()),
        ("a time zone that is none", "{", br#"{"zone":"\ud83d","#.to_vec()),
    ];
    let world = World::new().await;
    world.link("Ada Wong").await;
    let ada = world.person("Ada Wong").teams;
    for (name, old, new) in damages {
        let incident = world.trigger("Payments", "DB down").await;
        world.settle().await;
        let card = card_of(&world, &incident).unwrap();

        let before = world.private_cards("Ada Wong").len();
        let chat = world.teams().personal_chat(&ada).unwrap();
        let said = world.teams().message_activity(&ada, &chat, "help").unwrap();
        let sent = world.teams().send_bytes(said.clone(), garbled(&said.to_string(), old, &new)).await.unwrap();
        assert_eq!(sent.status, 200, "{name}: {sent:?}");
        assert_eq!(world.private_cards("Ada Wong").len(), before + 1, "{name}: a message is answered");

        let clicked = world.teams().click_activity(&ada, &card.message.id, "acknowledge", &json!({})).unwrap();
        let answer =
            Answer(world.teams().send_bytes(clicked.clone(), garbled(&clicked.to_string(), old, &new)).await.unwrap());
        assert_eq!((answer.status(), answer.error()), (200, None), "{name}");
        assert_eq!(world.status_in_pagerduty(&incident), "acknowledged", "{name}");
        world.settle().await;
        world.advance(SignedDuration::from_mins(2)).await;
    }
    world.finish();
}

#[tokio::test]
async fn a_note_with_half_an_emoji_is_written_with_the_rest() {
    let world = World::new().await;
    world.link("Ada Wong").await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    let card = world.only_card("Payments");
    world.click("Ada Wong", &card, "Acknowledge").await;
    world.settle().await;
    let ada = world.person("Ada Wong").teams;
    // What the form sends, with a text that was cut in the middle of an emoji.
    let opened =
        world.click_with("Ada Wong", &world.only_card("Payments"), "Add note", json!({ "note": "marked" })).await;
    assert_eq!(opened.status(), 200);
    let sent = world.teams().deliveries().into_iter().map(|delivery| delivery.activity).next_back().unwrap();
    let mut again = sent.clone();
    again["id"] = json!("1795424499999");
    let body = garbled(&again.to_string(), "marked", br"looking at it \ud83d");
    let answer = Answer(world.teams().send_bytes(again, body).await.unwrap());
    assert_eq!(answer.status(), 200, "{ada}");
    assert_eq!(world.notes_in_pagerduty(&incident), ["marked", "looking at it \u{fffd}"]);
    world.settle().await;
    assert!(world.only_card("Payments").shows("looking at it \u{fffd}"));
    world.finish();
}

#[tokio::test]
async fn a_member_whose_name_is_half_an_emoji_joins() {
    let world = World::new().await;
    let bob = world.teams().add_user("Bob");
    world.teams().add_member(&world.demo().team, &bob).await.unwrap();
    let mut sent = world.teams().deliveries().into_iter().map(|delivery| delivery.activity);
    let joined = sent.rfind(|activity| activity["type"] == "conversationUpdate").unwrap();
    for name in [
        &br#"{"membersAdded":[{"id":"29:x","name":"\ud83d"},7],"#[..],
        b"{\"membersAdded\":[1e999,null],",
        b"{\"x\":\"\xff\",",
    ] {
        let mut activity = joined.clone();
        activity.as_object_mut().unwrap().remove("membersAdded");
        let body = garbled(&activity.to_string(), "{", name);
        assert_eq!(world.teams().send_bytes(activity, body).await.unwrap().status, 200);
    }
    world.finish();
}

#[tokio::test]
async fn a_part_of_a_stored_item_that_cannot_be_read_stops_nothing() {
    let odd = || [AttributeValue::Null(true), AttributeValue::N("-1E+99".to_owned()), AttributeValue::Bool(true)];
    for odd in odd() {
        let world = World::new().await;
        let ada = world.pagerduty_user("Ada Wong");
        let incident = world.trigger("Payments", "DB down").await;
        world.settle().await;
        let service = world.service("Payments");
        let record = (format!("INCIDENT#{}#{incident}", local::ACCOUNT), "RECORD".to_owned());
        let channel = world.card_key("Payments", &incident).channel;
        let connection = (format!("SERVICE#{}#{service}", local::ACCOUNT), format!("CONNECTION#{channel}"));
        for (key, path) in [
            (&record, "snapshot.value.title"),
            (&record, "snapshot.value.number"),
            (&record, "snapshot.value.html_url"),
            (&record, "log"),
            (&connection, "service_name"),
            (&connection, "created_at"),
            (&connection, "filter"),
            (&connection, "zone"),
        ] {
            world.spoil_part(key, path, odd.clone()).await;
        }
        let subscription = world.subscription("Payments").id;
        world
            .spoil_part(&(format!("SUBSCRIPTION#{subscription}"), "SUBSCRIPTION".to_owned()), "created_at", odd.clone())
            .await;
        world.tick(SignedDuration::from_mins(1));
        world.pagerduty().add_note(&incident, &ada, "looking at it");
        world.settle().await;
        let card = world.only_card("Payments");
        assert!(card.shows("looking at it") && card.shows("DB down"), "{odd:?}: {}", card.text());
        assert!(!card.shows("#0"), "{odd:?}: {}", card.text());
        world.advance(SignedDuration::from_mins(5)).await;
        world.reconcile().await;
        world.pagerduty().resolve(&incident, &ada);
        world.settle().await;
        assert!(world.only_card("Payments").shows_status("resolved"), "{odd:?}");
        assert_eq!(world.pagerduty().subscriptions_of(&service), [subscription]);
        world.finish();
    }
}

impl World {
    /// A hand, or another version, has left something else in a part of an item.
    async fn spoil_part(&self, (pk, sk): &(String, String), path: &str, odd: AttributeValue) {
        let app = &self.stack.app;
        let dynamodb = AwsClients::new(&app.config.aws).dynamodb;
        let get = dynamodb.get_item().table_name(&app.config.table);
        let get = get.key("pk", AttributeValue::S(pk.clone())).key("sk", AttributeValue::S(sk.clone()));
        let mut item = get.send().await.unwrap().item.unwrap_or_else(|| panic!("{pk} {sk}"));
        let part = path.split('.').fold(item.get_mut("data").unwrap(), |part, name| match part {
            AttributeValue::M(fields) => fields.get_mut(name).unwrap_or_else(|| panic!("{path} of {pk}")),
            other => panic!("{path}: {other:?}"),
        });
        *part = odd;
        dynamodb.put_item().table_name(&app.config.table).set_item(Some(item)).send().await.unwrap();
    }
}

/// What nobody can make anything of is answered all the same, and no person waits for it in silence.
#[tokio::test]
async fn what_cannot_be_read_at_all_is_answered() {
    let world = World::new().await;
    let ada = world.person("Ada Wong").teams;
    let chat = world.teams().personal_chat(&ada);
    let chat = match chat {
        Some(chat) => chat,
        None => {
            world.say("Ada Wong", "help").await;
            world.teams().personal_chat(&ada).unwrap()
        }
    };
    let said = world.teams().message_activity(&ada, &chat, "help").unwrap();
    let whole = said.to_string();
    for body in [whole[..whole.len() / 2].to_owned(), "hello".to_owned(), format!("{whole}{whole}")] {
        let answer = world.teams().send_bytes(said.clone(), body.clone().into_bytes()).await.unwrap();
        assert_eq!((answer.status, answer.body), (400, Value::Null), "{body}");
    }
    world.finish();
}
