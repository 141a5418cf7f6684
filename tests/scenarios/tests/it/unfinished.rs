//! What is unfinished stays a fact of the table: whoever dies, and whatever becomes of queue messages, it is finished.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsEvent;
use domain::behind::Subject;
use domain::connection::ConnectionKey;
use domain::ids::{ChannelId, IncidentId, ServiceId, TeamId};
use domain::incident::Asked;
use jiff::SignedDuration;
use runtime::Metric;
use serde_json::{Value, json};

use crate::platform::{AdminPage, Platform, path};
use crate::world::{Browser, Fault, World, account};

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

impl World {
    pub(crate) fn payments(&self) -> ChannelId {
        let channels = &self.demo().channels;
        ChannelId::new(channels.iter().find(|channel| channel.name == "Payments").unwrap().channel.as_str()).unwrap()
    }

    /// How much is unfinished in the channel of Payments.
    pub(crate) async fn unfinished(&self) -> usize {
        self.stack.app.store.behind_set(&account(), &self.payments()).await.unwrap().len()
    }

    pub(crate) fn queued(&self) -> usize {
        let depth = self.stack.aws.depth("pagerbridge.fifo").unwrap();
        depth.visible + depth.in_flight
    }

    pub(crate) async fn next_batch(&self) -> SqsEvent {
        let app = &self.stack.app;
        let sqs = runtime::AwsClients::new(&app.config.aws).sqs;
        local::receive_batch(&sqs, &app.config.queue_url, 0).await.unwrap()
    }

    /// SQS loses what is in the queue.
    async fn lose_messages(&self) -> usize {
        let app = &self.stack.app;
        let sqs = runtime::AwsClients::new(&app.config.aws).sqs;
        let mut lost = 0;
        loop {
            let batch = self.next_batch().await;
            if batch.records.is_empty() {
                return lost;
            }
            for message in batch.records {
                let receipt = message.receipt_handle.unwrap();
                sqs.delete_message().queue_url(&app.config.queue_url).receipt_handle(receipt).send().await.unwrap();
                lost += 1;
            }
        }
    }

    /// A sender takes the next message and dies while Teams lets it wait.
    async fn sender_dies(&self) {
        self.fail_posts("Payments", 1, &Fault::Hang);
        let batch = self.next_batch().await;
        assert_eq!(batch.records.len(), 1);
        let asked = async {
            while self.teams().pending_faults() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = notification_sender::handle(&self.stack.app, batch, Duration::from_secs(60)) => {
                panic!("it was to die in the middle")
            }
            () = asked => {}
        }
    }
}

async fn lines(page: &AdminPage<'_>, query: &str) -> Vec<Value> {
    let (status, found) = page.get(&format!("/deliveries?{query}")).await;
    assert_eq!(status, 200, "{found}");
    found["deliveries"].as_array().unwrap().clone()
}

async fn remove_payments(world: &World, page: &AdminPage<'_>) {
    let service = world.service("Payments");
    let (team, channel) = (path(&world.demo().team), path(world.payments().as_str()));
    let (status, removed) = page.write("DELETE", &format!("/teams/{team}/connections/{service}/{channel}"), None).await;
    assert_eq!(status, 200, "{removed}");
}

#[tokio::test]
async fn any_number_of_changes_is_one_message_and_all_are_shown() {
    let world = World::with("PAGERBRIDGE_STORM_POSTS", "100").await;
    for number in 0..30 {
        world.trigger("Payments", &format!("Incident {number}")).await;
    }
    world.deliver_webhooks().await;
    assert_eq!((world.queued(), world.unfinished().await), (1, 30));
    world.settle_all().await;
    assert_eq!((world.cards("Payments").len(), world.unfinished().await, world.queued()), (30, 0, 0));
    world.finish();
}

#[tokio::test]
async fn a_lost_message_costs_the_time_to_the_next_short_round() {
    let world = World::new().await;
    world.trigger("Payments", "DB down").await;
    world.deliver_webhooks().await;
    assert_eq!(world.lose_messages().await, 1);
    // SQS remembers the lost one: as long as nobody has been there, what comes next sends nothing new.
    world.trigger("Payments", "Disk full").await;
    world.settle().await;
    assert_eq!(world.cards("Payments").len(), 0);
    world.advance(MINUTE).await;
    assert_eq!((world.cards("Payments").len(), world.unfinished().await), (2, 0));
    world.finish();
}

