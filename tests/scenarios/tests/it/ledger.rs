//! The delivery ledger: whoever asks where a card is finds out, and can have it looked at again.

use jiff::SignedDuration;
use runtime::Metric;
use serde_json::{Value, json};

use crate::platform::AdminPage;
use crate::world::{Fault, World};

async fn lines(page: &AdminPage<'_>, query: &str) -> Vec<Value> {
    let (status, found) = page.get(&format!("/deliveries?{query}")).await;
    assert_eq!(status, 200, "{found}");
    found["deliveries"].as_array().unwrap().clone()
}

fn outcomes(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["outcome"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_webhook_event_has_a_line_for_each_channel() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    let incident = world.trigger("Payments", "DB down").await;
    world.deliver_webhooks().await;
    let waiting = lines(&page, "").await;
    assert_eq!(outcomes(&waiting), ["queued"]);
    world.tick(SignedDuration::from_secs(2));
    world.settle_all().await;
    let posted = lines(&page, "").await;
    assert_eq!(outcomes(&posted), ["posted"]);
    let line = &posted[0];
    assert_eq!(line["event"], waiting[0]["event"], "the same line");
    assert_eq!(
        (&line["occasion"], &line["incident"], &line["attempts"]),
        (&json!("webhook"), &json!(incident), &json!(1))
    );
    assert_eq!(
        (&line["service"]["name"], &line["channel"]["team_name"]),
        (&json!("Payments"), &json!("Site Reliability"))
    );
    assert!(line["took_ms"].as_i64().unwrap() >= 2000, "{line}");
    assert_eq!(world.counted(Metric::CardsPosted), 1.0);
    assert!(world.counted(Metric::WebhookToCard) >= 2000.0);

    // Two changes at once become one edit; the other delivery says so.
    world.tick(SignedDuration::from_secs(1));
    world.pagerduty().acknowledge(&incident, &world.pagerduty_user("Ben Okafor"));
    world.pagerduty().set_priority(&incident, &world.pagerduty_user("Ben Okafor"), Some("P1"));
    world.deliver_webhooks().await;
    world.settle_all().await;
    let mut both = outcomes(&lines(&page, &format!("incident={incident}")).await).join(" ");
    both = both.replace("coalesced edited", "edited coalesced");
    assert_eq!(both, "edited coalesced posted");
    assert_eq!(world.counted(Metric::MarksCoalesced), 1.0);
    world.finish();
}

#[tokio::test]
async fn a_webhook_that_is_delivered_again_has_no_line_that_is_queued_for_ever() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    world.stack.aws.refuse_sqs(true);
    let refused = world.trigger("Payments", "DB down").await;
    world.deliver_webhooks().await;
    assert_eq!(world.webhook_answers("Payments").last(), Some(&503));
    assert_eq!(outcomes(&lines(&page, "").await), ["queued"], "it is known from the first delivery on");
    world.stack.aws.refuse_sqs(false);
    world.advance(SignedDuration::from_hours(1)).await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    assert_eq!(outcomes(&lines(&page, &format!("incident={refused}")).await), ["posted"]);

    let doubled = world.trigger("Payments", "Disk full").await;
    let deliveries = world.take_undelivered();
    // At once, while the queue knows its first message, and after it has forgotten it.
    for minutes in [0, 1, 10] {
        world.advance(SignedDuration::from_mins(minutes)).await;
        world.deliver_in_this_order(deliveries.clone()).await;
        world.settle_all().await;
        let told = lines(&page, &format!("incident={doubled}")).await;
        assert_eq!(outcomes(&told), ["posted"], "{minutes} minutes later: {told:#?}");
    }
    world.finish();
}

