//! Acknowledging many rows of a storm: the question before it, and what became of each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cards::{MOST_ACKNOWLEDGED, StormAnswer, StormAnswered, StormOutcome, StormScope, text};
use domain::deed::DeedKind;
use domain::failure::Class;
use domain::ids::{CauseId, EntraUserId, IncidentId, PdUserId, ServiceId};
use domain::incident::Status;
use domain::storm::Row;
use incidents::{ActError, Many, ManyOutcome, OneOutcome, Scope};
use pagerduty::rest::{RestIncident, narrowing};
use runtime::once::{self, Ended, HOLD, KEEP, Turn};
use runtime::{Person, PersonError};
use store::{OnceKey, StoredLink};
use teams::auth::Verified;
use tokio::time::Instant;

use super::{Here, Place, StormPage, list};
use crate::error::Unlinked;
use crate::who::was_sent;

/// Kept of the time for asking PagerDuty to acknowledge, once it is known what.
const TO_ACT: Duration = Duration::from_millis(1800);

/// With less time left no further page of what is assigned to somebody is read: what was found is to be told.
const LEAST_TO_READ: Duration = Duration::from_millis(500);

/// The question.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) place: Place,
    pub(crate) scope: StormScope,
    /// The name of the filter's service.
    pub(crate) service: Option<String>,
    /// How many triggered incidents are meant.
    pub(crate) count: u64,
}

/// What became of each.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) place: Place,
    pub(crate) scope: StormScope,
    pub(crate) results: Vec<StormAnswered>,
}

impl Answer {
    /// As cards take it.
    pub(crate) fn shown(&self) -> StormAnswer<'_> {
        StormAnswer { place: self.place.shown(), scope: self.scope, results: &self.results }
    }
}

/// Asks, with how many it would be.
pub(super) async fn ask(here: &Here<'_>, scope: StormScope) -> Result<StormPage, StormPage> {
    let count = match scope {
        StormScope::Shown if here.filter.status.has(Status::Triggered) => {
            list::counts(&here.storm.followed, &here.filter).of(Status::Triggered).all()
        }
        StormScope::Shown => 0,
        StormScope::Mine => {
            let (_, link) = linked(here).await?;
            let mine = mine(here, &link, here.who.deadline).await?;
            u64::try_from(mine.len()).unwrap_or(u64::MAX)
        }
    };
    Ok(question(here, scope, count))
}

fn question(here: &Here<'_>, scope: StormScope, count: u64) -> StormPage {
    let services = &here.storm.followed.services;
    let of = here.filter.service.as_ref().and_then(|id| services.iter().find(|of| &of.service.id == id));
    let service = of.map(|of| of.service.name.clone());
    StormPage::Question(Question { place: here.place(), scope, service, count })
}

/// Acknowledges, once for each press of the button, however often Teams resends it: by then others may be the newest ones.
pub(super) async fn once(here: &Here<'_>, verified: &Verified, scope: StormScope) -> Result<StormPage, StormPage> {
    let activity = verified.activity();
    let work = Box::pin(async {
        match acknowledge(here, CauseId::from(activity.id.clone()), scope).await {
            Ok(StormPage::Answer(answer)) => {
                let said = cards::storm_answer_sentence(&answer.shown());
                Ended::Done(StormPage::Answer(answer), said)
            }
            Ok(undone) | Err(undone) => Ended::Undone(undone),
        }
    });
    let key = OnceKey::Activity(&activity.conversation.id, &activity.id);
    Ok(match once::run(here.app, key, HOLD, KEEP, work).await? {
        Turn::Mine(page) => page,
        Turn::InProgress => StormPage::InProgress,
        Turn::Before(said) => StormPage::Before(said),
    })
}

/// One that is to be acknowledged.
struct Candidate {
    incident: IncidentId,
    number: u64,
    title: String,
    service: ServiceId,
}

impl From<Row> for Candidate {
    fn from(Row { incident, number, title, service, .. }: Row) -> Self {
        Self { incident, number, title, service: service.id }
    }
}

impl From<RestIncident> for Candidate {
    fn from(RestIncident { id, snapshot, .. }: RestIncident) -> Self {
        Self { incident: id, number: snapshot.number, title: snapshot.title, service: snapshot.service.id }
    }
}