#[tokio::test]
async fn somebody_who_asks_for_a_card_does_not_wait_for_a_lost_message() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    let incident = world.trigger("Payments", "DB down").await;
    world.deliver_webhooks().await;
    world.lose_messages().await;
    let wish = json!({ "incident": incident, "channel": world.payments().as_str() });
    assert_eq!(page.write("POST", "/deliveries/replay", Some(wish)).await.0, 202);
    world.settle().await;
    assert_eq!(world.cards("Payments").len(), 1);
    world.finish();
}

#[tokio::test]
async fn what_a_dying_function_marked_and_never_stored_is_asked_of_pagerduty() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.tick(MINUTE);
    world.pagerduty().acknowledge(&incident, &world.pagerduty_user("Ada Wong"));
    let told = world.take_undelivered();
    assert_eq!(told.len(), 1, "PagerDuty's message is taken by a function that dies after its first write");
    let key = world.card_key("Payments", &incident);
    let known = world.stack.app.store.record(&key.account, &key.incident).await.unwrap().unwrap();
    let cause = domain::cause::Cause {
        id: domain::ids::CauseId::new("E-lost").unwrap(),
        occasion: domain::cause::Occasion::Webhook,
        at: world.stack.app.clock.now(),
        happened_at: None,
    };
    let wanted = domain::incident::RecordVersion(known.version.0 + 1);
    let team = TeamId::new(world.demo().team.as_str()).unwrap();
    let wish = domain::behind::Wish::Shown;
    let mark = domain::behind::Mark::card(
        &known.record,
        wanted,
        (key.channel.clone(), team),
        &cause,
        wish,
        &Default::default(),
    );
    incidents::want(&world.stack.app, &[mark]).await.unwrap();
    world.advance(SECOND * 9).await;
    assert!(world.only_card("Payments").shows_status("triggered"));
    world.advance(SECOND * 2).await;
    let card = world.only_card("Payments");
    assert!(card.shows_status("acknowledged") && card.edits() == 1, "{}", card.summary());
    world.settle_all().await;
    assert_eq!((world.unfinished().await, world.queued()), (0, 0));

    // The same once more, and nothing has happened in PagerDuty.
    let known = world.stack.app.store.record(&key.account, &key.incident).await.unwrap().unwrap();
    let wanted = domain::incident::RecordVersion(known.version.0 + 1);
    let team = TeamId::new(world.demo().team.as_str()).unwrap();
    let cause = domain::cause::Cause { at: world.stack.app.clock.now(), ..cause };
    let mark =
        domain::behind::Mark::card(&known.record, wanted, (key.channel, team), &cause, wish, &Default::default());
    incidents::want(&world.stack.app, &[mark]).await.unwrap();
    world.settle_all().await;
    assert_eq!((world.unfinished().await, world.queued(), world.only_card("Payments").edits()), (0, 0, 1));
    world.finish();
}

#[tokio::test]
async fn one_passing_403_on_an_edit_heals_by_itself() {
    for code in ["BotNotInConversationRoster", "ConversationBlockedByUser"] {
        let world = World::new().await;
        let incident = world.trigger("Payments", "DB down").await;
        world.settle().await;
        world.fail_posts("Payments", 1, &Fault::status(403, code));
        world.tick(MINUTE);
        world.pagerduty().resolve(&incident, &world.pagerduty_user("Ada Wong"));
        world.settle().await;
        assert!(world.only_card("Payments").shows_status("triggered"));
        assert!(world.connection_is_broken("Payments").await);
        world.advance(MINUTE).await;
        assert!(world.only_card("Payments").shows_status("resolved"), "{code}");
        assert!(!world.connection_is_broken("Payments").await);
        world.finish();
    }
}

#[tokio::test]
async fn a_trigger_and_its_resolve_within_an_outage_are_shown_after_it() {
    let world = World::new().await;
    world.fail_posts("Payments", 1000, &Fault::status(503, ""));
    let incident = world.trigger("Payments", "DB down").await;
    world.advance(MINUTE * 10).await;
    world.pagerduty().resolve(&incident, &world.pagerduty_user("Ada Wong"));
    world.advance(MINUTE * 50).await;
    assert_eq!(world.cards("Payments").len(), 0);
    world.teams().clear_faults();
    world.advance(MINUTE * 5).await;
    assert!(world.only_card("Payments").shows_status("resolved"));
    world.finish();
}

