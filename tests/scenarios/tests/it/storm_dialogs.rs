//! The dialogs of a storm's card: the list, one incident as a card of its own, and acknowledging many.

use domain::ids::{AccountId, TeamId};
use jiff::SignedDuration;
use serde_json::{Value, json};
use simulators::pagerduty::Fault;
use simulators::teams::{HttpAnswer, Task};

use crate::card::message;
use crate::world::{Browser, Card, World, account};

const UNKNOWN: &str = "I do not know this incident storm here.";
const LEFT: &str = "This team is no longer connected to the PagerDuty account of this card";

/// A world in which so many incidents of Payments come at once.
struct Storm {
    world: World,
    /// The oldest first.
    incidents: Vec<String>,
}

impl Storm {
    async fn of(count: usize) -> Self {
        let world = Box::pin(World::new()).await;
        let mut incidents = Vec::new();
        for number in 0..count {
            incidents.push(world.trigger("Payments", &format!("Incident {number}")).await);
        }
        Box::pin(world.settle()).await;
        let storm = Self { world, incidents };
        Box::pin(storm.catch_up()).await;
        storm
    }

    /// The same, and Ada is linked.
    async fn linked(count: usize) -> Self {
        let storm = Self::of(count).await;
        Box::pin(storm.world.link("Ada Wong")).await;
        storm
    }

    /// Lets the card show what there is.
    async fn catch_up(&self) {
        self.world.advance(SignedDuration::from_secs(15)).await;
    }

    fn card(&self) -> Card {
        let mut cards = self.world.cards("Payments");
        cards.retain(|card| card.shows("Incident storm") || card.shows("Storm over"));
        assert_eq!(cards.len(), 1, "one card for the storm");
        cards.remove(0)
    }

    async fn open(&self, who: &str, button: &str) -> Task {
        self.world.tick(SignedDuration::from_millis(1));
        let who = self.world.person(who).teams;
        self.world.teams().click(&who, &self.card().message.id, button, json!({})).await.unwrap().task()
    }

    async fn press_with(&self, who: &str, button: &str, inputs: Value) -> Task {
        self.world.tick(SignedDuration::from_millis(1));
        let who = self.world.person(who).teams;
        self.world.teams().submit_dialog(&who, button, inputs).await.unwrap().task()
    }

    async fn press(&self, who: &str, button: &str) -> Task {
        self.press_with(who, button, json!({})).await
    }

    /// What a button of the storm's card carries.
    fn data(&self, button: &str) -> Value {
        let card = self.card().message.card.unwrap();
        let actions = card["actions"].as_array().unwrap().clone();
        let action = actions.into_iter().find(|action| action["title"] == button).unwrap();
        action["data"].clone()
    }

    async fn forge(&self, message: &Card, changes: Value) -> HttpAnswer {
        let mut data = self.data("Show list");
        for (key, value) in changes.as_object().unwrap() {
            data[key] = value.clone();
        }
        let ada = self.world.person("Ada Wong").teams;
        self.world.teams().task_submit(&ada, &message.message.id, data).await.unwrap()
    }

    /// Another account has a storm of the same name in the same channel.
    async fn copy_to_account(&self, other: &str) {
        let (store, other) = (&self.world.stack.app.store, AccountId::new(other).unwrap());
        let channel = self.world.card_key("Payments", "Q1").channel;
        let state = store.channel_state(&account(), &channel).await.unwrap();
        assert_eq!(state.storms.len(), 1);
        let (epoch, _) = store.begin_epoch(&other, &channel).await.unwrap();
        assert!(store.put_state(&other, &channel, epoch, &state).await.unwrap());
    }

    /// Every row from the open page on, by incident, the newest first.
    async fn all_pages(&self, mut page: Task) -> Vec<String> {
        let mut found = picks(&page);
        for _ in 0..20 {
            if !titles(&page).contains(&"Next page".to_owned()) {
                return found;
            }
            page = self.press("Ada Wong", "Next page").await;
            found.extend(picks(&page));
        }
        panic!("the list does not end")
    }

    fn newest_first(&self) -> Vec<String> {
        self.incidents.iter().rev().cloned().collect()
    }

