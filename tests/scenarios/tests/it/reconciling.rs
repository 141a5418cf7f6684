//! What was missed is found: the reconciler asks PagerDuty what is true.

use domain::ids::ServiceId;
use domain::round::Round;
use jiff::SignedDuration;
use runtime::Metric;
use simulators::pagerduty::Fault;

use crate::platform::Platform;
use crate::world::World;

const DAY: SignedDuration = SignedDuration::from_hours(24);

#[tokio::test]
async fn an_incident_whose_webhook_never_came_has_its_card_after_one_run() {
    let world = World::new().await;
    world.trigger("Payments", "DB down").await;
    assert!(!world.take_undelivered().is_empty());
    world.settle_all().await;
    assert_eq!(world.cards("Payments").len(), 0);
    world.reconcile().await;
    assert!(world.only_card("Payments").summary().contains("DB down"));
    assert_eq!(world.counted(Metric::IncidentsMerged), 1.0);
    assert_eq!(world.counted(Metric::ReconcilerRuns), 1.0);

    // It can be worked with as any other, and another run finds nothing to do.
    world.link("Ada Wong").await;
    let answer = world.click("Ada Wong", &world.only_card("Payments"), "Acknowledge").await;
    assert!(answer.card_text().contains("Acknowledged"));
    world.settle_all().await;
    let edits = world.counted(Metric::CardsEdited);
    world.advance(SignedDuration::from_mins(5)).await;
    world.reconcile().await;
    assert_eq!(world.counted(Metric::CardsEdited), edits);
    assert_eq!(world.cards("Payments").len(), 1);
    world.finish();
}

#[tokio::test]
async fn after_a_day_of_a_disabled_subscription_every_card_is_true_again() {
    let world = World::new().await;
    let ben = world.pagerduty_user("Ben Okafor");
    let acknowledged = world.trigger("Payments", "acknowledged meanwhile").await;
    let resolved = world.trigger("Payments", "resolved meanwhile").await;
    world.trigger("Payments", "unchanged").await;
    world.settle_all().await;
    assert_eq!(world.cards("Payments").len(), 3);

    world.pagerduty().disable(&world.subscription("Payments").id);
    world.advance(SignedDuration::from_hours(1)).await;
    world.pagerduty().acknowledge(&acknowledged, &ben);
    world.pagerduty().resolve(&resolved, &ben);
    world.trigger("Payments", "opened meanwhile").await;
    let over = world.trigger("Payments", "came and went").await;
    world.pagerduty().resolve(&over, &ben);
    world.advance(SignedDuration::from_hours(22)).await;
    assert_eq!(world.cards("Payments").len(), 3, "PagerDuty has told nothing");

    world.reconcile().await;
    let cards = world.cards("Payments");
    let status = |title: &str| {
        let mut found = cards.iter().filter(|card| card.summary().contains(title));
        let card = found.next().unwrap_or_else(|| panic!("no card of {title}"));
        assert!(found.next().is_none(), "one card of {title}");
        ["triggered", "acknowledged", "resolved"].into_iter().find(|status| card.shows_status(status)).unwrap()
    };
    for (title, expected) in [
        ("acknowledged meanwhile", "acknowledged"),
        ("resolved meanwhile", "resolved"),
        ("unchanged", "triggered"),
        ("opened meanwhile", "triggered"),
    ] {
        assert_eq!(status(title), expected, "{title}");
    }
    let late = cards.iter().find(|card| card.text().contains("was over before this channel could be told")).unwrap();
    assert!(late.shows("came and went"), "a line, not a card: {}", late.text());
    assert_eq!(world.counted(Metric::SubscriptionsDisabled), 1.0);
    assert_eq!(world.counted(Metric::SubscriptionsReenabled), 1.0);
    assert!(!world.pagerduty().is_disabled(&world.subscription("Payments").id));
    world.trigger("Payments", "told again").await;
    world.settle_all().await;
    assert_eq!(world.cards("Payments").len(), 6, "webhooks come again");
    world.finish();
}

#[tokio::test]
async fn subscriptions_that_nobody_needs_go_and_one_that_is_missing_is_made() {
    let world = World::new().await;
    let service = world.service("Payments");
    let app = &world.stack.app;
    let token = app.as_app().new_token().await.unwrap().access_token;
    let create = async |url: &str| {
        let (service, url) = (ServiceId::new(service.as_str()).unwrap(), url::Url::parse(url).unwrap());
        let events = &domain::event::subscribed();
        let wanted = pagerduty::rest::NewSubscription { service: &service, url: &url, description: "x", events };
        app.pagerduty.create_subscription(pagerduty::rest::Auth::App(&token), &wanted).await.unwrap().id.to_string()
    };
    let ours = world.subscription("Payments").id;
    let orphan = create(&app.config.public("/webhooks/pagerduty")).await;
    let foreign = create("https://elsewhere.example.com/webhooks").await;
    world.reconcile().await;
    let left = world.pagerduty().subscriptions_of(&service);
    assert!(left.contains(&ours) && left.contains(&foreign) && !left.contains(&orphan), "{left:?}");
    assert_eq!(world.counted(Metric::SubscriptionsRemoved), 1.0);

    // Somebody has deleted ours in PagerDuty.
    let id = domain::ids::SubscriptionId::new(ours.as_str()).unwrap();
    app.pagerduty.delete_subscription(pagerduty::rest::Auth::App(&token), &id).await.unwrap();
    world.trigger("Payments", "while it was gone").await;
    world.settle_all().await;
    assert_eq!(world.cards("Payments").len(), 0);
    world.reconcile().await;
    assert!(world.only_card("Payments").summary().contains("while it was gone"));
    assert_eq!(world.pagerduty().subscriptions_of(&service).len(), 2);
    world.trigger("Payments", "told again").await;
    world.settle_all().await;
    assert_eq!(world.cards("Payments").len(), 2);
    world.finish();
}