#[tokio::test]
async fn a_card_that_gets_no_answer_delays_no_other_card() {
    let world = World::new().await;
    world.fail_posts("Payments", 4, &Fault::status(500, "ServiceError"));
    world.trigger("Payments", "DB down").await;
    world.settle().await;
    for number in 0..3 {
        // While the first one waits for its second, third and fourth try.
        world.trigger("Payments", &format!("Incident {number}")).await;
        world.deliver_webhooks().await;
        world.advance(SECOND).await;
    }
    world.teams().clear_faults();
    world.advance(MINUTE).await;
    assert_eq!((world.cards("Payments").len(), world.unfinished().await), (4, 0));
    world.finish();
}

#[tokio::test]
async fn three_deaths_of_its_sender_park_an_incident_and_nobody_else() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    let deadly = world.trigger("Payments", "DB down").await;
    world.deliver_webhooks().await;
    for _ in 0..3 {
        world.sender_dies().await;
        world.tick(SignedDuration::from_secs(75));
    }
    world.trigger("Payments", "Disk full").await;
    world.settle_all().await;
    assert!(world.only_card("Payments").shows("Disk full"));
    let line = lines(&page, &format!("incident={deadly}")).await.remove(0);
    assert_eq!(line["outcome"], json!("refused"));
    assert!(line["why"].as_str().unwrap().contains("senders"), "{line}");
    assert_eq!(world.unfinished().await, 1, "it is parked");
    world.reconcile().await;
    assert_eq!((world.counted(Metric::Parked), world.counted(Metric::CardsParked)), (1.0, 1.0));

    let wish = json!({ "incident": deadly, "channel": world.payments().as_str() });
    assert_eq!(page.write("POST", "/deliveries/replay", Some(wish)).await.0, 202);
    world.settle_all().await;
    assert_eq!((world.cards("Payments").len(), world.unfinished().await), (2, 0));
    assert_eq!(world.card_record("Payments", &deadly).await.possible_doubles, 1, "each death may have left a message");
    world.finish();
}

#[tokio::test]
async fn a_dead_senders_post_is_repeated_and_noted_as_a_possible_double() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.deliver_webhooks().await;
    world.sender_dies().await;
    world.advance(SignedDuration::from_secs(75)).await;
    assert_eq!(world.cards("Payments").len(), 1);
    assert_eq!(world.card_record("Payments", &incident).await.possible_doubles, 1);
    assert_eq!(world.unfinished().await, 0);
    world.finish();
}

#[tokio::test]
async fn an_edit_without_an_answer_is_repeated_once_more_ten_seconds_after_the_next() {
    for fault in [Fault::NoAnswer, Fault::status(503, ""), Fault::status(500, "ServiceError")] {
        let world = World::new().await;
        let incident = world.trigger("Payments", "DB down").await;
        world.settle().await;
        world.fail_posts("Payments", 1, &fault);
        world.tick(MINUTE);
        world.pagerduty().acknowledge(&incident, &world.pagerduty_user("Ada Wong"));
        world.advance(SECOND).await;
        assert_eq!(world.only_card("Payments").edits(), 1, "{fault:?}");
        world.advance(SECOND * 9).await;
        assert_eq!(world.only_card("Payments").edits(), 1, "{fault:?}");
        world.advance(SECOND).await;
        assert_eq!(world.only_card("Payments").edits(), 2, "a late one would have undone the first: {fault:?}");
        assert_eq!(world.only_card("Payments").replies().len(), 1, "people are told once");
        world.settle_all().await;
        assert_eq!((world.only_card("Payments").edits(), world.unfinished().await), (2, 0));
        world.finish();
    }
}

#[tokio::test]
async fn an_edit_that_takes_effect_after_a_later_one_does_not_stay() {
    let world = World::new().await;
    let ada = world.pagerduty_user("Ada Wong");
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.fail_posts("Payments", 1, &Fault::OvertakesTheNext);
    world.tick(MINUTE);
    world.pagerduty().acknowledge(&incident, &ada);
    world.settle().await;
    assert!(world.only_card("Payments").shows_status("triggered"), "Teams has given it up, as it says");
    world.pagerduty().resolve(&incident, &ada);
    world.advance(SECOND * 2).await;
    assert!(world.only_card("Payments").shows_status("acknowledged"), "the late one has undone the resolution");
    world.advance(SECOND * 10).await;
    assert!(world.only_card("Payments").shows_status("resolved"));
    world.settle_all().await;
    assert_eq!((world.only_card("Payments").edits(), world.unfinished().await), (3, 0));
    world.finish();
}

