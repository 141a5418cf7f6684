//! Scripts in a town in which nothing goes wrong.

use std::collections::BTreeSet;

use jiff::Timestamp;
use local::inside::{Delays, Inside};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::*;
use crate::dice::Dice;
use crate::script::{Script, Step};

/// 23 November 2026, 09:00 UTC.
const START: Timestamp = Timestamp::constant(1_795_424_400, 0);
const SPAN: Duration = Duration::from_secs(15 * 60);
const DELAYS: Delays = Delays {
    dynamodb: Duration::from_millis(5),
    sqs: Duration::from_millis(10),
    pagerduty: Duration::from_millis(120),
    teams: Duration::from_millis(150),
};
const LOOK: Duration = Duration::from_millis(250);
const SENDER_TIMEOUT: Duration = Duration::from_secs(60);

async fn found(seed: u64) -> World {
    let inside = Box::pin(Inside::compose(START, DELAYS)).await.unwrap();
    let town = Box::pin(Town::found(&inside, &mut Dice::new(seed))).await.unwrap();
    let web = oauth_callback::router(inside.app.clone()).merge(admin_api::router(inside.app.clone()));
    World { web, ..World::by_hand(inside, town) }
}

/// Brings webhooks, wake-ups and the schedule along.
fn platform(inside: &Inside) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let (webhooks, schedule) = (inside.clone(), inside.clone());
    tasks.spawn(async move {
        let mut on_the_way = JoinSet::new();
        loop {
            while let Some(attempt) = webhooks.pagerduty.deliver_one() {
                on_the_way.spawn(attempt);
            }
            while on_the_way.try_join_next().is_some() {}
            sleep(LOOK).await;
        }
    });
    for _ in 0..3 {
        let inside = inside.clone();
        tasks.spawn(async move {
            loop {
                if inside.queued() == 0 || !Box::pin(send_one(&inside)).await {
                    sleep(LOOK).await;
                }
            }
        });
    }
    tasks.spawn(async move {
        loop {
            sleep(Duration::from_secs(60)).await;
            Box::pin(reconciler::run(&schedule.app, reconciler::Extent::Due, Duration::from_secs(110))).await;
        }
    });
    tasks
}

async fn send_one(inside: &Inside) -> bool {
    let batch = inside.receive(0).await.unwrap();
    let receipts: Vec<String> = batch.records.iter().filter_map(|record| record.receipt_handle.clone()).collect();
    if receipts.is_empty() {
        return false;
    }
    let handling = Box::pin(notification_sender::handle(&inside.app, batch, SENDER_TIMEOUT));
    if timeout(SENDER_TIMEOUT, handling).await.is_ok_and(|answer| answer.batch_item_failures.is_empty()) {
        for receipt in receipts {
            inside.delete(&receipt).await.unwrap();
        }
    }
    true
}

/// What has become of each step.
async fn play(world: &World, script: &Script) -> Vec<(Act, Did)> {
    let _platform = platform(&world.inside);
    let (begun, mut steps) = (Instant::now(), JoinSet::new());
    for (number, step) in script.0.iter().cloned().enumerate() {
        let world = world.clone();
        steps.spawn(async move {
            sleep_until(begun + step.at).await;
            let did = Box::pin(act(&world, &step.act)).await;
            (number, step.act, did)
        });
    }
    let mut done = Vec::new();
    while let Some(step) = steps.join_next().await {
        done.push(step.unwrap());
    }
    done.sort_by_key(|(number, ..)| *number);
    done.into_iter().map(|(_, act, did)| (act, did)).collect()
}

#[tokio::test(start_paused = true)]
async fn most_steps_can_be_done_in_a_town_without_faults() {
    let world = found(1).await;
    let done = play(&world, &Script::draw(&mut Dice::new(1), 60, SPAN)).await;
    let nothing: Vec<&(Act, Did)> = done.iter().filter(|(_, did)| matches!(did, Did::Nothing(_))).collect();
    assert!(nothing.len() * 3 < done.len(), "{nothing:#?}");
    assert_eq!(world.inside.pagerduty.unknown_requests(), [""; 0]);
    assert_eq!(world.inside.teams.unknown_requests(), [""; 0]);
    assert_eq!(world.inside.teams.complaints(), [""; 0]);
}