#[tokio::test]
async fn a_line_says_why_a_card_is_not_there_and_a_replay_brings_it() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    world.fail_posts("Payments", 1, &Fault::throttled(30));
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    let line = lines(&page, "outcome=waiting").await.remove(0);
    assert!(line["why"].as_str().is_some_and(|why| !why.is_empty()), "{line}");
    assert_eq!(world.counted(Metric::DeliveriesThrottled), 1.0);
    world.settle_all().await;
    let line = lines(&page, "outcome=posted").await.remove(0);
    assert_eq!(line["attempts"], json!(2));

    // Teams takes the next one in no size, until somebody has found out why.
    world.fail_posts("Payments", 1000, &Fault::status(413, "MessageSizeTooBig"));
    let refused = world.trigger("Payments", "too big").await;
    world.settle_all().await;
    let line = lines(&page, &format!("incident={refused}")).await.remove(0);
    assert_eq!((&line["outcome"], &line["why"]), (&json!("refused"), &json!("MessageSizeTooBig")));
    assert_eq!(world.counted(Metric::CardsParked), 1.0);
    assert_eq!(line["attempts"], json!(1), "one delivery, with one try and a smaller one");
    assert_eq!(world.cards("Payments").len(), 1);
    world.teams().clear_faults();
    let channel = line["channel"]["id"].clone();
    let (status, asked) =
        page.write("POST", "/deliveries/replay", Some(json!({ "incident": refused, "channel": channel }))).await;
    assert_eq!(status, 202, "{asked}");
    world.settle_all().await;
    assert_eq!(world.cards("Payments").len(), 2);
    let replayed = lines(&page, &format!("incident={refused}&outcome=posted")).await.remove(0);
    assert_eq!((&replayed["occasion"], &replayed["event"]), (&json!("replayed"), &asked["event"]));
    let number = replayed["number"].as_u64().unwrap();
    assert_eq!(lines(&page, &format!("incident=%23{number}")).await.len(), 2);
    assert_eq!(lines(&page, &format!("incident={incident}")).await.len(), 1);

    for (incident, channel, code) in [
        ("PUNKNOWN", channel.as_str().unwrap(), "unknown_incident"),
        (refused.as_str(), "19:elsewhere@thread.tacv2", "unknown_connection"),
    ] {
        let wish = json!({ "incident": incident, "channel": channel });
        let (status, problem) = page.write("POST", "/deliveries/replay", Some(wish)).await;
        assert_eq!((status, &problem["error"]["code"]), (404, &json!(code)), "{problem}");
    }
    world.finish();
}

#[tokio::test]
async fn an_event_that_no_channel_wants_is_found_as_well() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    let service = world.service("Payments");
    let path = |id: &str| crate::platform::path(id);
    let channel = world.demo().channels.iter().find(|known| known.service == service).unwrap().channel.clone();
    let team = world.demo().team.clone();
    let connections = format!("/teams/{}/connections", path(&team));
    page.write("DELETE", &format!("{connections}/{service}/{}", path(&channel)), None).await;
    let wish = json!({ "service": service, "channel": channel, "filter": "high_urgency" });
    assert_eq!(page.write("POST", &connections, Some(wish)).await.0, 201);
    world.tick(SignedDuration::from_millis(1));
    world.pagerduty().trigger(&service, "only a hint", "low");
    world.settle_all().await;
    let unwanted = lines(&page, &format!("outcome=no_channel&service={service}")).await;
    assert_eq!(unwanted.len(), 1);
    assert_eq!(unwanted[0]["channel"], Value::Null);
    assert_eq!(page.get("/deliveries?day=yesterday").await.0, 400);
    assert_eq!(lines(&page, "day=2020-01-01").await, Vec::<Value>::new());
    world.finish();
}

#[tokio::test]
async fn the_ledger_has_pages_and_an_end() {
    let world = World::with("PAGERBRIDGE_RETENTION_DAYS", "2").await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    for number in 0..60 {
        world.trigger("Payments", &format!("incident {number}")).await;
    }
    world.settle_all().await;
    let (_, first) = page.get("/deliveries").await;
    assert_eq!((first["deliveries"].as_array().unwrap().len(), &first["keeps_days"]), (50, &json!(2)));
    let rest = lines(&page, &format!("before={}", crate::platform::path(first["next"].as_str().unwrap()))).await;
    assert_eq!(rest.len(), 10);
    let all: std::collections::BTreeSet<String> = first["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .chain(&rest)
        .map(|line| line["incident"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(all.len(), 60);
    let day = first["deliveries"][0]["received_at"].as_str().unwrap()[..10].to_owned();
    world.advance(SignedDuration::from_hours(49)).await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    assert_eq!(lines(&page, &format!("day={day}")).await, Vec::<Value>::new());
    world.finish();
}