#[tokio::test]
async fn a_post_whose_answer_was_lost_is_followed_though_nobody_wants_the_incident_any_more() {
    for goes in ["its urgency", "its service"] {
        let world = World::new().await;
        let page = AdminPage::open(&world, "Ada Wong").await;
        let ada = world.pagerduty_user("Ada Wong");
        remove_payments(&world, &page).await;
        let service = world.service("Payments");
        let wish = json!({ "service": service, "channel": world.payments().as_str(), "filter": "high_urgency" });
        let connections = format!("/teams/{}/connections", path(&world.demo().team));
        assert_eq!(page.write("POST", &connections, Some(wish)).await.0, 201);
        world.settle().await;
        let greetings = world.cards("Payments").len();
        world.fail_posts("Payments", 1, &Fault::DropAnswerAfterApplying);
        let incident = world.trigger("Payments", "DB down").await;
        world.deliver_webhooks().await;
        world.settle().await;
        match goes {
            "its urgency" => world.pagerduty().set_urgency(&incident, &ada, "low"),
            _ => {
                let elsewhere = world.pagerduty().add_service("Not connected");
                world.pagerduty().move_to_service(&incident, &ada, &elsewhere);
            }
        }
        world.settle_all().await;
        world.pagerduty().resolve(&incident, &ada);
        world.deliver_webhooks().await;
        world.advance(MINUTE * 5).await;
        world.reconcile().await;
        let cards = world.cards("Payments");
        assert_eq!(cards.len() - greetings, 2, "{goes}");
        assert!(cards.last().unwrap().shows_status("resolved"), "{goes}: one of the two is true");
        world.finish();
    }
}

#[tokio::test]
async fn removing_a_service_leaves_no_card_that_looks_alive() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    let ada = world.pagerduty_user("Ada Wong");
    let open = world.trigger("Payments", "DB down").await;
    let over = world.trigger("Payments", "Disk full").await;
    world.settle().await;
    world.pagerduty().resolve(&over, &ada);
    world.settle().await;
    let elsewhere = world.trigger("Search", "Slow").await;
    world.settle().await;
    world.tick(MINUTE);
    remove_payments(&world, &page).await;
    world.settle().await;
    let cards = world.cards("Payments");
    let card = |title: &str| cards.iter().find(|card| card.shows(title)).unwrap();
    assert!(card("DB down").shows("No longer updated since 23 Nov 2026, 09:01 UTC"), "{}", card("DB down").text());
    assert_eq!(card("DB down").buttons(), Vec::<String>::new());
    let line = lines(&page, &format!("incident={open}")).await.remove(0);
    assert_eq!((&line["occasion"], &line["outcome"]), (&json!("disconnected"), &json!("edited")), "{line}");
    assert!(card("DB down").link().contains(&open), "it can be opened in PagerDuty");
    assert!(!card("Disk full").shows("No longer updated"), "what is over stays as it is");
    assert!(!world.only_card("Search").shows("No longer updated"), "{elsewhere}");
    assert!(!card("DB down").json().contains("acknowledge"), "no button that acts");

    // Nobody follows it any more, until the service is connected again and something happens.
    world.pagerduty().set_priority(&open, &ada, Some("P1"));
    world.settle().await;
    world.reconcile().await;
    assert!(world.cards("Payments").iter().any(|card| card.shows("No longer updated") && !card.shows("P1")));
    let wish = json!({ "service": world.service("Payments"), "channel": world.payments().as_str(), "filter": "all" });
    let connections = format!("/teams/{}/connections", path(&world.demo().team));
    assert_eq!(page.write("POST", &connections, Some(wish)).await.0, 201);
    world.settle().await;
    world.tick(MINUTE);
    world.pagerduty().acknowledge(&open, &ada);
    world.settle().await;
    let cards = world.cards("Payments");
    let alive = cards.iter().find(|card| card.shows("DB down")).unwrap();
    assert!(alive.shows_status("acknowledged") && !alive.shows("No longer updated"), "{}", alive.text());
    assert_eq!(alive.buttons(), ["Resolve", "Add note", "Details"]);
    world.settle_all().await;
    assert_eq!(world.unfinished().await, 0);
    world.finish();
}