#[tokio::test]
async fn subscriptions_follow_pagerbridge_to_another_address() {
    // Older versions have not noted where PagerDuty delivers to.
    for noted in [true, false] {
        Box::pin(follow_to_another_address(noted)).await;
    }
}

async fn follow_to_another_address(noted: bool) {
    let world = World::new().await;
    let service = ServiceId::new(world.service("Payments")).unwrap();
    let app = &world.stack.app;
    let account = crate::world::account();
    let known = app.store.subscription_of_service(&account, &service).await.unwrap().unwrap();
    // As if it had been made before the own domain: PagerDuty delivers to the old address.
    let token = app.as_app().new_token().await.unwrap().access_token;
    let auth = pagerduty::rest::Auth::App(&token);
    let old = url::Url::parse("https://old.example.com/webhooks/pagerduty").unwrap();
    let events = &domain::event::subscribed();
    let wanted = pagerduty::rest::NewSubscription { service: &service, url: &old, description: "x", events };
    let made = app.pagerduty.create_subscription(auth, &wanted).await.unwrap();
    app.pagerduty.delete_subscription(auth, &known.id).await.unwrap();
    app.store.delete_subscription(&known).await.unwrap();
    let moved = store::Subscription { id: made.id.clone(), url: noted.then(|| old.to_string()), ..known };
    app.store.put_subscription(&moved).await.unwrap();

    world.reconcile().await;
    let now = app.store.subscription_of_service(&account, &service).await.unwrap().unwrap();
    assert_eq!(world.pagerduty().subscriptions_of(service.as_str()), [now.id.as_str()], "the old one is gone");
    assert_ne!(now.id, made.id);
    assert_eq!(world.counted(Metric::SubscriptionsDisabled), 0.0, "it has delivered until then");
    world.trigger("Payments", "DB down").await;
    world.settle_all().await;
    assert!(world.only_card("Payments").summary().contains("DB down"));
    world.finish();
}

#[tokio::test]
async fn what_is_left_over_at_an_old_address_goes() {
    let world = World::new().await;
    let service = ServiceId::new(world.service("Payments")).unwrap();
    let app = &world.stack.app;
    let known = app.store.subscription_of_service(&crate::world::account(), &service).await.unwrap().unwrap();
    let token = app.as_app().new_token().await.unwrap().access_token;
    let auth = pagerduty::rest::Auth::App(&token);
    let old = url::Url::parse("https://old.example.com/webhooks/pagerduty").unwrap();
    let events = &domain::event::subscribed();
    let wanted = pagerduty::rest::NewSubscription { service: &service, url: &old, description: "x", events };
    let left = app.pagerduty.create_subscription(auth, &wanted).await.unwrap();
    let stranger = app.pagerduty.create_subscription(auth, &wanted).await.unwrap();
    // The first was ours: PagerDuty did not delete it when the second was made.
    app.store.put_subscription(&store::Subscription { id: left.id.clone(), ..known.clone() }).await.unwrap();
    app.store.put_subscription(&known).await.unwrap();

    world.reconcile().await;
    let there = world.pagerduty().subscriptions_of(service.as_str());
    assert_eq!(there, [known.id.as_str(), stranger.id.as_str()], "another application's stays");
    assert!(app.store.subscription(&left.id).await.unwrap().is_none());
    world.finish();
}

#[tokio::test]
async fn a_note_that_came_before_its_incident_is_shown_when_the_incident_is_found() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.take_undelivered();
    world.pagerduty().add_note(&incident, &world.pagerduty_user("Ben Okafor"), "looking into it");
    world.settle_all().await;
    assert_eq!(world.cards("Payments").len(), 0, "a note says nothing about the incident itself");
    world.reconcile().await;
    assert!(world.only_card("Payments").shows("looking into it"), "{}", world.only_card("Payments").text());
    world.finish();
}

