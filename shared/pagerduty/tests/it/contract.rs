//! The calls against the simulator, which was written from PagerDuty's documents without knowing this crate. Whatever it
//! does not find in the documents fails the test.

use std::sync::{Arc, Mutex};

use domain::event::subscribed;
use domain::failure::Class;
use domain::ids::{IncidentId, PdUserId, PolicyId, PriorityId, ServiceId, SubscriptionId};
use domain::incident::{ServiceRef, Status, Urgency};
use jiff::{SignedDuration, Timestamp};
use pagerduty::oauth::{APP_SCOPES, USER_SCOPES};
use pagerduty::rest::{
    Api, ApiError, Auth, MOST_STATUSES, NewIncident, NewSubscription, OnCall, Page, PolicyRef, Priority, RestIncident,
    Role, Service, SubscriptionState, User,
};
use pagerduty::service_address;
use secrecy::SecretString;
use simulators::pagerduty::{Options, PagerDuty};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::Url;

use crate::fixtures::{at, priority};
use crate::server::{http, nowhere};

const EMAIL: &str = "mira@philharmonie.example";

/// A simulated account with two people and two services. Stops when it is dropped.
pub(crate) struct World {
    pub(crate) pagerduty: PagerDuty,
    clock: Arc<Mutex<Timestamp>>,
    pub(crate) api: Api,
    base: Url,
    pub(crate) mira: PdUserId,
    pub(crate) tomas: PdUserId,
    pub(crate) ticketing: ServiceId,
    pub(crate) doors: ServiceId,
    person: SecretString,
    app: SecretString,
    _running: JoinSet<()>,
}

impl World {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let clock = Arc::new(Mutex::new(at("2026-11-23T09:00:00Z")));
        let now = Arc::clone(&clock);
        let options = Options {
            account_id: "PHALL01".to_owned(),
            subdomain: "philharmonie".to_owned(),
            client_id: "bridge".to_owned(),
            client_secret: "s3cret".to_owned(),
            redirect_uris: Vec::new(),
        };
        let pagerduty = PagerDuty::new(Arc::new(move || *now.lock().unwrap()), options);
        pagerduty.set_base(base.as_str());
        let mira = pagerduty.add_user("Mira Solberg", EMAIL, "user");
        let tomas = pagerduty.add_user("Tomás Quispe", "tomas@philharmonie.example", "limited_user");
        let (ticketing, doors) = (pagerduty.add_service("Ticketing"), pagerduty.add_service("Doors"));
        let (person, app) = (pagerduty.user_token(&mira, USER_SCOPES), pagerduty.app_token(APP_SCOPES));
        let mut running = JoinSet::new();
        let router = pagerduty.router();
        running.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            api: Api::new(http().into(), base.clone()),
            pagerduty,
            clock,
            base,
            mira: PdUserId::new(mira).unwrap(),
            tomas: PdUserId::new(tomas).unwrap(),
            ticketing: ServiceId::new(ticketing).unwrap(),
            doors: ServiceId::new(doors).unwrap(),
            person: SecretString::from(person),
            app: SecretString::from(app),
            _running: running,
        }
    }

    pub(crate) fn as_mira(&self) -> Auth<'_> {
        Auth::User { token: &self.person, email: EMAIL }
    }

    fn as_app(&self) -> Auth<'_> {
        Auth::App(&self.app)
    }

    pub(crate) fn pass(&self, time: SignedDuration) {
        *self.clock.lock().unwrap() += time;
    }

    fn page(&self, path: &str) -> Option<Url> {
        Some(self.base.join(path).unwrap())
    }

    fn least(&self) -> NewIncident<'_> {
        NewIncident {
            service: &self.ticketing,
            title: "Box office cannot print tickets",
            urgency: None,
            details: None,
            incident_key: None,
            priority: None,
            assignee: None,
        }
    }

    pub(crate) fn finish(&self) {
        assert_eq!(self.pagerduty.unknown_requests(), Vec::<String>::new());
    }
}