#[tokio::test]
async fn a_team_that_comes_back_after_half_a_disconnection_has_no_card_that_looks_alive() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    world.trigger_in(&service, "Till is stuck").await;
    world.settle().await;
    let installation = platform.installation().await;
    // It broke off right after its first step.
    let leaving = domain::connection::Installation {
        leaving: installation.account.clone(),
        account: None,
        ..installation.clone()
    };
    world.stack.app.store.change_installation(&installation.team, |_| Some(leaving.clone())).await.unwrap();
    world.say("Ada Wong", "authorize").await;
    let browser = Browser::new();
    let question = platform.log_in(&browser, "Ada Wong", "Ada Wong").await;
    assert_eq!(world.answer_question(&browser, &question, "link").await.status, 200);
    assert_eq!(platform.connections().await, []);
    world.settle().await;
    let card = platform.posts().pop().unwrap();
    assert!(card.shows("Till is stuck") && card.shows("No longer updated"), "{}", card.text());
    world.finish();
}

#[tokio::test]
async fn an_incident_that_moved_to_an_unconnected_service_is_followed_until_it_is_resolved() {
    let world = World::new().await;
    let ada = world.pagerduty_user("Ada Wong");
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    let elsewhere = world.pagerduty().add_service("Not connected");
    world.tick(MINUTE);
    world.pagerduty().move_to_service(&incident, &ada, &elsewhere);
    world.settle().await;
    world.reconcile().await;
    world.pagerduty().trigger(&elsewhere, "of nobody's interest", "high");
    world.tick(MINUTE);
    world.pagerduty().acknowledge(&incident, &ada);
    world.take_undelivered();
    world.advance(MINUTE * 5).await;
    world.reconcile().await;
    assert!(world.only_card("Payments").shows_status("acknowledged"), "PagerDuty tells nobody of its changes");
    world.pagerduty().resolve(&incident, &ada);
    world.take_undelivered();
    world.advance(MINUTE * 5).await;
    world.reconcile().await;
    assert!(world.only_card("Payments").shows_status("resolved"));
    let known = world.stack.app.store.open_incidents(&account()).await.unwrap();
    assert_eq!(known, [], "what else happens there is nothing to us");
    world.finish();
}

#[tokio::test]
async fn a_restored_channel_catches_up_whatever_has_become_of_its_incidents() {
    let world = World::new().await;
    let ada = world.pagerduty_user("Ada Wong");
    let resolved = world.trigger("Payments", "resolved meanwhile").await;
    let acknowledged = world.trigger("Payments", "acknowledged meanwhile").await;
    world.settle().await;
    world.delete_channel("Payments");
    world.tick(MINUTE);
    world.pagerduty().resolve(&resolved, &ada);
    world.pagerduty().acknowledge(&acknowledged, &ada);
    let came_and_went = world.trigger("Payments", "came and went").await;
    world.advance(MINUTE).await;
    world.pagerduty().resolve(&came_and_went, &ada);
    world.advance(MINUTE * 60).await;
    let state = async || world.stack.app.store.channel_state(&account(), &world.payments()).await.unwrap();
    assert!(state().await.hold.is_some(), "the channel is lost");
    world.restore_channel("Payments").await;
    world.settle().await;
    assert_eq!(state().await.hold, None);
    let cards = world.cards("Payments");
    let late = cards.iter().find(|card| card.shows("came and went")).expect("a line for what came and went");
    assert!(late.text().contains("1 incident was over before this channel could be told"), "{}", late.text());
    for (title, status) in [("resolved meanwhile", "resolved"), ("acknowledged meanwhile", "acknowledged")] {
        let card = cards.iter().find(|card| card.shows(title)).unwrap_or_else(|| panic!("no card of {title}"));
        assert!(card.shows_status(status), "{title}: {}", card.summary());
    }
    assert!(!world.connection_is_broken("Payments").await);
    world.settle_all().await;
    assert_eq!(world.unfinished().await, 0);
    world.teams().take_complaints();
    world.finish();
}

#[tokio::test]
async fn what_waits_says_why() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    world.fail_posts("Payments", 1, &Fault::throttled(30));
    world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.trigger("Payments", "Disk full").await;
    world.deliver_webhooks().await;
    let waiting = lines(&page, "").await;
    assert_eq!(waiting.len(), 2);
    for line in &waiting {
        assert_eq!((&line["outcome"], &line["why"]), (&json!("waiting"), &json!("Throttled")), "{line}");
    }
    assert_eq!(lines(&page, "outcome=waiting").await.len(), 2);
    assert_eq!(lines(&page, "channel=19:elsewhere@thread.tacv2").await.len(), 0);
    assert_eq!(lines(&page, "day=2026-11-22").await.len(), 0);
    // What has waited over midnight waits today.
    world.fail_posts("Payments", 1000, &Fault::status(503, ""));
    world.advance(MINUTE * 10).await;
    world.tick(SignedDuration::from_hours(15));
    world.settle().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    assert_eq!(lines(&page, "").await.len(), 2);
    world.teams().clear_faults();
    world.advance(MINUTE * 6).await;
    let done = lines(&page, "day=2026-11-23").await;
    assert_eq!(done.iter().map(|line| &line["outcome"]).collect::<Vec<_>>(), [&json!("posted"), &json!("posted")]);
    assert_eq!(lines(&page, "").await.len(), 0);
    world.finish();
}

