//! A person does one thing to many incidents: PagerDuty is asked which of them it still fits, and then for all of those together.
//!
//! PagerDuty changes all incidents of a call or none, and reopens a resolved one that is acknowledged (REST docs, "Manage
//! incidents"). So nothing is sent that was not seen to fit a moment before, and a call that is refused is halved until the
//! incident that spoils it stands alone. What PagerDuty may have done without an answer is not asked for again: its webhooks tell.

mod plan;

use std::time::Duration;

use domain::cause::{Cause, Occasion};
use domain::deed::DeedKind;
use domain::failure::Class;
use domain::ids::{AccountId, CauseId, EntraUserId, IncidentId, PdUserId, ServiceId, TenantId};
use domain::incident::{Asked, Status};
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use pagerduty::rest::{Api, ApiError, Auth, Resolved, RestIncident, narrowing};
use runtime::{App, Metric, Person, PersonError};
use tokio::time::Instant;

pub use self::plan::{OneOutcome, Trouble};
use self::plan::{Reading, Reply, Writing};
use crate::{ActError, Answer, What, observe};

/// With less time left no further list is read: what was found is to be acted on.
const LEAST_TO_READ: Duration = Duration::from_millis(1500);

/// With less time left no call begins: it takes PagerDuty longer than one incident does, and when it is cut off nobody knows
/// what became of any of them.
const LEAST_TO_WRITE: Duration = Duration::from_millis(500);

/// With less time left nobody looks whether something was reopened.
const LEAST_TO_LOOK_BACK: Duration = Duration::from_millis(400);

/// How many pages tell what became of those that it does not fit any more.
const PAGES_OF_OTHERS: usize = 2;

/// How many incidents are asked about one by one, all at the same time: no list is read for so few, but the first page of all.
const MOST_SINGLE: usize = 10;

/// How many answers are observed, and how many at the same time. The webhooks bring the rest.
const MOST_OBSERVED: usize = 25;
const AT_ONCE: usize = 8;

/// To which incidents a deed is done, by whom, and what asked for it.
#[derive(Debug, Clone, Copy)]
pub struct Many<'a> {
    pub account: &'a AccountId,
    pub tenant: &'a TenantId,
    pub user: &'a EntraUserId,
    pub cause: &'a CauseId,
    /// In the order in which they matter. Meant for at most 250.
    pub incidents: &'a [IncidentId],
    /// Their services, to which PagerDuty's lists are narrowed; none: to no services.
    pub services: &'a [ServiceId],
    pub scope: Scope,
}

/// To which of the incidents it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those that are assigned to the person.
    Mine,
    /// All of them.
    These,
}

/// What became of a deed to many.
#[derive(Debug)]
pub enum ManyOutcome {
    /// What became of each, in the order in which they were given; of one that was given twice, once.
    Each(Vec<(IncidentId, OneOutcome)>),
    /// The person is not linked, or not any more: nothing was done.
    NeedsLink,
    /// The person's log-in was lost, and they have to link again: nothing was done.
    LogInLost,
    /// There was no time to ask PagerDuty: nothing was done.
    Busy,
    /// Nothing was done.
    Failed(ActError),
}

impl From<PersonError> for ManyOutcome {
    fn from(error: PersonError) -> Self {
        match error {
            PersonError::NeedsLink => Self::NeedsLink,
            PersonError::LogInLost => Self::LogInLost,
            PersonError::Busy => Self::Busy,
            error => Self::Failed(ActError::of_person(error)),
        }
    }
}

/// Does a deed that sets a status ([`DeedKind::sets`]) to many incidents; others do not suit many. Nothing is asked of PagerDuty
/// after `deadline`, so an answer is there soon after it.
///
/// What PagerDuty answered is observed as far as time allows. If that fails, the deed is done all the same.
pub async fn act_many(app: &App, kind: DeedKind, whom: Many<'_>, deadline: Instant) -> ManyOutcome {
    let link = match app.store.link(whom.tenant, whom.user, whom.account).await {
        Ok(Some(link)) => link,
        Ok(None) => return ManyOutcome::NeedsLink,
        Err(error) => return ManyOutcome::Failed(error.into()),
    };
    let mut reading = Reading::of(kind, whom.incidents);
    let Some(status) = kind.sets() else {
        return ManyOutcome::Each(reading.ended(&OneOutcome::Failed(Class::Bug.into())).outcomes());
    };
    let mut desk = Desk { app, kind, whom, person: app.person(&link, deadline), deadline };
    let rest = match Box::pin(desk.read(&mut reading)).await {
        Ok(rest) => rest,
        Err(outcome) => return outcome,
    };
    let mut writing = reading.ended(&rest);
    let answers = Box::pin(desk.write(status, &mut writing)).await;
    if status == Status::Acknowledged {
        Box::pin(desk.look_back(&mut writing)).await;
    }
    desk.observe(answers).await;
    let outcomes = writing.outcomes();
    let done = outcomes.iter().filter(|(_, outcome)| outcome.is_done()).count();
    if done > 0 {
        app.metrics.emit(&[Metric::ActionsTaken.times(done)], app.clock.now());
    }
    ManyOutcome::Each(outcomes)
}