fn numbers(page: &Page<RestIncident>) -> Vec<u64> {
    page.items.iter().map(|incident| incident.snapshot.number).collect()
}

#[tokio::test]
async fn a_service_is_looked_up_by_the_address_of_its_page() {
    let world = World::start().await;
    let night = world.pagerduty.add_policy("Night shift", &[&[world.tomas.as_str()], &[world.mira.as_str()]]);
    world.pagerduty.use_policy(world.ticketing.as_str(), &night);
    let night = PolicyId::new(night).unwrap();
    for auth in [world.as_mira(), world.as_app()] {
        let service = world.api.service(auth, &world.ticketing).await.unwrap();
        let html_url = world.page(&format!("service-directory/{}", world.ticketing));
        let policy = PolicyRef { id: night.clone(), name: "Night shift".to_owned() };
        let expected = Service {
            id: world.ticketing.clone(),
            name: "Ticketing".to_owned(),
            html_url: html_url.clone(),
            escalation_policy: Some(policy),
        };
        assert_eq!(service, expected);
        assert_eq!(service_address::parse(html_url.unwrap().as_str(), &world.base), Ok(world.ticketing.clone()));
    }
    let nowhere = ServiceId::new("PNOTHERE").unwrap();
    assert!(world.api.service(world.as_mira(), &nowhere).await.unwrap_err().is_not_found());
    world.finish();
}

#[tokio::test]
async fn services_are_found_page_by_page() {
    let world = World::start().await;
    let service = |id: &ServiceId, name: &str| ServiceRef { id: id.clone(), name: name.to_owned() };
    let (doors, ticketing) = (service(&world.doors, "Doors"), service(&world.ticketing, "Ticketing"));
    for (query, offset, limit, items, next) in [
        ("", 0, 1, vec![&doors], Some(1)),
        ("", 1, 1, vec![&ticketing], None),
        ("", 0, 100, vec![&doors, &ticketing], None),
        ("tick", 0, 25, vec![&ticketing], None),
    ] {
        let page = world.api.find_services(world.as_app(), query, offset, limit).await.unwrap();
        assert_eq!(page, Page { items: items.into_iter().cloned().collect(), next, skipped: 0 });
    }
    world.finish();
}

#[tokio::test]
async fn the_app_sees_what_role_a_person_has() {
    let world = World::start().await;
    let user = world.api.user(world.as_app(), &world.tomas).await.unwrap();
    let expected = User {
        id: world.tomas.clone(),
        name: "Tomás Quispe".to_owned(),
        email: "tomas@philharmonie.example".to_owned(),
        role: Role::LimitedUser,
        html_url: world.page(&format!("users/{}", world.tomas)),
    };
    assert_eq!(user, expected);
    let nobody = PdUserId::new("PNOBODY").unwrap();
    assert!(world.api.user(world.as_app(), &nobody).await.unwrap_err().is_not_found());
    world.finish();
}

fn priority_id(id: impl Into<String>) -> PriorityId {
    PriorityId::new(id).unwrap()
}

#[tokio::test]
async fn priorities_are_those_of_the_account() {
    let world = World::start().await;
    assert_eq!(world.api.priorities(world.as_mira()).await.unwrap(), []);
    let expected = ["P1", "P2", "P3"]
        .map(|name| Priority { id: priority_id(world.pagerduty.add_priority(name)), name: name.to_owned() });
    assert_eq!(world.api.priorities(world.as_mira()).await.unwrap(), expected);
    world.finish();
}