/// What kinds of things an act has in it, for example `press`, `press.manner.twice`, `in_pager_duty.change.note`.
fn kinds(act: &Act) -> BTreeSet<String> {
    fn walk(path: &str, value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::String(name) => drop(found.insert(format!("{path}.{name}"))),
            Value::Object(fields) if fields.len() == 1 && path.contains('.') => {
                for (name, inner) in fields {
                    found.insert(format!("{path}.{name}"));
                    // What is in a variant is named by its own fields, which are numbers.
                    assert!(inner.is_number() || inner.is_null() || inner.is_object(), "{path} {inner}");
                }
            }
            Value::Object(fields) => {
                fields.iter().for_each(|(name, inner)| walk(&format!("{path}.{name}"), inner, found))
            }
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    let written = serde_json::to_value(act).unwrap();
    for (name, fields) in written.as_object().unwrap() {
        found.insert(name.clone());
        walk(name, fields, &mut found);
    }
    found
}

/// Everything that can be done, in an order in which it can be done in any town, with a part of what must have become of it.
fn everything() -> Vec<(Value, &'static str)> {
    let there =
        |case: usize, change: Value| json!({ "in_pager_duty": { "person": 1, "case": case, "change": change } });
    let trigger = |case: usize, source: Value| json!({ "trigger": { "case": case, "service": 1, "low": false, "source": source } });
    let press = |person: usize, card: Value, button: Value, manner: Value, dialog: Value, words: usize| json!({ "press": { "person": person, "card": card, "button": button, "manner": manner, "dialog": dialog, "words": words } });
    let of = |case: usize| json!({ "of": { "case": case, "nth": 0 } });
    let nth = |number: usize| json!({ "nth": number });
    let say = |person: usize, words: Value| json!({ "say": { "person": person, "channel": 1, "words": words } });
    let connection = |what: &str, person: usize, way: &str| json!({ what: { "person": person, "service": 3, "channel": 0, "way": way } });
    let channel = |fate: &str| json!({ "channel": { "channel": 2, "fate": fate } });
    let team = |fate: Value| json!({ "team": { "team": 2, "fate": fate } });
    let once = || json!("once");
    vec![
        (trigger(0, json!("tool")), "Opened"),
        (trigger(1, json!("tool_with_page")), "Opened"),
        (trigger(2, json!("tool_with_details")), "Opened"),
        (trigger(3, json!({ "tool_with_priority": 1 })), "Opened"),
        (trigger(4, json!("orchestration")), "Opened"),
        (trigger(5, json!({ "person": 2 })), "by: Some("),
        (json!({ "alert": { "case": 0 } }), "Alerted"),
        (json!({ "escalate": { "case": 0, "to": 1 } }), "Escalated"),
        (press(0, of(0), json!("acknowledge"), once(), json!([]), 1), "answer: Card"),
        (
            press(1, json!({ "before": { "case": 0, "nth": 0 } }), json!("acknowledge"), once(), json!([]), 1),
            "Already acknowledged|answer: Card",
        ),
        (press(1, of(0), json!("note"), once(), json!([0]), 2), "The note was added"),
        (press(1, of(0), json!("note"), json!("resent"), json!([0]), 3), "again: true"),
        (press(0, of(1), json!("acknowledge"), json!({ "with": 1 }), json!([]), 4), "person: 1"),
        (press(0, of(2), json!("acknowledge"), json!("twice"), json!([]), 5), "again: true"),
        (press(0, of(2), json!("details"), once(), json!([0]), 6), "Dialog"),
        (press(2, of(2), json!("resolve"), once(), json!([]), 7), "not linked yet"),
        (press(3, of(2), json!("resolve"), once(), json!([]), 7), "does not allow"),
        (press(0, of(3), nth(0), once(), json!([]), 7), "verb: \"acknowledge\""),
        (json!({ "look": { "person": 0, "card": of(0) } }), "Looked"),
        (json!({ "unacknowledge": { "case": 0 } }), "Unacknowledged"),
        (there(0, json!("acknowledge")), "Acknowledge"),
        (there(0, json!("note")), "Looking into it"),
        (there(0, json!({ "reassign": { "to": 2 } })), "Reassign"),
        (there(0, json!({ "move": { "service": 2 } })), "Move"),
        (there(0, json!({ "priority": 0 })), "Priority"),
        (there(0, json!({ "urgency": { "low": true } })), "Urgency"),
        (there(0, json!("title")), "(0)"),
        (there(0, json!("status_update")), "StatusUpdate"),
        (there(0, json!({ "ask_responder": { "whom": 1 } })), "AskResponder"),
        (there(0, json!({ "answer_request": { "accepts": true } })), "AnswerRequest"),
        (there(0, json!("conference")), "Conference"),
        (there(4, json!({ "merge": { "into": 5 } })), "Merge"),
        (there(0, json!("resolve")), "Resolve"),
        (there(0, json!("reopen")), "Reopen"),
        (there(0, json!("resolve_with_note")), "Resolution Note"),
        (json!({ "recover": { "case": 1 } }), "Recovered"),
        (press(0, of(2), json!("resolve"), once(), json!([]), 8), "answer: Card"),
        (say(0, json!("help")), "replies: [\""),
        (say(0, json!("open")), "replies: [\""),
        (say(0, json!("incidents")), "replies: [\""),
        (say(0, json!("my_incidents")), "replies: [\""),
        (say(0, json!("on_call")), "replies: [\""),
        (say(0, json!("connections")), "replies: [\""),
        (say(0, json!("configure")), "replies: [\""),
        (say(0, json!("nonsense")), "Did you mean|do not know"),
        (json!({ "say": { "person": 0, "channel": null, "words": "wrong_key" } }), "replies: [\""),
        (
            json!({ "say": { "person": 1, "channel": null, "words": { "trigger": { "case": 6 } } } }),
            "Reported by hand (6)",
        ),
        (press(1, json!({ "mine": 0 }), nth(0), once(), json!([0]), 9), "was created"),
        (press(1, json!({ "any": 0 }), nth(0), once(), json!([]), 10), "Pressed"),
        (json!({ "link": { "person": 2, "window": true } }), "how: Done"),
        (json!({ "unlink": { "person": 2 } }), "how: Done"),
        (json!({ "link": { "person": 2, "window": false } }), "how: Done"),
        (json!({ "link": { "person": 4, "window": false } }), "pagerduty: None, how: Refused"),
        (json!({ "pass_link": { "person": 1, "to": 2 } }), "how: Refused(\"No number wanted"),
        (connection("connect", 1, "command"), "how: Done"),
        (connection("remove", 1, "command"), "how: Done"),
        (connection("connect", 0, "page"), "how: Done"),
        (connection("remove", 0, "page"), "how: Done"),
        (connection("connect", 1, "page"), "how: Refused"),
        (channel("renamed"), "Taken"),
        (channel("deleted"), "Taken"),
        (channel("restored"), "Taken"),
        (team(json!("archived")), "Taken"),
        (team(json!("unarchived")), "Taken"),
        (team(json!("app_removed")), "Taken"),
        (team(json!({ "app_added": 0 })), "Taken"),
        (json!({ "burst": { "case": 7, "count": 30, "service": 1 } }), "Opened"),
        (press(0, json!({ "storm": { "channel": 1 } }), nth(0), once(), json!([0, 0]), 11), "on_card: false"),
        (json!({ "disconnect": { "person": 0, "team": 0 } }), "how: Done"),
        (json!({ "authorize": { "person": 0, "team": 0 } }), "how: Done"),
        (team(json!("renamed")), "Taken"),
    ]
}

#[tokio::test(start_paused = true)]
async fn everything_that_can_be_drawn_can_be_done() {
    let mut drawn = BTreeSet::new();
    for seed in 0..30 {
        for Step { act, .. } in Script::draw(&mut Dice::new(seed), 200, SPAN).0 {
            drawn.append(&mut kinds(&act));
        }
    }
    let all = everything();
    let done: BTreeSet<String> =
        all.iter().flat_map(|(act, _)| kinds(&serde_json::from_value(act.clone()).unwrap())).collect();
    assert_eq!(drawn, done);

    let world = found(3).await;
    let _platform = platform(&world.inside);
    let mut wrong = Vec::new();
    for (written, expected) in all {
        let what: Act = serde_json::from_value(written).unwrap();
        let did = format!("{:?}", Box::pin(act(&world, &what)).await);
        if !expected.split('|').any(|part| did.contains(part)) {
            wrong.push(format!("{what:?}: {did}"));
        }
        // The cards have to follow.
        sleep(Duration::from_secs(20)).await;
    }
    assert_eq!(wrong, [""; 0], "{wrong:#?}");
    assert_eq!(world.inside.pagerduty.unknown_requests(), [""; 0]);
    assert_eq!(world.inside.teams.unknown_requests(), [""; 0]);
    assert_eq!(world.inside.teams.complaints(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_town_is_the_same_again_from_its_seed_and_everybody_lives_there() {
    let town = found(5).await.town;
    assert_eq!(town, found(5).await.town);
    assert!((4..=6).contains(&town.channels.len()) && (4..=6).contains(&town.services.len()), "{town:?}");
    assert!((0..town.channels.len()).all(|channel| town.connected.iter().any(|(_, shown_in)| *shown_in == channel)));
    assert!(town.only_high.iter().all(|one| town.connected.contains(one)) && !town.only_high.is_empty());
    let people: Vec<_> = town.people.iter().map(|one| (one.pagerduty.is_some(), one.is_linked, one.may_act)).collect();
    let (linked, not_linked, reader, without) =
        ((true, true, true), (true, false, true), (true, true, false), (false, false, false));
    assert_eq!(people, [linked, linked, not_linked, reader, without]);
}