struct Desk<'a> {
    app: &'a App,
    kind: DeedKind,
    whom: Many<'a>,
    person: Person<'a>,
    deadline: Instant,
}

impl Desk<'_> {
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Finds out which incidents the deed fits. Gives what becomes of those of which nothing was found out.
    async fn read(&mut self, reading: &mut Reading) -> Result<OneOutcome, ManyOutcome> {
        let fits = |status: &Status| self.kind.is_offered(*status);
        let statuses = [Status::Triggered, Status::Acknowledged, Status::Resolved];
        let (fitting, others): (Vec<Status>, Vec<Status>) = statuses.into_iter().partition(fits);
        let me = self.person.link().pd_user.clone();
        let mine = Some(&me).filter(|_| self.whom.scope == Scope::Mine);
        match self.list(reading, &fitting, mine, usize::MAX).await {
            Ok(()) => {}
            Err(error) if reading.has_begun() => return Ok(unread(&error)),
            Err(error) => return Err(error.into()),
        }
        if mine.is_some() {
            // Nobody is assigned to a resolved incident.
            let others: Vec<Status> = others.into_iter().filter(|status| *status != Status::Resolved).collect();
            if let Err(error) = self.list(reading, &others, mine, PAGES_OF_OTHERS).await {
                tracing::info!(error = runtime::chain(&error), "not known which were done already");
            }
            return Ok(OneOutcome::NotMine);
        }
        let told = match self.list(reading, &others, None, PAGES_OF_OTHERS).await {
            Ok(()) => self.read_singly(reading).await,
            failed => failed,
        };
        Ok(told.map_or_else(|error| unread(&error), |()| OneOutcome::NotInTime))
    }

    /// Reads a list until enough of the incidents were seen, or it ends, or so many pages were read.
    async fn list(
        &mut self,
        reading: &mut Reading,
        statuses: &[Status],
        assigned_to: Option<&PdUserId>,
        pages: usize,
    ) -> Result<(), PersonError> {
        let services = narrowing(self.whom.services);
        // Without a status PagerDuty would list all incidents.
        let mut next = (!statuses.is_empty()).then_some(0);
        for _ in 0..pages {
            let may_miss = if self.whom.scope == Scope::These && reading.has_begun() { MOST_SINGLE } else { 0 };
            let Some(offset) = next.filter(|_| reading.missing().len() > may_miss) else { break };
            if reading.has_begun() && self.left() < LEAST_TO_READ {
                return Err(PersonError::Busy);
            }
            let ask = async |api: &Api, auth: Auth<'_>| {
                api.newest_incidents(auth, statuses, services, assigned_to, offset).await
            };
            let page = self.person.call(ask).await?;
            reading.saw(&page.items);
            next = page.next;
        }
        Ok(())
    }

    /// Reads some of those that are in no list.
    async fn read_singly(&mut self, reading: &mut Reading) -> Result<(), PersonError> {
        let missing: Vec<IncidentId> = reading.missing().into_iter().take(MOST_SINGLE).collect();
        if missing.is_empty() {
            return Ok(());
        }
        if self.left() < LEAST_TO_READ {
            return Err(PersonError::Busy);
        }
        let ask = async |api: &Api, auth: Auth<'_>| {
            let one = async |id| match api.incident(auth, id).await {
                Err(error) if error.refuses_token() => Err(error),
                told => Ok(told),
            };
            join_all(missing.iter().map(one)).await.into_iter().collect::<Result<Vec<_>, ApiError>>()
        };
        let told = self.person.call(ask).await?;
        for (id, told) in missing.iter().zip(told) {
            match told {
                Ok(incident) => reading.saw(&[incident]),
                Err(error) => reading.could_not_see(id, asked_in_vain(&error)),
            }
        }
        Ok(())
    }

    /// Asks PagerDuty for it. Gives what it answered.
    async fn write(&mut self, status: Status, writing: &mut Writing) -> Vec<Answer> {
        let mut answers = Vec::new();
        while let Some(part) = writing.next() {
            let asked = Asked::at(self.app.clock.now());
            let told = if self.left() < LEAST_TO_WRITE {
                Err(PersonError::Busy)
            } else {
                let ids = part.ids();
                self.person.call(async |api, auth| api.set_statuses(auth, ids, status).await).await
            };
            let reply = match told {
                Ok(told) => {
                    let answer = |incident: RestIncident| Answer { incident, asked };
                    answers.extend(told.into_iter().map(answer));
                    Reply::Done
                }
                Err(error) => {
                    tracing::warn!(error = runtime::chain(&error), incidents = part.ids().len(), "not done to many");
                    reply(&error, status)
                }
            };
            writing.answered(part, reply);
        }
        answers
    }

    /// Which of them had been resolved between the lists and the call, as far as there is time to ask: the first ones, all at the
    /// same time.
    async fn look_back(&mut self, writing: &mut Writing) {
        let done: Vec<(IncidentId, Timestamp)> = writing.done().take(MOST_SINGLE).collect();
        if done.is_empty() || self.left() < LEAST_TO_LOOK_BACK {
            return;
        }
        let me = self.person.link().pd_user.clone();
        let ask = async |api: &Api, auth: Auth<'_>| {
            let one = async |(id, read): &(IncidentId, Timestamp)| {
                let told = api.resolved_before(auth, id, *read, &me).await;
                told.unwrap_or_else(|error| {
                    tracing::info!(error = runtime::chain(&error), "not known whether it was resolved meanwhile");
                    None
                })
            };
            Ok(join_all(done.iter().map(one)).await)
        };
        let Ok(told) = self.person.call(ask).await else { return };
        for ((id, _), resolved) in done.iter().zip(told) {
            if let Some(Resolved { by, at }) = resolved {
                writing.reopened(id, by, at);
            }
        }
    }

    async fn observe(&self, answers: Vec<Answer>) {
        let Many { account, cause, .. } = self.whom;
        let at = self.app.clock.now();
        let cause = &Cause { id: cause.clone(), occasion: Occasion::Action, at, happened_at: None };
        let look = async |answer: Answer| {
            if self.left().is_zero() {
                return;
            }
            let id = answer.incident.id.clone();
            if let Err(error) = Box::pin(observe(self.app, account, What::Answer(answer), cause)).await {
                tracing::warn!(error = runtime::chain(&error), incident.id = %id, "not observed after a click");
            }
        };
        let looks = answers.into_iter().take(MOST_OBSERVED).map(look);
        stream::iter(looks).buffer_unordered(AT_ONCE).collect::<()>().await;
    }
}