#[tokio::test]
async fn no_change_of_many_is_left_without_an_end_in_the_ledger() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    let ada = world.pagerduty_user("Ada Wong");
    for number in 0..25 {
        world.tick(SECOND);
        world.pagerduty().add_note(&incident, &ada, &format!("note {number}"));
    }
    world.deliver_webhooks().await;
    let waiting = lines(&page, &format!("incident={incident}")).await;
    assert_eq!(waiting.len(), 26);
    world.settle_all().await;
    let told = lines(&page, &format!("incident={incident}")).await;
    let of = |outcome: &str| told.iter().filter(|line| line["outcome"] == outcome).count();
    assert_eq!((told.len(), of("posted"), of("edited"), of("coalesced")), (26, 1, 1, 24), "{told:#?}");
    assert_eq!(world.only_card("Payments").edits(), 1);
    world.finish();
}

#[tokio::test]
async fn the_job_of_a_function_of_the_version_before_is_understood() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.take_undelivered();
    // It has merged the event, and sends what it always sent.
    let app = &world.stack.app;
    let answer = incidents::read::one(app, &IncidentId::new(incident.as_str()).unwrap()).await.unwrap().unwrap();
    let record = answer.incident.into_record(account(), Asked::at(app.clock.now()));
    app.store.merge_record(record, app.kept_until()).await.unwrap();
    let sqs = runtime::AwsClients::new(&app.config.aws).sqs;
    let job = json!({
        "account": local::ACCOUNT, "incident": incident, "channel": world.payments().as_str(), "cause": "E1",
        "occasion": "webhook", "received_at": "2026-11-23T09:00:00Z", "happened_at": null,
    });
    let send = sqs.send_message().queue_url(&app.config.queue_url).message_body(job.to_string());
    send.message_group_id("g").message_deduplication_id("1").send().await.unwrap();
    world.settle().await;
    assert!(world.only_card("Payments").shows("DB down"));
    assert_eq!((world.unfinished().await, world.queued()), (0, 0));
    world.finish();
}

#[tokio::test]
async fn a_greeting_and_a_test_wait_for_their_channel_like_anything_else() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = world.pagerduty().add_service("Checkout");
    platform.say("Ada Wong", &format!("connect {}", platform.service_url(&service))).await;
    world.teams().fail_next_in(&platform.alerts, 1, &Fault::throttled(20));
    world.settle().await;
    assert_eq!(platform.posts().len(), 0);
    let page = AdminPage::open(&world, "Ada Wong").await;
    let connection = format!("/teams/{}/connections/{service}/{}", path(&platform.team), path(&platform.alerts));
    assert_eq!(page.write("POST", &format!("{connection}/test"), None).await.0, 202);
    world.trigger_in(&service, "DB down").await;
    world.settle().await;
    assert_eq!(platform.posts().len(), 0);
    world.advance(SECOND * 23).await;
    let texts: Vec<String> = platform.posts().iter().map(crate::card::Card::text).collect();
    assert_eq!(texts.len(), 3);
    assert!(texts[0].contains("will be posted in this channel"), "{texts:?}");
    assert!(texts[1].contains("TEST") && texts[2].contains("DB down"), "{texts:?}");
    let channel = ChannelId::new(platform.alerts.as_str()).unwrap();
    assert_eq!(world.stack.app.store.behind_set(&account(), &channel).await.unwrap(), []);

    // A test for a connection that is gone says nothing.
    let key = ConnectionKey { account: account(), service: ServiceId::new(service.as_str()).unwrap(), channel };
    let known = world.stack.app.store.connection(&key).await.unwrap().unwrap();
    let at = world.stack.app.clock.now();
    let test = Subject::Test(key.service.clone(), domain::ids::TestId::new("t").unwrap());
    let mark = domain::behind::Mark::message(&known, test, Some("Ada".to_owned()), at);
    world.stack.app.store.remove_connection(&key).await.unwrap();
    incidents::want(&world.stack.app, &[mark]).await.unwrap();
    world.settle().await;
    assert_eq!(platform.posts().len(), 3);
    world.finish();
}