#[tokio::test]
async fn connecting_a_service_does_not_flood_the_channel_with_old_incidents() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = world.pagerduty().add_service("Checkout");
    let old = world.trigger_in(&service, "old").await;
    world.advance(SignedDuration::from_hours(1)).await;
    platform.say("Ada Wong", &format!("connect {}", platform.service_url(&service))).await;
    world.settle().await;
    let before = platform.posts().len();
    world.reconcile().await;
    assert_eq!(platform.posts().len(), before);
    // Something happens to it, and PagerDuty's message is lost.
    world.advance(SignedDuration::from_mins(5)).await;
    world.pagerduty().acknowledge(&old, &world.pagerduty_user("Ben Okafor"));
    world.take_undelivered();
    world.reconcile().await;
    assert_eq!(platform.posts().len(), before + 1);
    assert!(platform.posts().last().unwrap().shows("Acknowledged"));
    world.finish();
}

#[tokio::test]
async fn what_a_disconnection_left_behind_is_tidied() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    let connection = platform.connections().await.remove(0);
    let installation = platform.installation().await;
    // It broke off right after its first step.
    let leaving = domain::connection::Installation {
        leaving: installation.account.clone(),
        account: None,
        ..installation.clone()
    };
    world.stack.app.store.change_installation(&installation.team, |_| Some(leaving.clone())).await.unwrap();
    world.reconcile().await;
    assert_eq!(platform.connections().await, []);
    assert_eq!(world.pagerduty().subscriptions_of(&service), Vec::<String>::new());
    world.reconcile().await;
    assert_eq!(platform.installation().await.leaving, None);
    // Later the index shows a connection that nobody had seen.
    world.stack.app.store.add_connection(&connection).await.unwrap();
    let subscription = store::Subscription {
        id: domain::ids::SubscriptionId::new("PGONE").unwrap(),
        account: connection.account.clone(),
        service: connection.service.clone(),
        secrets: Vec::new(),
        created_at: world.stack.app.clock.now(),
        url: None,
    };
    world.stack.app.store.put_subscription(&subscription).await.unwrap();
    world.reconcile().await;
    assert_eq!(platform.connections().await, []);
    world.finish();
}

#[tokio::test]
async fn a_team_that_came_back_keeps_what_it_has_got_since() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    let service = platform.connect("Checkout").await;
    let installation = platform.installation().await;
    let account = installation.account.clone().unwrap();
    // A disconnection and a new authorization have overlapped: the mark is still there, the list of teams has lost it.
    let store = &world.stack.app.store;
    let back = domain::connection::Installation { leaving: Some(account.clone()), ..installation.clone() };
    store.change_installation(&installation.team, |_| Some(back.clone())).await.unwrap();
    store.delete_team_of_account(&account, &installation.team).await.unwrap();
    world.reconcile().await;
    assert_eq!(platform.connections().await.len(), 1);
    world.trigger_in(&service, "Still delivered").await;
    world.settle_all().await;
    assert!(platform.posts().last().unwrap().summary().contains("Still delivered"));
    assert!(store.teams_of_account(&account).await.unwrap().iter().any(|team| team.team == installation.team));
    world.finish();
}

#[tokio::test]
async fn a_run_that_fails_or_stops_half_way_is_continued_by_the_next() {
    let world = World::new().await;
    let services = world.add_services(30).await;
    for service in &services {
        world.trigger_in(service, "DB down").await;
    }
    world.take_undelivered();
    world.pagerduty().fail_next_at("GET /incidents", 1, &Fault::RateLimited(Some(30)));
    world.stack.reconcile().await.unwrap_err();
    assert_eq!(world.counted(Metric::ReconcilerFailures), 1.0);
    world.advance(SignedDuration::from_secs(31)).await;

    // The last run's time was over in the middle of the list.
    let account = crate::world::account();
    let mut order: Vec<String> = services.clone();
    order.sort();
    let middle = ServiceId::new(order[14].as_str()).unwrap();
    let round = Round { after: Some(middle), ..Round::first(world.stack.app.clock.now()) };
    world.stack.app.store.put_round(&account, &round).await.unwrap();
    // The log would tell of the others.
    world.pagerduty().fail_next_at("GET /log_entries", 2, &Fault::Status(403));
    let with_card = || order.iter().filter(|service| world.cards_in(service).len() == 1).cloned().collect::<Vec<_>>();
    world.reconcile().await;
    assert_eq!(with_card(), order[15..]);
    world.reconcile().await;
    assert_eq!(with_card(), order);
    world.finish();
}

#[tokio::test]
async fn a_card_that_teams_does_not_take_for_a_day_is_posted_when_teams_is_back() {
    let world = World::new().await;
    world.trigger("Payments", "DB down").await;
    world.fail_posts("Payments", 1000, &crate::world::Fault::status(500, "ServiceError"));
    world.advance(SignedDuration::from_mins(30)).await;
    world.tick(DAY);
    world.advance(SignedDuration::from_mins(30)).await;
    assert_eq!(world.cards("Payments").len(), 0);
    assert_eq!(world.stack.aws.depth("pagerbridge-dead.fifo").map(|depth| depth.visible), Some(0));
    world.teams().clear_faults();
    // The longest pause between two tries, and the schedule's next run.
    world.advance(SignedDuration::from_mins(6)).await;
    assert_eq!(world.cards("Payments").len(), 1);
    world.finish();
}
