//! Healing that nothing stops: every minute, part by part, page by page.

use domain::connection::Health;
use domain::healing::{Ended, Part};
use domain::ids::{IncidentId, ServiceId, SubscriptionId};
use jiff::SignedDuration;
use reconciler::{Extent, Report};
use runtime::Metric;
use simulators::pagerduty::Fault;

use crate::platform::Platform;
use crate::world::{World, account};

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// What has been asked of PagerDuty since the last time.
fn asked(world: &World) -> Vec<String> {
    world.pagerduty().take_asked().into_iter().map(|(_, line)| line).collect()
}

/// Lists of open incidents, and of those that are over.
fn lists(asked: &[String]) -> (usize, usize) {
    let with =
        |part: &str| asked.iter().filter(|line| line.starts_with("GET /incidents?") && line.contains(part)).count();
    (with("created_at%3Adesc"), with("=resolved"))
}

/// Incidents that were asked for one by one.
fn alone(asked: &[String]) -> usize {
    let is_one = |line: &&String| line.strip_prefix("GET /incidents/").is_some_and(|id| !id.contains(['/', '?']));
    asked.iter().filter(is_one).count()
}

impl World {
    /// The schedule, for so many minutes: gives what the runs have said.
    async fn scheduled(&self, minutes: usize) -> Vec<Report> {
        let mut reports = Vec::new();
        for _ in 0..minutes {
            self.tick(MINUTE);
            reports.push(self.stack.run_reconciler(Extent::Due).await);
            self.settle().await;
        }
        reports
    }

    /// So many incidents of which PagerDuty's webhooks are lost, a second apart.
    async fn trigger_unheard(&self, service: &str, count: usize) -> Vec<String> {
        let mut incidents = Vec::new();
        for number in 0..count {
            self.tick(SECOND);
            incidents.push(self.trigger(service, &format!("Case {number}")).await);
        }
        self.take_undelivered();
        incidents
    }

    /// How many cards there are of incidents in this state; also as rows of a storm's card.
    async fn known_as(&self, incidents: &[String], status: &str) -> usize {
        let mut count = 0;
        for incident in incidents {
            let id = IncidentId::new(incident.as_str()).unwrap();
            let stored = self.stack.app.store.record(&account(), &id).await.unwrap();
            let state = stored.as_ref().and_then(|stored| stored.record.state());
            count += usize::from(state.is_some_and(|state| format!("{:?}", state.status).to_lowercase() == status));
        }
        count
    }

    fn part(report: &Report, part: Part) -> Option<Ended> {
        report.parts.iter().find(|(known, _)| *known == part).map(|(_, ended)| *ended)
    }
}

#[tokio::test]
async fn a_lost_trigger_and_a_disabled_subscription_take_a_minute() {
    let world = World::new().await;
    world.scheduled(1).await;
    for minute in 1..=5 {
        let incident = world.trigger("Payments", &format!("Lost in minute {minute}")).await;
        world.take_undelivered();
        let subscription = world.subscription("Payments").id;
        world.pagerduty().disable(&subscription);
        let reports = world.scheduled(1).await;
        assert_eq!(reports[0].ended(), Ended::Well, "{reports:?}");
        assert!(world.cards("Payments").iter().any(|card| card.json().contains(&incident)), "minute {minute}");
        assert!(!world.pagerduty().is_disabled(&subscription), "minute {minute}");
    }
    assert_eq!(world.counted(Metric::SubscriptionsReenabled), 5.0);
    world.finish();
}

#[tokio::test]
async fn who_rests_asks_pagerduty_twice_a_minute() {
    let world = World::new().await;
    for title in ["one", "two", "three"] {
        world.trigger("Payments", title).await;
    }
    world.settle_all().await;
    world.scheduled(11).await;
    asked(&world);
    let mut most = 0;
    for _ in 0..30 {
        world.scheduled(1).await;
        most = most.max(asked(&world).len());
    }
    assert!(most <= 2, "{most} requests in one minute");
    world.finish();
}

#[tokio::test]
async fn hundreds_of_missed_resolves_are_found_in_lists() {
    let world = World::new().await;
    let ben = world.pagerduty_user("Ben Okafor");
    let incidents = world.trigger_unheard("Payments", 230).await;
    world.scheduled(2).await;
    world.reconcile().await;
    assert_eq!(world.known_as(&incidents, "triggered").await, 230, "three pages");
    for incident in &incidents[..220] {
        world.pagerduty().resolve(incident, &ben);
    }
    world.take_undelivered();
    asked(&world);
    world.scheduled(1).await;
    let asked = asked(&world);
    assert_eq!(world.known_as(&incidents[..220], "resolved").await, 220);
    assert_eq!(world.known_as(&incidents[220..], "triggered").await, 10);
    let (open, over) = lists(&asked);
    assert!(open == 1 && over <= 8 && alone(&asked) == 0, "{asked:#?}");
    world.finish();
}