#[tokio::test]
async fn how_long_the_oldest_thing_waits_is_told_every_minute() {
    let world = World::new().await;
    world.fail_posts("Payments", 1000, &Fault::status(503, ""));
    world.trigger("Payments", "DB down").await;
    world.settle().await;
    let before = world.counted(Metric::OldestUnfinished);
    world.advance(MINUTE * 3).await;
    assert!(world.counted(Metric::OldestUnfinished) - before >= 60.0 + 120.0 - 10.0, "1, 2 and 3 minutes");
    assert_eq!(world.counted(Metric::Unfinished), 3.0, "one card in each of three runs");
    assert_eq!(world.counted(Metric::ReconcilerRuns), 3.0);
    world.finish();
}

#[tokio::test]
async fn a_service_that_is_connected_again_before_its_last_edit_keeps_living_cards() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.fail_posts("Payments", 1, &Fault::throttled(30));
    world.tick(MINUTE);
    remove_payments(&world, &page).await;
    world.settle().await;
    world.tick(SECOND);
    let wish = json!({ "service": world.service("Payments"), "channel": world.payments().as_str(), "filter": "all" });
    let connections = format!("/teams/{}/connections", path(&world.demo().team));
    assert_eq!(page.write("POST", &connections, Some(wish)).await.0, 201);
    world.pagerduty().acknowledge(&incident, &world.pagerduty_user("Ada Wong"));
    world.advance(MINUTE).await;
    let cards = world.cards("Payments");
    let card = cards.iter().find(|card| card.shows("DB down")).unwrap();
    assert!(card.shows_status("acknowledged") && !card.shows("No longer updated"), "{}", card.text());
    assert_eq!(card.buttons(), ["Resolve", "Add note", "Details"]);
    world.finish();
}

#[tokio::test]
async fn a_team_that_is_another_accounts_now_is_told_nothing_by_the_last_edit() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    let incident = world.trigger_in(&service, "Till is stuck").await;
    world.settle().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    world.teams().fail_next_in(&platform.alerts, 1, &Fault::throttled(60));
    world.tick(SECOND);
    let disconnect = format!("/teams/{}/disconnect", path(&platform.team));
    assert_eq!(page.write("POST", &disconnect, Some(json!({ "confirm": "disconnect" }))).await.0, 200);
    world.settle().await;
    world.tick(SECOND);
    world.pagerduty().add_note(&incident, &world.pagerduty_user("Ben Okafor"), "written after the disconnection");
    let key = domain::plan::CardKey {
        account: account(),
        incident: IncidentId::new(incident.as_str()).unwrap(),
        channel: ChannelId::new(platform.alerts.as_str()).unwrap(),
    };
    let app = &world.stack.app;
    let note = incidents::read::one(app, &key.incident).await.unwrap().unwrap();
    let record = note.incident.into_record(account(), Asked::at(app.clock.now() + SECOND));
    app.store.merge_record(record, app.kept_until()).await.unwrap();
    // Another account has it by the time the channel takes messages again.
    let other = domain::ids::AccountId::new("POTHER").unwrap();
    let team = platform.installation().await.team;
    let change = |known: Option<domain::connection::Installation>| {
        known.map(|known| domain::connection::Installation { account: Some(other.clone()), ..known })
    };
    app.store.change_installation(&team, change).await.unwrap();
    world.advance(MINUTE * 2).await;
    let card = platform.posts().into_iter().find(|card| card.shows("No longer updated")).unwrap();
    assert!(!card.shows("Till is stuck") && card.buttons().is_empty(), "{}", card.text());
    assert!(card.link().contains(&incident));
    world.finish();
}

#[tokio::test]
async fn two_senders_in_one_channel_post_one_card() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.deliver_webhooks().await;
    let batch = world.next_batch().await;
    let (time, app) = (Duration::from_secs(60), &world.stack.app);
    // SQS never gives one group to two, but a sender that was frozen wakes up beside the next one.
    tokio::join!(
        notification_sender::handle(app, batch.clone(), time),
        notification_sender::handle(app, batch.clone(), time),
        notification_sender::handle(app, batch, time),
    );
    world.settle_all().await;
    assert_eq!(world.cards("Payments").len(), 1);
    assert_eq!((world.card_record("Payments", &incident).await.possible_doubles, world.unfinished().await), (0, 0));
    world.finish();
}