#[tokio::test]
async fn those_on_call_are_those_of_the_policies() {
    let world = World::start().await;
    let (mira, tomas) = (world.mira.as_str(), world.tomas.as_str());
    let [day, night] = [("Day", [&[mira, tomas][..], &[mira]]), ("Night", [&[tomas][..], &[mira]])]
        .map(|(name, levels)| PolicyId::new(world.pagerduty.add_policy(name, &levels)).unwrap());
    let on_call = |policy: &PolicyId, level, user: &str| {
        let (policy, user) = (policy.clone(), user.to_owned());
        OnCall { policy, level, user, schedule: None, until: None }
    };
    let of_day = [on_call(&day, 1, "Mira Solberg"), on_call(&day, 1, "Tomás Quispe"), on_call(&day, 2, "Mira Solberg")];
    assert_eq!(world.api.oncalls(world.as_mira(), std::slice::from_ref(&day)).await.unwrap(), of_day);
    let mut of_both = of_day.to_vec();
    of_both.extend([on_call(&night, 1, "Tomás Quispe"), on_call(&night, 2, "Mira Solberg")]);
    of_both.sort_by(|one, other| one.policy.cmp(&other.policy));
    assert_eq!(world.api.oncalls(world.as_mira(), &[night, day]).await.unwrap(), of_both);
    world.finish();
}

#[tokio::test]
async fn open_incidents_are_listed_however_old() {
    let world = World::start().await;
    let open = |service: &ServiceId, title: &str| world.pagerduty.trigger(service.as_str(), title, "high");
    let first = open(&world.ticketing, "Oldest");
    world.pass(SignedDuration::from_hours(60 * 24));
    // Tokens live for a day.
    let token = SecretString::from(world.pagerduty.user_token(world.mira.as_str(), USER_SCOPES));
    let auth = Auth::User { token: &token, email: EMAIL };
    let second = open(&world.doors, "Taken over");
    world.pass(SignedDuration::from_secs(60));
    let third = open(&world.ticketing, "Over");
    world.pass(SignedDuration::from_secs(60));
    world.pagerduty.acknowledge(&second, world.tomas.as_str());
    world.pagerduty.reassign(&second, world.mira.as_str(), world.tomas.as_str());
    world.pagerduty.resolve(&third, world.mira.as_str());
    let ids = |page: &Page<RestIncident>| page.items.iter().map(|one| one.id.as_str().to_owned()).collect::<Vec<_>>();
    let both = [world.ticketing.clone(), world.doors.clone()];
    for (services, assigned_to, limit, expected, more) in [
        (&[][..], None, 100, vec![&second, &first], false),
        (&both[..], None, 100, vec![&second, &first], false),
        (&both[..1], None, 100, vec![&first], false),
        (&[][..], Some(&world.tomas), 100, vec![&second], false),
        (&both[..1], Some(&world.tomas), 100, vec![], false),
        (&[][..], None, 1, vec![&second], true),
    ] {
        let page = world.api.open_incidents(auth, services, assigned_to, limit).await.unwrap();
        assert_eq!(ids(&page).iter().collect::<Vec<_>>(), expected, "{services:?} {assigned_to:?} {limit}");
        assert_eq!(page.next.is_some(), more);
    }
    let newest = world.api.open_incidents(auth, &[], None, 1).await.unwrap();
    assert_eq!(newest.items[0].snapshot.title, "Taken over");
    world.finish();
}