#[tokio::test]
async fn a_way_through_many_pages_goes_on_where_a_run_was_cut_off() {
    let world = World::new().await;
    let ben = world.pagerduty_user("Ben Okafor");
    let incidents = world.trigger_unheard("Payments", 450).await;
    world.tick(MINUTE);
    let report = world.stack.run_reconciler(Extent::Full).await;
    assert_eq!(World::part(&report, Part::Incidents), Some(Ended::Well));
    assert_eq!(world.known_as(&incidents, "triggered").await, 450);

    for incident in &incidents {
        world.pagerduty().acknowledge(incident, &ben);
    }
    world.pagerduty().resolve(&incidents[7], &ben);
    world.take_undelivered();
    world.tick(MINUTE);
    cut_off_after(&world, 4).await;
    let half = world.known_as(&incidents, "acknowledged").await;
    assert!((100..449).contains(&half), "{half}");
    asked(&world);
    // A minute later the next run goes on, though nobody has given the lock back.
    let reports = world.scheduled(1).await;
    assert_ne!(reports[0].ended(), Ended::Skipped);
    assert_eq!(world.known_as(&incidents, "acknowledged").await, 449);
    assert_eq!(world.known_as(&incidents[7..8], "resolved").await, 1);
    let asked = asked(&world);
    assert!(lists(&asked).0 <= 4, "not from the beginning: {asked:#?}");
    world.finish();
}

/// A full round dies while it waits for the answer to its n-th list of incidents.
async fn cut_off_after(world: &World, lists: usize) {
    for _ in 1..lists {
        world.pagerduty().fail_next_at("GET /incidents", 1, &Fault::Slow(std::time::Duration::ZERO));
    }
    world.pagerduty().fail_next_at("GET /incidents", 1, &Fault::Hang);
    tokio::select! {
        report = world.stack.run_reconciler(Extent::Full) => panic!("it was not cut off: {report:?}"),
        () = async {
            while world.pagerduty().pending_faults() > 0 {
                tokio::task::yield_now().await;
            }
        } => {}
    }
}

#[tokio::test]
async fn a_run_that_finds_another_one_at_work_is_counted_apart() {
    let world = World::new().await;
    world.tick(MINUTE);
    cut_off_after(&world, 1).await;
    world.tick(SECOND * 20);
    let report = world.stack.run_reconciler(Extent::Due).await;
    assert_eq!(report.ended(), Ended::Skipped);
    let counted = [Metric::ReconcilerSkipped, Metric::ReconcilerFailures].map(|metric| world.counted(metric));
    assert_eq!(counted, [1.0, 0.0]);
    world.tick(SECOND * 40);
    assert_eq!(world.stack.run_reconciler(Extent::Due).await.ended(), Ended::Well);
    world.finish();
}

#[tokio::test]
async fn each_part_has_its_turn_whatever_becomes_of_the_others() {
    for (operation, fails) in [("GET /webhook_subscriptions", Part::Subscriptions), ("GET /incidents", Part::Incidents)]
    {
        let world = World::new().await;
        let incident = world.trigger("Payments", "Lost").await;
        world.take_undelivered();
        world.pagerduty().disable(&world.subscription("Payments").id);
        world.tick(MINUTE);
        world.pagerduty().fail_next_at(operation, 1, &Fault::Status(503));
        let report = world.stack.run_reconciler(Extent::Full).await;
        assert_eq!(report.ended(), Ended::Failed, "{operation}");
        let failed: Vec<Part> =
            report.parts.iter().filter(|(_, ended)| *ended == Ended::Failed).map(|(part, _)| *part).collect();
        assert_eq!(failed, [fails]);
        world.settle().await;
        let shown = world.cards("Payments").iter().any(|card| card.json().contains(&incident));
        let enabled = !world.pagerduty().is_disabled(&world.subscription("Payments").id);
        assert_eq!((shown, enabled), (fails != Part::Incidents, fails != Part::Subscriptions), "{operation}");
        let client = &world.stack.app.config.pagerduty_client_id;
        let healing = world.stack.app.store.healing(client).await.unwrap();
        assert_eq!(healing.of(fails).failing_since, Some(world.stack.app.clock.now()));
        let reports = world.scheduled(1).await;
        assert_eq!(reports[0].ended(), Ended::Well, "{operation}: {reports:?}");
        assert!(world.cards("Payments").iter().any(|card| card.json().contains(&incident)));
        assert!(!world.pagerduty().is_disabled(&world.subscription("Payments").id));
        let healing = world.stack.app.store.healing(client).await.unwrap();
        assert_eq!(healing.of(fails).failing_since, None);
        world.finish();
    }
}