async fn acknowledge(here: &Here<'_>, cause: CauseId, scope: StormScope) -> Result<StormPage, StormPage> {
    let Here { app, who, key, .. } = here;
    let (user, link) = linked(here).await?;
    let until = who.deadline.checked_sub(TO_ACT).unwrap_or(who.deadline);
    let found: Vec<Candidate> = match scope {
        StormScope::Mine => mine(here, &link, until).await?.into_iter().map(Candidate::from).collect(),
        StormScope::Shown => {
            let is_triggered = |row: &Row| row.status == Status::Triggered;
            let rows = here.rows(is_triggered, None, most(), until).await?.rows;
            rows.into_iter().map(Candidate::from).collect()
        }
    };
    if found.is_empty() {
        return Ok(question(here, scope, 0));
    }
    let incidents: Vec<IncidentId> = found.iter().map(|one| one.incident.clone()).collect();
    let services: BTreeSet<ServiceId> = found.iter().map(|one| one.service.clone()).collect();
    let whom = Many {
        account: &key.account,
        tenant: &who.tenant,
        user,
        cause: &cause,
        incidents: &incidents,
        services: &services.into_iter().collect::<Vec<_>>(),
        scope: match scope {
            StormScope::Mine => Scope::Mine,
            StormScope::Shown => Scope::These,
        },
    };
    match Box::pin(incidents::act_many(app, DeedKind::Acknowledge, whom, who.deadline)).await {
        ManyOutcome::Each(each) => {
            let mut told: BTreeMap<IncidentId, OneOutcome> = each.into_iter().collect();
            let answered = |one: Candidate| {
                let outcome = outcome(told.remove(&one.incident)?, &link.link.pd_user);
                Some(StormAnswered { number: one.number, title: one.title, outcome })
            };
            let results = found.into_iter().filter_map(answered).collect();
            Ok(StormPage::Answer(Answer { place: here.place(), scope, results }))
        }
        ManyOutcome::NeedsLink => Ok(send_link(here, Unlinked::NotLinked).await),
        ManyOutcome::LogInLost => Ok(send_link(here, Unlinked::LogInLost).await),
        ManyOutcome::Busy => Ok(StormPage::Busy),
        ManyOutcome::Failed(ActError::PagerDuty(error)) => Ok(StormPage::NotDone(error)),
        ManyOutcome::Failed(error) => Err(error.into()),
    }
}

fn most() -> usize {
    usize::try_from(MOST_ACKNOWLEDGED).unwrap_or(usize::MAX)
}

/// The person's link; `Err`: they were asked to link first.
async fn linked<'a>(here: &Here<'a>) -> Result<(&'a EntraUserId, StoredLink), StormPage> {
    let user = here.who.user.as_ref().ok_or(StormPage::UnknownPerson)?;
    match here.app.store.link(&here.who.tenant, user, &here.key.account).await? {
        Some(link) => Ok((user, link)),
        None => Err(send_link(here, Unlinked::NotLinked).await),
    }
}

async fn send_link(here: &Here<'_>, why: Unlinked) -> StormPage {
    let sent = here.who.send_link(here.app, Some(here.key.account.clone()), None).await;
    if was_sent(sent) { StormPage::LinkSent(why) } else { StormPage::LinkNotSent(why) }
}

/// The newest triggered incidents that are assigned to the person and are rows of this storm, as far as there is time.
async fn mine(here: &Here<'_>, link: &StoredLink, until: Instant) -> Result<Vec<RestIncident>, StormPage> {
    let mut person = here.app.person(link, until);
    let mut assigned = match all_assigned(here, &mut person, until).await {
        Ok(assigned) => assigned,
        Err(PersonError::NeedsLink) => return Err(send_link(here, Unlinked::NotLinked).await),
        Err(PersonError::LogInLost) => return Err(send_link(here, Unlinked::LogInLost).await),
        Err(PersonError::Busy) => return Err(StormPage::Busy),
        Err(PersonError::PagerDuty(error)) => return Err(StormPage::NotDone(error)),
        Err(error) => return Err(error.into()),
    };
    // What the list's filter hides is not meant, although its status is PagerDuty's by now.
    assigned.retain(|incident| here.filter.service.as_ref().is_none_or(|id| id == &incident.snapshot.service.id));
    let ids: Vec<IncidentId> = assigned.iter().map(|incident| incident.id.clone()).collect();
    let cards = here.app.store.cards_in(&here.key.account, &here.key.channel, &ids).await?;
    let row = |id: &IncidentId| cards.get(id).and_then(|card| card.row.as_ref());
    assigned.retain(|incident| row(&incident.id).is_some_and(|row| row.storm == here.key.storm));
    Ok(assigned)
}