/// What becomes of an incident of which nothing was found out.
fn unread(error: &PersonError) -> OneOutcome {
    if matches!(error, PersonError::Busy) {
        return OneOutcome::NotInTime;
    }
    tracing::warn!(error = runtime::chain(error), "not all incidents were found");
    OneOutcome::Failed(undone(error))
}

/// What PagerDuty's answer means for the incidents that it was asked for.
fn reply(error: &PersonError, wanted: Status) -> Reply {
    match error {
        PersonError::Busy => Reply::Undone(OneOutcome::NotInTime),
        PersonError::PagerDuty(error) => match error.class() {
            _ if error.already_done() => Reply::Refused(already(wanted)),
            Class::Gone => Reply::Refused(OneOutcome::NotVisible),
            Class::Invalid | Class::Forbidden => Reply::Refused(OneOutcome::Failed(Trouble::of(error))),
            Class::Unclear => Reply::Unclear,
            // A success that cannot be read is one all the same.
            Class::Bug if matches!(error, ApiError::Unreadable { .. }) => Reply::Unclear,
            Class::Retry { .. } | Class::Relink | Class::Bug => Reply::Undone(OneOutcome::Failed(Trouble::of(error))),
        },
        PersonError::NeedsLink
        | PersonError::LogInLost
        | PersonError::TokenRefused(_)
        | PersonError::OAuth(_)
        | PersonError::Table(_)
        | PersonError::Secret(_)
        | PersonError::Random(_)
        | PersonError::Seal(_) => Reply::Undone(OneOutcome::Failed(undone(error))),
    }
}

fn already(wanted: Status) -> OneOutcome {
    match wanted {
        Status::Resolved => OneOutcome::ResolvedMeanwhile,
        Status::Triggered | Status::Acknowledged => OneOutcome::AlreadyAcknowledged { by: None },
    }
}

/// Why nothing was asked for.
fn undone(error: &PersonError) -> Trouble {
    let class = match error {
        PersonError::NeedsLink | PersonError::LogInLost | PersonError::TokenRefused(_) => Class::Relink,
        PersonError::Busy => Class::Retry { after: None },
        PersonError::PagerDuty(error) => return asked_in_vain(error),
        PersonError::OAuth(error) => begun_nothing(error.class()),
        PersonError::Table(error) => begun_nothing(error.class()),
        PersonError::Secret(error) => begun_nothing(error.class()),
        PersonError::Random(_) | PersonError::Seal(_) => Class::Bug,
    };
    class.into()
}

fn asked_in_vain(error: &ApiError) -> Trouble {
    Trouble { class: begun_nothing(error.class()), ..Trouble::of(error) }
}

/// What is unclear of a question is clear of the deed: it was not asked for.
fn begun_nothing(class: Class) -> Class {
    if class == Class::Unclear { Class::Retry { after: None } } else { class }
}