#[tokio::test]
async fn a_list_that_is_refused_for_one_service_is_asked_for_without() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "Lost").await;
    world.take_undelivered();
    world.tick(MINUTE);
    world.pagerduty().fail_next_at("GET /incidents", 1, &Fault::Status(404));
    let report = world.stack.run_reconciler(Extent::Due).await;
    assert_eq!(report.ended(), Ended::Well, "{report:?}");
    world.settle().await;
    assert!(world.cards("Payments").iter().any(|card| card.json().contains(&incident)));
    world.finish();
}

#[tokio::test]
async fn a_service_that_was_deleted_is_no_failure_and_its_connection_says_so() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    let id = SubscriptionId::new(world.pagerduty().subscriptions_of(&service).remove(0)).unwrap();
    world.pagerduty().delete_service(&service);
    // PagerDuty takes the subscription with it, and its last webhook is lost.
    let app = &world.stack.app;
    let token = app.as_app().new_token().await.unwrap().access_token;
    app.pagerduty.delete_subscription(pagerduty::rest::Auth::App(&token), &id).await.unwrap();
    world.take_undelivered();
    let incident = world.trigger("Payments", "Lost").await;
    world.take_undelivered();
    let reports = world.scheduled(6).await;
    assert!(reports.iter().all(|report| report.ended() <= Ended::Partly), "{reports:#?}");
    assert_eq!(reports[5].ended(), Ended::Well);
    assert!(world.cards("Payments").iter().any(|card| card.json().contains(&incident)), "the others go on");
    let connection = platform.connections().await.remove(0);
    assert!(matches!(connection.health, Health::ServiceGone { .. }), "{:?}", connection.health);
    asked(&world);
    world.scheduled(5).await;
    let asked = asked(&world);
    assert!(asked.len() <= 10, "nobody asks for what is gone: {asked:#?}");
    world.finish();
}

#[tokio::test]
async fn an_incident_that_pagerduty_hides_is_asked_for_less_and_less_often() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "Kept secret").await;
    world.settle_all().await;
    // The app may not see it any more: no list has it, and alone it is not found.
    world.pagerduty().hide(&incident);
    let reports = world.scheduled(1).await;
    assert_eq!(reports[0].ended(), Ended::Well);
    asked(&world);
    world.scheduled(29).await;
    assert_eq!(alone(&asked(&world)), 0);
    world.scheduled(2).await;
    assert_eq!(alone(&asked(&world)), 1, "after half an hour once more");
    world.finish();
}

#[tokio::test]
async fn an_account_that_is_not_known_any_more_is_a_failure_and_one_that_never_was_is_none() {
    let world = World::new().await;
    assert_eq!(world.stack.run_reconciler(Extent::Due).await.ended(), Ended::Well);
    let app = &world.stack.app;
    let client = runtime::AwsClients::new(&app.config.aws).dynamodb;
    let key = |name: &str, value: String| (name.to_owned(), aws_sdk_dynamodb::types::AttributeValue::S(value));
    client
        .delete_item()
        .table_name(&app.config.table)
        .set_key(Some(
            [key("pk", format!("APP#{}", app.config.pagerduty_client_id)), key("sk", "ACCOUNT".to_owned())].into(),
        ))
        .send()
        .await
        .unwrap();
    world.tick(MINUTE);
    let report = world.stack.run_reconciler(Extent::Due).await;
    assert_eq!(report.parts, [(Part::Account, Ended::Failed)]);
    assert_eq!(world.counted(Metric::ReconcilerFailures), 1.0);
    world.tick(MINUTE);
    world.stack.run_reconciler(Extent::Due).await;
    assert!(world.counted(Metric::NotHealing) >= 60.0, "told with its age");

    let empty = local::compose(local::LocalConfig {
        demo: false,
        ..local::LocalConfig::for_tests(runtime::Clock::manual(crate::world::START))
    })
    .await
    .unwrap();
    assert_eq!(empty.run_reconciler(Extent::Due).await.ended(), Ended::Well, "nobody has authorized anything yet");
    world.finish();
}

#[tokio::test]
async fn one_record_that_cannot_be_read_stops_nobody() {
    let world = World::new().await;
    let spoilt = world.trigger("Payments", "Spoilt").await;
    world.settle_all().await;
    world.spoil(&spoilt, "RECORD").await;
    let lost = world.trigger("Payments", "Lost").await;
    world.pagerduty().resolve(&spoilt, &world.pagerduty_user("Ben Okafor"));
    world.take_undelivered();
    let reports = world.scheduled(1).await;
    assert!(reports[0].ended() <= Ended::Partly, "{reports:?}");
    assert_eq!(world.known_as(std::slice::from_ref(&lost), "triggered").await, 1);
    assert_eq!(world.known_as(&[spoilt], "resolved").await, 1, "PagerDuty's answer makes it anew");
    assert!(world.cards("Payments").iter().any(|card| card.json().contains(&lost)));
    world.finish();
}