#[tokio::test]
async fn a_channel_with_much_to_do_takes_several_turns() {
    let world = World::with("PAGERBRIDGE_STORM_POSTS", "100").await;
    for number in 0..22 {
        world.trigger("Payments", &format!("Incident {number}")).await;
    }
    world.deliver_webhooks().await;
    let batch = world.next_batch().await;
    let answer = notification_sender::handle(&world.stack.app, batch, Duration::from_secs(60)).await;
    assert_eq!(answer.batch_item_failures.len(), 1, "it comes again when the channel takes more");
    let shown = world.cards("Payments").len();
    assert!((1..=5).contains(&shown), "as much as one second takes: {shown}");
    world.settle_all().await;
    assert_eq!((world.cards("Payments").len(), world.unfinished().await), (22, 0));
    world.finish();
}

#[tokio::test]
async fn waiting_for_long_leads_no_message_into_the_dead_letter_queue() {
    let world = World::new().await;
    world.fail_posts("Payments", 1, &Fault::throttled(3600));
    world.trigger("Payments", "DB down").await;
    world.advance(MINUTE * 59).await;
    let dead = world.stack.aws.depth("pagerbridge-dead.fifo").unwrap();
    assert_eq!((world.queued(), dead.visible, world.cards("Payments").len()), (1, 0, 0));
    world.advance(MINUTE + SECOND * 3).await;
    assert_eq!((world.queued(), world.cards("Payments").len()), (0, 1));
    world.finish();
}

#[tokio::test]
async fn a_connection_that_cannot_be_read_lets_its_incidents_wait_and_says_so() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    let incident = world.trigger("Payments", "DB down").await;
    world.deliver_webhooks().await;
    let app = &world.stack.app;
    let table = runtime::AwsClients::new(&app.config.aws).dynamodb;
    let text = aws_sdk_dynamodb::types::AttributeValue::S;
    let pk = format!("SERVICE#{}#{}", local::ACCOUNT, world.service("Payments"));
    let get = table.get_item().table_name(&app.config.table).consistent_read(true);
    let sk = format!("CONNECTION#{}", world.payments());
    let known = get.key("pk", text(pk.clone())).key("sk", text(sk)).send().await.unwrap().item.unwrap();
    let mut broken = known.clone();
    broken.insert("data".to_owned(), text("of another age".to_owned()));
    table.put_item().table_name(&app.config.table).set_item(Some(broken)).send().await.unwrap();
    world.settle().await;
    let line = lines(&page, &format!("incident={incident}")).await.remove(0);
    assert_eq!(line["outcome"], json!("waiting"));
    assert!(line["why"].as_str().unwrap().contains("cannot be read"), "{line}");
    table.put_item().table_name(&app.config.table).set_item(Some(known)).send().await.unwrap();
    world.advance(MINUTE).await;
    assert_eq!(world.cards("Payments").len(), 1);
    world.finish();
}

#[tokio::test]
async fn more_that_waits_than_one_answer_holds_is_counted() {
    let world = World::new().await;
    let page = AdminPage::open(&world, "Ada Wong").await;
    for number in 0..55 {
        world.trigger("Payments", &format!("Incident {number}")).await;
    }
    world.deliver_webhooks().await;
    let (_, first) = page.get("/deliveries").await;
    assert_eq!((first["deliveries"].as_array().unwrap().len(), &first["more_waiting"]), (50, &json!(5)));
    world.settle_all().await;
    let (_, done) = page.get("/deliveries").await;
    assert_eq!(done["more_waiting"], json!(0));
    world.finish();
}

#[tokio::test]
async fn a_subscription_is_read_anew_beside_its_events_and_a_lost_one_is_noticed() {
    let world = World::new().await;
    world.trigger("Payments", "DB down").await;
    world.settle().await;
    let known = world.subscription("Payments");
    let app = &world.stack.app;
    let id = domain::ids::SubscriptionId::new(known.id.as_str()).unwrap();
    let stored = app.store.subscription(&id).await.unwrap().unwrap();
    app.store.delete_subscription(&stored).await.unwrap();
    // What the function has in its memory is good for one more event.
    for (minutes, expected) in [(0, 202), (2, 202), (0, 503)] {
        world.tick(MINUTE * minutes);
        world.trigger("Payments", "Disk full").await;
        world.deliver_webhooks().await;
        assert_eq!(world.webhook_answers("Payments").last(), Some(&expected), "after {minutes} min");
    }
    world.finish();
}