#[tokio::test]
async fn many_incidents_are_acknowledged_or_none() {
    let world = World::start().await;
    let auth = world.as_mira();
    let open = |_| IncidentId::new(world.pagerduty.trigger(world.ticketing.as_str(), "Dark", "high")).unwrap();
    let ids: Vec<IncidentId> = (0..MOST_STATUSES + 1).map(open).collect();
    let status = |id: &IncidentId| world.pagerduty.incident(id.as_str()).unwrap()["status"].clone();
    let acknowledge = async |ids: &[IncidentId]| world.api.set_statuses(auth, ids, Status::Acknowledged).await;
    let (three, gone) = (&ids[..3], IncidentId::new("QGONE01").unwrap());

    let too_many = acknowledge(&ids).await.unwrap_err();
    assert!(matches!(too_many, ApiError::Refused { status: 413, .. }), "{too_many:?}");
    let unknown = acknowledge(&[ids[0].clone(), gone]).await.unwrap_err();
    assert!(matches!(unknown, ApiError::Refused { status: 400, .. }), "{unknown:?}");
    assert!(unknown.message().contains("QGONE01"), "{}", unknown.message());
    assert_eq!(status(&ids[0]), "triggered");

    let told = acknowledge(three).await.unwrap();
    assert_eq!(told.iter().map(|one| &one.id).collect::<Vec<_>>(), three.iter().collect::<Vec<_>>());
    for one in &told {
        assert_eq!(one.snapshot.status, Status::Acknowledged);
        let by = one.status_changed.as_ref().and_then(|(_, by)| by.as_ref());
        assert_eq!(by.and_then(|by| by.user.as_ref()), Some(&world.mira));
    }
    let again = acknowledge(&ids[2..4]).await.unwrap_err();
    assert!(again.already_done(), "{again:?}");
    assert_eq!(status(&ids[3]), "triggered");
    let stakeholder = world.pagerduty.add_user("Eve", "eve@philharmonie.example", "read_only_user");
    let token = SecretString::from(world.pagerduty.user_token(&stakeholder, USER_SCOPES));
    let eve = Auth::User { token: &token, email: "eve@philharmonie.example" };
    let forbidden = world.api.set_statuses(eve, &ids[3..5], Status::Acknowledged).await.unwrap_err();
    assert_eq!(forbidden.class(), Class::Forbidden, "{forbidden:?}");

    let most = [&ids[..1], &ids[2..]].concat();
    let told = world.api.set_statuses(auth, &most, Status::Resolved).await.unwrap();
    assert_eq!((most.len(), told.len()), (MOST_STATUSES, 100), "the answer has a page of them");
    assert!(most.iter().all(|id| status(id) == "resolved"));
    // As one alone: what is resolved is reopened.
    acknowledge(&most[..2]).await.unwrap();
    assert_eq!(status(&most[1]), "acknowledged");
    world.finish();
}

#[tokio::test]
async fn the_newest_incidents_are_listed_to_their_end() {
    let world = World::start().await;
    let auth = world.as_mira();
    let open = |_| {
        world.pass(SignedDuration::from_secs(1));
        world.pagerduty.trigger(world.doors.as_str(), "Locked", "low")
    };
    let ids: Vec<String> = (0..102).map(open).collect();
    world.pagerduty.resolve(&ids[5], world.tomas.as_str());
    world.pagerduty.acknowledge(&ids[6], world.tomas.as_str());
    let list = async |statuses: &[Status], assigned_to: Option<&PdUserId>, offset| {
        let services = std::slice::from_ref(&world.doors);
        world.api.newest_incidents(auth, statuses, services, assigned_to, offset).await.unwrap()
    };
    let ids_of = |page: &Page<RestIncident>| page.items.iter().map(|one| one.id.to_string()).collect::<Vec<_>>();
    let first = list(&[Status::Triggered], None, 0).await;
    assert_eq!(
        (ids_of(&first), first.next),
        (ids[7..].iter().rev().chain(ids[..5].iter().rev()).cloned().collect(), None)
    );
    let first = list(&[Status::Triggered, Status::Resolved], None, 0).await;
    let rest = list(&[Status::Triggered, Status::Resolved], None, first.next.unwrap()).await;
    assert_eq!((first.items.len(), ids_of(&rest), rest.next), (100, vec![ids[0].clone()], None));
    let over = list(&[Status::Acknowledged, Status::Resolved], None, 0).await;
    assert_eq!(ids_of(&over), [ids[6].clone(), ids[5].clone()]);
    let his = list(&[Status::Acknowledged, Status::Resolved], Some(&world.tomas), 0).await;
    assert_eq!(ids_of(&his), [ids[6].clone()]);
    world.finish();
}