#[tokio::test]
async fn a_service_without_a_subscription_is_seen_within_a_minute() {
    let world = World::new().await;
    let service = ServiceId::new(world.service("Payments")).unwrap();
    let id = SubscriptionId::new(world.subscription("Payments").id).unwrap();
    let app = &world.stack.app;
    let token = app.as_app().new_token().await.unwrap().access_token;
    app.pagerduty.delete_subscription(pagerduty::rest::Auth::App(&token), &id).await.unwrap();
    world.scheduled(1).await;
    let made = world.pagerduty().subscriptions_of(service.as_str());
    assert_eq!(made.len(), 1);
    assert_ne!(made[0], id.as_str());
    world.finish();
}

#[tokio::test]
async fn in_a_quiet_night_every_part_heals() {
    let world = World::new().await;
    world.trigger("Payments", "DB down").await;
    world.settle_all().await;
    let client = world.stack.app.config.pagerduty_client_id.clone();
    for minute in 0..150 {
        world.scheduled(1).await;
        let healing = world.stack.app.store.healing(&client).await.unwrap();
        let broken: Vec<_> = healing.broken(world.stack.app.clock.now()).collect();
        assert_eq!(broken, [], "minute {minute}");
    }
    world.finish();
}

#[tokio::test]
async fn what_the_log_told_is_told_again_to_the_run_after_one_that_could_not_follow_it() {
    let world = World::new().await;
    let ben = world.pagerduty_user("Ben Okafor");
    let known = world.trigger("Payments", "Known").await;
    world.settle_all().await;
    world.scheduled(6).await;
    // Came and went, and somebody has written about the known one: nothing of it was heard.
    let over = world.trigger("Payments", "Came and went").await;
    world.tick(SECOND * 2);
    world.pagerduty().resolve(&over, &ben);
    world.pagerduty().add_note(&known, &ben, "looking into it");
    world.pagerduty().acknowledge(&known, &ben);
    world.take_undelivered();
    // The log answers, and then no list does.
    world.tick(MINUTE);
    world.pagerduty().fail_next_at("GET /incidents", 1, &Fault::Status(500));
    let report = world.stack.run_reconciler(Extent::Full).await;
    assert_eq!(World::part(&report, Part::Incidents), Some(Ended::Failed), "{report:?}");
    world.scheduled(1).await;
    world.settle_all().await;
    assert_eq!(world.known_as(&[over], "resolved").await, 1);
    let cards = world.cards("Payments");
    let card = cards.iter().find(|card| card.json().contains(&known)).unwrap();
    assert!(
        card.shows_status("acknowledged") && card.replies().concat().contains("looking into it"),
        "{}",
        card.text()
    );
    world.finish();
}

#[tokio::test]
async fn one_incident_that_cannot_be_stored_keeps_no_other_one_from_being_found() {
    let world = World::new().await;
    let ben = world.pagerduty_user("Ben Okafor");
    let incidents = world.trigger_unheard("Payments", 3).await;
    world.scheduled(1).await;
    for incident in &incidents {
        world.pagerduty().resolve(incident, &ben);
    }
    world.take_undelivered();
    let [poison, others @ ..] = &incidents[..] else { unreachable!("three") };
    world.stack.aws.refuse_puts(usize::MAX, &format!("INCIDENT#{}#{poison}", account()));
    let reports = world.scheduled(6).await;
    assert!(reports.iter().all(|report| report.ended() <= Ended::Partly), "{reports:#?}");
    assert_eq!(world.known_as(others, "resolved").await, 2);
    world.finish();
}

#[tokio::test]
async fn after_a_subscription_was_enabled_everything_is_looked_at_at_once() {
    let world = World::new().await;
    let ben = world.pagerduty_user("Ben Okafor");
    let incidents = world.trigger_unheard("Payments", 130).await;
    world.scheduled(1).await;
    world.reconcile().await;
    world.tick(MINUTE);
    let subscription = world.subscription("Payments").id;
    world.pagerduty().disable(&subscription);
    for incident in &incidents {
        world.pagerduty().acknowledge(incident, &ben);
    }
    world.take_undelivered();
    world.scheduled(1).await;
    assert!(!world.pagerduty().is_disabled(&subscription));
    assert_eq!(world.known_as(&incidents, "acknowledged").await, 130, "also those beyond the first page");
    world.finish();
}
