//! One deed to many incidents, as a person whom PagerDuty lets do some of it.

use std::time::Duration;

use domain::deed::DeedKind;
use domain::failure::Class;
use domain::ids::{CauseId, EntraUserId, IncidentId, ServiceId, TenantId};
use domain::incident::Status;
use incidents::{ActError, Many, ManyOutcome, OneOutcome, Scope};
use jiff::SignedDuration;
use simulators::pagerduty::Fault;
use tokio::time::Instant;

use crate::world::{World, account};

/// More than any of these takes.
const LONG: Duration = Duration::from_secs(60);

impl World {
    async fn acknowledge_many(&self, who: &str, ids: &[String], scope: Scope, time: Duration) -> ManyOutcome {
        let user = self.teams().user(&self.person(who).teams).unwrap();
        let incidents: Vec<IncidentId> = ids.iter().map(|id| IncidentId::new(id.as_str()).unwrap()).collect();
        let whom = Many {
            account: &account(),
            tenant: &TenantId::new(user.tenant).unwrap(),
            user: &EntraUserId::new(user.entra).unwrap(),
            cause: &CauseId::new("many").unwrap(),
            incidents: &incidents,
            services: &[ServiceId::new(self.service("Payments")).unwrap()],
            scope,
        };
        incidents::act_many(&self.stack.app, DeedKind::Acknowledge, whom, Instant::now() + time).await
    }

    async fn each(&self, who: &str, ids: &[String], scope: Scope) -> Vec<OneOutcome> {
        match self.acknowledge_many(who, ids, scope, LONG).await {
            ManyOutcome::Each(outcomes) => {
                let (told, outcomes): (Vec<IncidentId>, Vec<OneOutcome>) = outcomes.into_iter().unzip();
                assert_eq!(told.iter().map(IncidentId::as_str).collect::<Vec<_>>(), ids);
                outcomes
            }
            other => panic!("{other:?}"),
        }
    }

    async fn trigger_many(&self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.trigger("Payments", "DB down").await);
        }
        ids
    }

    async fn status_known(&self, incident: &str) -> Option<Status> {
        let known = self.stack.app.store.record(&account(), &IncidentId::new(incident).unwrap()).await.unwrap();
        known.and_then(|known| known.record.state().map(|state| state.status))
    }
}

async fn linked() -> World {
    let world = World::new().await;
    world.link("Ada Wong").await;
    world
}

fn by(outcome: &OneOutcome) -> Option<&str> {
    match outcome {
        OneOutcome::AlreadyAcknowledged { by } => by.as_ref().map(|by| by.name.as_str()),
        _ => None,
    }
}

#[tokio::test]
async fn what_is_opened_again_by_acknowledging_it_is_told_with_who_had_resolved_it() {
    let world = linked().await;
    let ids = world.trigger_many(3).await;
    world.tick(SignedDuration::from_mins(1));
    world.pagerduty().fail_next_at("GET /incidents", 1, &Fault::Slow(Duration::from_millis(300)));
    let resolve = async {
        while world.pagerduty().pending_faults() > 0 {
            tokio::task::yield_now().await;
        }
        world.tick(SignedDuration::from_secs(1));
        world.pagerduty().resolve(&ids[1], &world.pagerduty_user("Ben Okafor"));
    };
    let (outcomes, ()) = tokio::join!(world.each("Ada Wong", &ids, Scope::These), resolve);
    let [OneOutcome::Done, OneOutcome::Reopened { by: Some(by), at }, OneOutcome::Done] = outcomes.as_slice() else {
        panic!("{outcomes:?}")
    };
    assert_eq!((by.name.as_str(), at.to_string().as_str()), ("Ben Okafor", "2026-11-23T09:01:01Z"));
    assert_eq!(world.status_in_pagerduty(&ids[1]), "acknowledged");
    assert_eq!(world.counted(runtime::Metric::ActionsTaken), 3.0);
    world.finish();
}