#[tokio::test]
async fn an_incident_is_opened_with_everything_and_only_once_per_key() {
    let world = World::start().await;
    let (auth, severe) = (world.as_mira(), priority_id(world.pagerduty.add_priority("P1")));
    let wanted = NewIncident {
        urgency: Some(Urgency::Low),
        details: Some("Row 7"),
        incident_key: Some("k-1"),
        priority: Some(&severe),
        assignee: Some(&world.tomas),
        ..world.least()
    };
    let opened = world.api.create_incident(auth, &wanted).await.unwrap();
    assert_eq!(opened.snapshot.priority, Some(priority(severe.as_str(), "P1")));
    assert_eq!(opened.snapshot.urgency, Urgency::Low);
    let assignees: Vec<&str> = opened.snapshot.assignees.iter().map(|person| person.name.as_str()).collect();
    assert_eq!(assignees, ["Tomás Quispe"]);
    let again = world.api.create_incident(auth, &wanted).await.unwrap_err();
    assert!(again.is_duplicate(), "{again:?} {}", again.message());
    // Another service, or the same after the incident is over, has the key for itself.
    world.api.create_incident(auth, &NewIncident { service: &world.doors, ..wanted }).await.unwrap();
    world.api.set_status(auth, &opened.id, Status::Resolved).await.unwrap();
    world.api.create_incident(auth, &wanted).await.unwrap();
    assert_eq!(numbers(&world.api.open_incidents(auth, &[], None, 100).await.unwrap()).len(), 2);
    for wrong in [
        NewIncident { priority: Some(&priority_id("PNONE")), incident_key: Some("k-2"), ..wanted },
        NewIncident { assignee: Some(&PdUserId::new("PNOBODY").unwrap()), incident_key: Some("k-2"), ..wanted },
    ] {
        let error = world.api.create_incident(auth, &wrong).await.unwrap_err();
        assert!(matches!(error, ApiError::Refused { status: 400, .. }) && !error.is_duplicate(), "{error:?}");
    }
    world.finish();
}

#[tokio::test]
async fn a_subscription_tells_its_state_until_the_limit_of_ten() {
    let world = World::start().await;
    let auth = world.as_app();
    let url = nowhere().await;
    let wanted =
        NewSubscription { service: &world.ticketing, url: &url, description: "PagerBridge", events: &subscribed() };
    let made = world.api.create_subscription(auth, &wanted).await.unwrap();
    let state = async |id: &SubscriptionId| world.api.subscription_state(auth, id).await.unwrap();
    assert_eq!(state(&made.id).await, SubscriptionState::Active);
    for _ in 1..10 {
        world.api.create_subscription(auth, &wanted).await.unwrap();
    }
    let error = world.api.create_subscription(auth, &wanted).await.unwrap_err();
    assert!(error.is_limit(), "{error:?}");
    world.api.delete_subscription(auth, &made.id).await.unwrap();
    assert_eq!(state(&made.id).await, SubscriptionState::Gone);
    world.finish();
}

#[tokio::test]
async fn a_subscription_that_pagerduty_has_disabled_says_so() {
    let world = World::start().await;
    let auth = world.as_app();
    // The simulator has no page here: 404 drops a webhook at once.
    let url = world.base.join("nobody/listens").unwrap();
    let wanted =
        NewSubscription { service: &world.ticketing, url: &url, description: "PagerBridge", events: &subscribed() };
    let made = world.api.create_subscription(auth, &wanted).await.unwrap();
    for title in ["One", "Two", "Three"] {
        world.pagerduty.trigger(world.ticketing.as_str(), title, "high");
    }
    world.pagerduty.deliver().await;
    assert_eq!(world.api.subscription_state(auth, &made.id).await.unwrap(), SubscriptionState::Disabled);
    world.api.enable_subscription(auth, &made.id).await.unwrap();
    assert_eq!(world.api.subscription_state(auth, &made.id).await.unwrap(), SubscriptionState::Active);
    // Those three are the deliveries.
    assert_eq!(world.pagerduty.take_unknown_requests().len(), 3);
}