    fn in_status(&self, status: &str) -> usize {
        self.incidents.iter().filter(|id| self.world.status_in_pagerduty(id) == status).count()
    }
}

#[track_caller]
fn dialog(task: &Task) -> &Value {
    match task {
        Task::Dialog { card, .. } => card,
        other => panic!("a dialog was expected, not {other:?}"),
    }
}

#[track_caller]
fn shows(task: &Task, text: &str) {
    assert!(dialog(task).to_string().contains(text), "{text}: {}", dialog(task));
}

/// The incidents that can be picked: those of the page's rows.
#[track_caller]
fn picks(task: &Task) -> Vec<String> {
    let body = dialog(task)["body"].as_array().unwrap();
    let pick = body.iter().find(|element| element["id"] == "stormPick");
    let choices = pick.and_then(|pick| pick["choices"].as_array()).into_iter().flatten();
    choices.map(|choice| choice["value"].as_str().unwrap().to_owned()).collect()
}

fn titles(task: &Task) -> Vec<String> {
    let actions = dialog(task)["actions"].as_array().cloned().unwrap_or_default();
    actions.iter().map(|action| action["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_list_shows_every_incident_once_while_more_come_on_top() {
    let storm = Storm::of(60).await;
    let first = storm.open("Ada Wong", "Show list").await;
    shows(&first, "1-10 of 60 open");
    let mut found = picks(&first);
    let second = storm.press("Ada Wong", "Next page").await;
    shows(&second, "11-20 of 60 open");
    for number in 0..15 {
        storm.world.trigger("Payments", &format!("Later {number}")).await;
    }
    storm.world.settle().await;
    storm.catch_up().await;
    found.extend(storm.all_pages(second).await);
    assert_eq!(found, storm.newest_first());
    let again = storm.press("Ada Wong", "First page").await;
    shows(&again, "1-10 of 75 open");
    assert!(picks(&again).iter().all(|id| !storm.incidents.contains(id)), "the newest");
    storm.world.finish();
}

#[tokio::test]
async fn the_list_can_be_filtered_by_status_and_service() {
    let storm = Storm::of(40).await;
    let world = &storm.world;
    let ben = world.pagerduty_user("Ben Okafor");
    let (taken, over) = (&storm.incidents[..14], &storm.incidents[20..23]);
    taken.iter().for_each(|id| world.pagerduty().acknowledge(id, &ben));
    over.iter().for_each(|id| world.pagerduty().resolve(id, &ben));
    let checkout = world.pagerduty().add_service("Checkout");
    let channel = world.demo().channels.iter().find(|channel| channel.name == "Payments").unwrap().channel.clone();
    local::connect(&world.stack.app, &world.demo().team, &channel, &checkout, "Checkout").await.unwrap();
    let mut carts = Vec::new();
    for _ in 0..12 {
        carts.push(world.trigger_in(&checkout, "Carts").await);
    }
    world.settle().await;
    storm.catch_up().await;

    storm.open("Ada Wong", "Show list").await;
    let filtered = |status: &str, service: &str| json!({ "stormStatus": status, "stormService": service });
    let mut expected: Vec<String> = taken.to_vec();
    expected.reverse();
    let page = storm.press_with("Ada Wong", "Apply filter", filtered("acknowledged", "*")).await;
    shows(&page, "1-10 of 14 acknowledged");
    assert_eq!(storm.all_pages(page).await, expected, "a page keeps its filter");
    let page = storm.press_with("Ada Wong", "Apply filter", filtered("resolved", "*")).await;
    shows(&page, "1-3 of 3 resolved");
    assert_eq!(picks(&page).len(), 3);
    let page = storm.press_with("Ada Wong", "Apply filter", filtered("open", &checkout)).await;
    shows(&page, "1-10 of 12 open");
    shows(&page, "Payments (37 open)");
    shows(&page, "Checkout (12 open)");
    carts.reverse();
    assert_eq!(storm.all_pages(page).await, carts);
    let page = storm.press_with("Ada Wong", "Apply filter", filtered("all", "*")).await;
    assert_eq!(storm.all_pages(page).await.len(), 52);
    storm.world.finish();
}

#[tokio::test]
async fn one_of_them_gets_its_own_card() {
    let storm = Storm::of(30).await;
    let world = &storm.world;
    storm.open("Ben Okafor", "Show list").await;
    let page = storm.press("Ben Okafor", "Next page").await;
    let picked = picks(&page)[3].clone();
    shows(&storm.press("Ben Okafor", "Show as card").await, "Please choose an incident");
    let page = storm.press_with("Ben Okafor", "Show as card", json!({ "stormPick": picked })).await;
    shows(&page, "gets its own card in the channel in a moment");
    shows(&page, "11-20 of 30 open");
    world.settle().await;
    storm.catch_up().await;
    let mut own = world.cards("Payments");
    own.retain(|card| card.json().contains(&picked) && card.buttons().contains(&"Acknowledge".to_owned()));
    assert_eq!(own.len(), 1, "it has its own card");
    assert!(storm.card().shows("29 open"), "{}", storm.card().text());

    // What the dialog still shows may be gone by now.
    let page = storm.press_with("Ben Okafor", "Show as card", json!({ "stormPick": picked })).await;
    shows(&page, "has its own card already");
    shows(&page, "11-20 of 29 open");
    assert!(!picks(&page).contains(&picked));
    let resolved = picks(&page)[0].clone();
    world.pagerduty().resolve(&resolved, &world.pagerduty_user("Ben Okafor"));
    world.settle().await;
    let page = storm.press_with("Ben Okafor", "Show as card", json!({ "stormPick": resolved })).await;
    shows(&page, "is resolved by now");
    let cards = world.cards("Payments").len();
    storm.catch_up().await;
    assert_eq!(world.cards("Payments").len(), cards);
    storm.world.finish();
}

#[tokio::test]
async fn acknowledge_shown_asks_and_leaves_alone_what_was_resolved_meanwhile() {
    let mut storm = Storm::linked(60).await;
    let question = storm.open("Ada Wong", "Acknowledge shown").await;
    shows(&question, "60 triggered incidents will be acknowledged in your name.");
    assert_eq!(storm.in_status("triggered"), 60, "nothing happens before the question is answered");
    let ben = storm.world.pagerduty_user("Ben Okafor");
    storm.incidents[7..9].iter().for_each(|id| storm.world.pagerduty().resolve(id, &ben));
    let answer = storm.press("Ada Wong", "Acknowledge 60").await;
    shows(&answer, "58 acknowledged; 2 were resolved meanwhile.");
    assert_eq!((storm.in_status("acknowledged"), storm.in_status("resolved")), (58, 2));
    let log = storm.world.pagerduty().incident(&storm.incidents[0]).unwrap().to_string();
    assert!(log.contains(&storm.world.pagerduty_user("Ada Wong")), "as the person: {log}");
    storm.world.settle().await;
    storm.catch_up().await;
    assert!(storm.card().shows("58 acknowledged · 2 resolved"), "{}", storm.card().text());

    // Others are the newest by now; the same press does not reach them.
    for number in 0..3 {
        storm.incidents.push(storm.world.trigger("Payments", &format!("Later {number}")).await);
    }
    storm.world.settle().await;
    let again = storm.world.teams().redeliver().await.unwrap();
    assert_eq!(message(again.task()), "58 acknowledged; 2 were resolved meanwhile.");
    assert_eq!(storm.in_status("triggered"), 3);
    storm.world.finish();
}

#[tokio::test]
async fn acknowledge_these_means_what_the_list_shows() {
    let storm = Storm::linked(30).await;
    let world = &storm.world;
    let ben = world.pagerduty_user("Ben Okafor");
    storm.incidents[..5].iter().for_each(|id| world.pagerduty().acknowledge(id, &ben));
    world.settle().await;
    storm.catch_up().await;
    storm.open("Ada Wong", "Show list").await;
    let question = storm.press("Ada Wong", "Acknowledge these").await;
    shows(&question, "25 triggered incidents will be acknowledged in your name.");
    shows(&storm.press("Ada Wong", "Acknowledge 25").await, "25 acknowledged.");
    assert_eq!(storm.in_status("acknowledged"), 30);
    world.settle().await;
    storm.catch_up().await;
    let nothing = storm.open("Ada Wong", "Show list").await;
    shows(&nothing, "1-10 of 30 open");
    let nothing = storm.press("Ada Wong", "Acknowledge these").await;
    shows(&nothing, "Nothing to acknowledge");
    shows(&storm.press("Ada Wong", "Show list").await, "1-10 of 30 open");
    storm.world.finish();
}

#[tokio::test]
async fn acknowledge_mine_touches_only_what_is_assigned_to_the_person() {
    let storm = Storm::linked(20).await;
    let world = &storm.world;
    let (ada, ben) = (world.pagerduty_user("Ada Wong"), world.pagerduty_user("Ben Okafor"));
    for (at, id) in storm.incidents.iter().enumerate() {
        world.pagerduty().reassign(id, &ben, if at < 5 { &ada } else { &ben });
    }
    let elsewhere = world.trigger("Search", "Index stale").await;
    world.pagerduty().reassign(&elsewhere, &ben, &ada);
    world.settle().await;
    let own = json!({ "dialog": "list", "verb": "card", "stormPick": storm.incidents[4] });
    shows(&storm.forge(&storm.card(), own).await.task(), "gets its own card");
    world.settle().await;
    storm.catch_up().await;
    let question = storm.open("Ada Wong", "Acknowledge mine").await;
    shows(&question, "4 triggered incidents, all assigned to you, will be acknowledged in your name.");
    // One of them is somebody else's by the time of the answer.
    world.pagerduty().reassign(&storm.incidents[3], &ben, &ben);
    shows(&storm.press("Ada Wong", "Acknowledge 4").await, "3 acknowledged.");
    let acknowledged: Vec<bool> =
        storm.incidents.iter().map(|id| world.status_in_pagerduty(id) == "acknowledged").collect();
    assert_eq!(acknowledged.iter().filter(|is| **is).count(), 3);
    assert!(acknowledged[..3].iter().all(|is| *is));
    assert_eq!(world.status_in_pagerduty(&elsewhere), "triggered", "it is in another channel");
    assert_eq!(world.status_in_pagerduty(&storm.incidents[4]), "triggered", "it is no row any more");
    let nothing = storm.open("Ada Wong", "Acknowledge mine").await;
    shows(&nothing, "No incident that is triggered here is assigned to you.");
    world.settle().await;
    storm.world.finish();
}

#[tokio::test]
async fn somebody_who_is_not_linked_gets_a_private_link_and_changes_nothing() {
    let storm = Storm::of(20).await;
    let world = &storm.world;
    let told = message(storm.open("Ben Okafor", "Acknowledge mine").await);
    assert!(told.contains("private message with a personal link"), "{told}");
    storm.open("Ben Okafor", "Acknowledge shown").await;
    let told = message(storm.press("Ben Okafor", "Acknowledge 20").await);
    assert!(told.contains("private message with a personal link"), "{told}");
    assert_eq!(storm.in_status("triggered"), 20);
    let private = world.private_cards("Ben Okafor");
    assert_eq!(private.len(), 2);
    assert!(private.iter().all(|card| card.link().contains("/oauth/start?ticket=")));
    assert!(world.private_cards("Ada Wong").is_empty());
    // The list is for everybody.
    shows(&storm.open("Ben Okafor", "Show list").await, "1-10 of 20 open");

    world.complete_link(&Browser::new(), "Ben Okafor", "Ben Okafor").await;
    world.pagerduty().revoke_tokens(&world.pagerduty_user("Ben Okafor"));
    for button in ["Acknowledge mine", "Acknowledge shown"] {
        let opened = storm.open("Ben Okafor", button).await;
        let told =
            if button == "Acknowledge mine" { opened } else { storm.press("Ben Okafor", "Acknowledge 20").await };
        assert!(message(told).contains("private message with a personal link"), "{button}");
    }
    assert_eq!(storm.in_status("triggered"), 20);
    storm.world.finish();
}

#[tokio::test]
async fn pagerduty_decides_who_may_acknowledge() {
    let storm = Storm::of(12).await;
    storm.world.add_person("Olga Observer", "observer").await;
    storm.world.link("Olga Observer").await;
    let ben = storm.world.pagerduty_user("Ben Okafor");
    storm.incidents.iter().for_each(|id| storm.world.pagerduty().reassign(id, &ben, &ben));
    storm.open("Olga Observer", "Acknowledge shown").await;
    let answer = storm.press("Olga Observer", "Acknowledge 12").await;
    shows(&answer, "12 failed: PagerDuty does not allow you to do this.");
    assert_eq!(storm.in_status("triggered"), 12);
    storm.world.settle().await;
    storm.world.finish();
}

#[tokio::test]
async fn a_forged_button_reads_and_does_nothing() {
    let storm = Storm::linked(20).await;
    let world = &storm.world;
    let other = world.trigger("Search", "Index stale").await;
    world.settle().await;
    let acknowledge = |change: Value| {
        let mut all = json!({ "dialog": "acknowledgeShown", "verb": "acknowledge" });
        all.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        all
    };
    let list = json!({ "dialog": "list", "verb": "show" });
    storm.copy_to_account("POTHER").await;
    let with = |change: &Value| {
        let mut all = list.clone();
        all.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        all
    };
    for (change, why) in [(json!({ "storm": "999" }), UNKNOWN), (json!({ "account": "POTHER" }), LEFT)] {
        for data in [acknowledge(change.clone()), with(&change)] {
            let told = message(storm.forge(&storm.card(), data).await.task());
            assert!(told.starts_with(why), "{change}: {told}");
        }
    }
    // The right storm in another channel.
    let elsewhere = world.only_card("Search");
    for data in [acknowledge(json!({})), list.clone()] {
        let told = message(storm.forge(&elsewhere, data).await.task());
        assert!(told.starts_with(UNKNOWN), "{told}");
    }
    // An incident of another channel, and one that is none.
    for picked in [other.as_str(), "QNONE"] {
        let pick = json!({ "dialog": "list", "verb": "card", "stormPick": picked });
        shows(&storm.forge(&storm.card(), pick).await.task(), "not in this list any more");
    }
    let token = json!({ "dialog": "list", "verb": "next", "after": "RECORD", "from": 10 });
    assert_eq!(picks(&storm.forge(&storm.card(), token).await.task()).len(), 10);
    // Nobody skips the question with the button that opens the dialog.
    let ada = world.person("Ada Wong").teams;
    let mut data = storm.data("Acknowledge shown");
    data["verb"] = json!("acknowledge");
    let opened = world.teams().task_fetch(&ada, &storm.card().message.id, data).await.unwrap();
    shows(&opened.task(), "will be acknowledged in your name");

    let team = TeamId::new(world.demo().team.as_str()).unwrap();
    let now = world.stack.app.clock.now();
    let store = &world.stack.app.store;
    let removed = |known: Option<domain::connection::Installation>| {
        Some(domain::connection::Installation { removed_at: Some(now), ..known? })
    };
    store.change_installation(&team, removed).await.unwrap();
    for data in [acknowledge(json!({})), list] {
        let told = message(storm.forge(&storm.card(), data).await.task());
        assert!(told.starts_with(LEFT), "{told}");
    }
    assert_eq!(storm.in_status("triggered"), 20);
    assert_eq!(world.status_in_pagerduty(&other), "triggered");
    assert_eq!(world.cards("Payments").len(), 1, "no card but the storm's");
    storm.world.finish();
}

#[tokio::test]
async fn when_pagerduty_does_not_answer_nothing_is_done_and_the_person_is_told() {
    let storm = Storm::linked(20).await;
    let world = &storm.world;
    for fault in [Fault::Hang, Fault::Status(503), Fault::RateLimited(None)] {
        world.pagerduty().fail_next_at("GET /incidents", 1, &fault);
        let told = message(storm.open("Ada Wong", "Acknowledge mine").await);
        assert!(told.contains("PagerDuty is busy"), "{fault:?}: {told}");
        storm.open("Ada Wong", "Acknowledge shown").await;
        world.pagerduty().fail_next_at("GET /incidents", 1, &fault);
        let told = message(storm.press("Ada Wong", "Acknowledge 20").await);
        assert!(told.contains("PagerDuty is busy"), "{fault:?}: {told}");
    }
    assert_eq!(storm.in_status("triggered"), 20);
    // The list does not ask PagerDuty.
    world.pagerduty().fail_next(1, &Fault::Hang);
    shows(&storm.open("Ada Wong", "Show list").await, "1-10 of 20 open");
    world.pagerduty().clear_faults();
    storm.world.finish();
}

#[tokio::test]
async fn a_token_that_stays_refused_is_told_and_is_no_missing_link() {
    let storm = Storm::linked(12).await;
    let before = storm.world.private_cards("Ada Wong").len();
    for button in ["Acknowledge mine", "Acknowledge shown"] {
        if button == "Acknowledge shown" {
            storm.open("Ada Wong", button).await;
        }
        storm.world.pagerduty().fail_next(40, &Fault::Status(401));
        let told = match button {
            "Acknowledge mine" => message(storm.open("Ada Wong", button).await),
            _ => message(storm.press("Ada Wong", "Acknowledge 12").await),
        };
        assert_eq!(told, cards::text::LOG_IN_REFUSED, "{button}");
        storm.world.pagerduty().clear_faults();
    }
    assert_eq!(storm.world.private_cards("Ada Wong").len(), before, "no personal link");
    assert_eq!(storm.in_status("triggered"), 12);
    storm.world.finish();
}

#[tokio::test]
async fn a_log_in_that_was_lost_is_told_before_anything_is_acknowledged() {
    let storm = Storm::linked(12).await;
    storm.world.tick(SignedDuration::from_hours(25));
    storm.world.pagerduty().fail_next_token(1, &Fault::DropAnswerAfterApplying);
    storm.open("Ada Wong", "Acknowledge mine").await;
    let told = message(storm.open("Ada Wong", "Acknowledge mine").await);
    assert_eq!(told, cards::text::RELINK_SENT);
    assert_eq!(storm.in_status("triggered"), 12);
    storm.world.finish();
}

#[tokio::test]
async fn what_was_resolved_between_looking_and_acknowledging_is_named() {
    let storm = Storm::linked(12).await;
    storm.open("Ada Wong", "Acknowledge shown").await;
    storm.world.tick(SignedDuration::from_mins(1));
    storm.world.pagerduty().fail_next_at("GET /incidents", 1, &Fault::Slow(std::time::Duration::from_millis(200)));
    let resolve = async {
        while storm.world.pagerduty().pending_faults() > 0 {
            tokio::task::yield_now().await;
        }
        storm.world.tick(SignedDuration::from_secs(1));
        storm.world.pagerduty().resolve(&storm.incidents[11], &storm.world.pagerduty_user("Ben Okafor"));
    };
    let (page, ()) = tokio::join!(storm.press("Ada Wong", "Acknowledge 12"), resolve);
    shows(&page, "12 acknowledged; 1 of them had just been resolved and is open again.");
    shows(&page, "Ben Okafor had just resolved it; your acknowledgement has reopened it");
    assert_eq!(storm.in_status("acknowledged"), 12);
    storm.world.finish();
}

#[tokio::test]
async fn the_list_of_a_storm_that_is_over_is_there_still() {
    let storm = Storm::of(20).await;
    let world = &storm.world;
    let (list, card) = (storm.data("Show list"), storm.card());
    let ben = world.pagerduty_user("Ben Okafor");
    storm.incidents.iter().for_each(|id| world.pagerduty().resolve(id, &ben));
    world.settle().await;
    world.advance(SignedDuration::from_mins(20)).await;
    let channel = world.card_key("Payments", "Q1").channel;
    let state = world.stack.app.store.channel_state(&account(), &channel).await.unwrap();
    assert_eq!(state.storms, [], "the sender follows it no more");
    let ada = world.person("Ada Wong").teams;
    let page = world.teams().task_fetch(&ada, &card.message.id, list).await.unwrap().task();
    shows(&page, "There is no open incident here");
    let all = json!({ "stormStatus": "all", "stormService": "*" });
    let page = storm.press_with("Ada Wong", "Apply filter", all).await;
    shows(&page, "1-10 of 20");
    assert_eq!(storm.all_pages(page).await, storm.newest_first());
    storm.world.finish();
}