#[tokio::test]
async fn what_fits_is_done_and_of_the_rest_the_reason_is_told() {
    let world = linked().await;
    let mut ids = world.trigger_many(5).await;
    world.settle().await;
    world.advance(SignedDuration::from_mins(1)).await;
    let ben = world.pagerduty_user("Ben Okafor");
    world.pagerduty().resolve(&ids[1], &ben);
    world.pagerduty().acknowledge(&ids[3], &ben);
    ids.insert(2, "QGONE".to_owned());
    let outcomes = world.each("Ada Wong", &ids, Scope::These).await;
    let [
        OneOutcome::Done,
        OneOutcome::ResolvedMeanwhile,
        OneOutcome::NotVisible,
        OneOutcome::Done,
        taken,
        OneOutcome::Done,
    ] = &outcomes[..]
    else {
        panic!("{outcomes:?}")
    };
    assert_eq!(by(taken), Some("Ben Okafor"));
    for id in [&ids[0], &ids[3], &ids[5]] {
        assert_eq!(world.status_in_pagerduty(id), "acknowledged");
        assert_eq!(world.status_known(id).await, Some(Status::Acknowledged), "before any webhook");
    }
    assert_eq!(world.status_in_pagerduty(&ids[1]), "resolved", "it is not reopened");
    assert_eq!(world.counted(runtime::Metric::ActionsTaken), 3.0);
    world.settle_all().await;
    let mut cards: Vec<bool> = world.cards("Payments").iter().map(|card| card.shows_status("acknowledged")).collect();
    cards.sort_unstable();
    assert_eq!(cards, [false, true, true, true, true]);
    world.finish();
}

#[tokio::test]
async fn of_many_that_do_not_fit_any_more_a_list_tells_the_reason() {
    let world = linked().await;
    let mut ids = world.trigger_many(30).await;
    let ben = world.pagerduty_user("Ben Okafor");
    ids[..14].iter().for_each(|id| world.pagerduty().resolve(id, &ben));
    ids[14..17].iter().for_each(|id| world.pagerduty().acknowledge(id, &ben));
    ids.push("QGONE".to_owned());
    let outcomes = world.each("Ada Wong", &ids, Scope::These).await;
    assert!(outcomes[..14].iter().all(|outcome| *outcome == OneOutcome::ResolvedMeanwhile), "{outcomes:?}");
    assert!(outcomes[14..17].iter().all(|outcome| by(outcome) == Some("Ben Okafor")), "{outcomes:?}");
    assert!(outcomes[17..30].iter().all(|outcome| *outcome == OneOutcome::Done), "{outcomes:?}");
    assert_eq!(outcomes[30..], [OneOutcome::NotVisible]);
    world.finish();
}

#[tokio::test]
async fn mine_are_those_that_wait_for_me() {
    let world = linked().await;
    let ids = world.trigger_many(3).await;
    let (ada, ben) = (world.pagerduty_user("Ada Wong"), world.pagerduty_user("Ben Okafor"));
    for (id, whom) in ids.iter().zip([&ada, &ben, &ada]) {
        world.pagerduty().reassign(id, &ben, whom);
    }
    let outcomes = world.each("Ada Wong", &ids, Scope::Mine).await;
    assert_eq!(outcomes, [OneOutcome::Done, OneOutcome::NotMine, OneOutcome::Done]);
    assert_eq!(world.status_in_pagerduty(&ids[1]), "triggered");
    // A second click.
    let outcomes = world.each("Ada Wong", &ids, Scope::Mine).await;
    assert_eq!(outcomes.iter().map(by).collect::<Vec<_>>(), [Some("Ada Wong"), None, Some("Ada Wong")]);
    assert_eq!(outcomes[1], OneOutcome::NotMine);
    world.finish();
}