async fn all_assigned(
    here: &Here<'_>,
    person: &mut Person<'_>,
    until: Instant,
) -> Result<Vec<RestIncident>, PersonError> {
    let mut services: Vec<ServiceId> = here.storm.followed.services.iter().map(|of| of.service.id.clone()).collect();
    if let Some(only) = &here.filter.service {
        services.retain(|id| id == only);
        // Of a service that has no row here, nobody is asked.
        if services.is_empty() {
            return Ok(Vec::new());
        }
    }
    let services = narrowing(&services);
    let me = person.link().pd_user.clone();
    let mut found: BTreeMap<IncidentId, RestIncident> = BTreeMap::new();
    let mut order = Vec::new();
    let mut next = Some(0);
    while let Some(offset) = next.filter(|_| order.len() < most()) {
        if !order.is_empty() && until.saturating_duration_since(Instant::now()) < LEAST_TO_READ {
            break;
        }
        let page = person
            .call(async |api, auth| api.newest_incidents(auth, &[Status::Triggered], services, Some(&me), offset).await)
            .await;
        let page = match page {
            Ok(page) => page,
            Err(error) if order.is_empty() => return Err(error),
            Err(error) => {
                tracing::info!(error = runtime::chain(&error), "not all that is assigned was read");
                break;
            }
        };
        for incident in page.items {
            let id = incident.id.clone();
            if found.insert(id.clone(), incident).is_none() {
                order.push(id);
            }
        }
        next = page.next;
    }
    order.truncate(most());
    Ok(order.iter().filter_map(|id| found.remove(id)).collect())
}

/// What is said of one. What the person has acknowledged before is acknowledged.
fn outcome(told: OneOutcome, me: &PdUserId) -> StormOutcome {
    let failed = |reason: &str| StormOutcome::Failed { reason: reason.to_owned() };
    match told {
        OneOutcome::Done => StormOutcome::Acknowledged,
        OneOutcome::Reopened { by, .. } => StormOutcome::Reopened { by: by.map(|by| by.name) },
        OneOutcome::ResolvedMeanwhile => StormOutcome::Resolved,
        OneOutcome::AlreadyAcknowledged { by: Some(by) } if by.user.as_ref() == Some(me) => StormOutcome::Acknowledged,
        OneOutcome::AlreadyAcknowledged { .. } => StormOutcome::Already,
        OneOutcome::NotMine => failed(text::NOT_MINE),
        OneOutcome::NotVisible => failed(text::INCIDENT_GONE),
        OneOutcome::Unclear => failed(text::MANY_UNCLEAR),
        OneOutcome::NotInTime => StormOutcome::NotInTime,
        OneOutcome::Failed(trouble) if trouble.class == Class::Relink => failed(text::MANY_REFUSED),
        OneOutcome::Failed(trouble) => {
            failed(&text::not_done(trouble.class, &trouble.message, Some(text::INCIDENT_GONE)))
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::incident::Actor;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn each_outcome_has_its_words() {
        let me = PdUserId::new("PME").unwrap();
        let by = |user: &str| Actor { user: PdUserId::new(user).ok(), name: "Ada".to_owned() };
        let already = |by| OneOutcome::AlreadyAcknowledged { by };
        let failed = |reason: &str| StormOutcome::Failed { reason: reason.to_owned() };
        for (told, expected) in [
            (OneOutcome::Done, StormOutcome::Acknowledged),
            (
                OneOutcome::Reopened { by: Some(by("POTHER")), at: Timestamp::UNIX_EPOCH },
                StormOutcome::Reopened { by: Some("Ada".to_owned()) },
            ),
            (OneOutcome::ResolvedMeanwhile, StormOutcome::Resolved),
            (already(None), StormOutcome::Already),
            (already(Some(by("POTHER"))), StormOutcome::Already),
            (already(Some(by("PME"))), StormOutcome::Acknowledged),
            (OneOutcome::NotMine, failed(text::NOT_MINE)),
            (OneOutcome::NotVisible, failed(text::INCIDENT_GONE)),
            (OneOutcome::Unclear, failed(text::MANY_UNCLEAR)),
            (OneOutcome::NotInTime, StormOutcome::NotInTime),
            (OneOutcome::Failed(Class::Forbidden.into()), failed(text::FORBIDDEN)),
            (OneOutcome::Failed(Class::Retry { after: None }.into()), failed(text::BUSY_PAGERDUTY)),
            (OneOutcome::Failed(Class::Gone.into()), failed(text::INCIDENT_GONE)),
            (OneOutcome::Failed(Class::Relink.into()), failed(text::MANY_REFUSED)),
        ] {
            assert_eq!(outcome(told.clone(), &me), expected, "{told:?}");
        }
    }
}