#[tokio::test]
async fn more_than_a_page_is_done_in_parts() {
    let world = linked().await;
    let ids = world.trigger_many(130).await;
    // Two lists and two calls, the first of which is refused for no reason that lasts.
    let refusal = Fault::Answer(400, r#"{"error":{"message":"Invalid Input Provided","code":2001}}"#.to_owned());
    world.pagerduty().fail_next_at("PUT /incidents", 1, &refusal);
    let outcomes = world.each("Ada Wong", &ids, Scope::These).await;
    assert!(outcomes.iter().all(|outcome| *outcome == OneOutcome::Done), "{outcomes:?}");
    assert!(ids.iter().all(|id| world.status_in_pagerduty(id) == "acknowledged"));
    let mut known = 0;
    for id in &ids {
        known += usize::from(world.status_known(id).await.is_some());
    }
    assert_eq!(known, 25, "the webhooks bring the rest");
    world.finish();
}

#[tokio::test]
async fn what_pagerduty_forbids_of_some_is_done_to_the_others() {
    let world = linked().await;
    let ids = world.trigger_many(7).await;
    let (ada, ben) = (world.pagerduty_user("Ada Wong"), world.pagerduty_user("Ben Okafor"));
    for (at, id) in ids.iter().enumerate() {
        world.pagerduty().reassign(id, &ben, if at == 4 { &ada } else { &ben });
    }
    world.pagerduty().set_role(&ada, "observer");
    for (at, outcome) in world.each("Ada Wong", &ids, Scope::These).await.iter().enumerate() {
        let is_forbidden = matches!(outcome, OneOutcome::Failed(trouble) if trouble.class == Class::Forbidden);
        assert!(if at == 4 { *outcome == OneOutcome::Done } else { is_forbidden }, "{at}: {outcome:?}");
    }
    world.finish();
}

#[tokio::test]
async fn whoever_fails_is_not_asked_again() {
    let failed = |class: Class| OneOutcome::Failed(class.into());
    let later = Class::Retry { after: None };
    for (fault, first, rest, status) in [
        (Fault::Status(503), OneOutcome::Unclear, failed(later), "triggered"),
        (Fault::DropAnswerAfterApplying, OneOutcome::Unclear, failed(later), "acknowledged"),
        (Fault::RateLimited(None), failed(later), failed(later), "triggered"),
    ] {
        let world = linked().await;
        let ids = world.trigger_many(101).await;
        world.pagerduty().fail_next_at("PUT /incidents", 1, &fault);
        let outcomes = world.each("Ada Wong", &ids, Scope::These).await;
        assert!(outcomes[..100].iter().all(|outcome| *outcome == first), "{fault:?}: {outcomes:?}");
        assert_eq!(outcomes[100], rest, "{fault:?}");
        assert_eq!(world.status_in_pagerduty(&ids[0]), status, "{fault:?}");
        assert_eq!(world.status_in_pagerduty(&ids[100]), "triggered", "{fault:?}");
        world.finish();
    }
}

#[tokio::test]
async fn nothing_is_done_without_a_link_a_list_or_time() {
    let world = linked().await;
    let ids = world.trigger_many(2).await;
    let ask = async |who, time| world.acknowledge_many(who, &ids, Scope::These, time).await;
    assert!(matches!(ask("Ben Okafor", LONG).await, ManyOutcome::NeedsLink));
    assert!(matches!(ask("Ada Wong", Duration::ZERO).await, ManyOutcome::Busy));
    world.pagerduty().fail_next_at("GET /incidents", 1, &Fault::Status(500));
    assert!(matches!(ask("Ada Wong", LONG).await, ManyOutcome::Failed(ActError::PagerDuty(_))));
    assert!(ids.iter().all(|id| world.status_in_pagerduty(id) == "triggered"));
    world.pagerduty().revoke_tokens(&world.pagerduty_user("Ada Wong"));
    assert!(matches!(ask("Ada Wong", LONG).await, ManyOutcome::NeedsLink));
    world.finish();
}
