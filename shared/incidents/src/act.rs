//! A person does something to an incident: as themselves, with PagerDuty's newest word where that matters, and once.

use std::time::Duration;

use domain::behind::Wish;
use domain::cause::{Cause, Occasion};
use domain::deed::{Decision, Deed, Refusal, Repetition, Request};
use domain::failure::Class;
use domain::ids::{AccountId, CauseId, EntraUserId, IncidentId, TenantId};
use domain::incident::{Actor, Asked, IncidentRecord, Status};
use domain::routing;
use jiff::{SignedDuration, Timestamp};
use pagerduty::rest::{Api, ApiError, Auth, Resolved};
use runtime::once::{self, Ended, Turn};
use runtime::{App, Metric, OnceError, Person, PersonError};
use store::OnceKey;
use tokio::time::{Instant, timeout};

use crate::{Answer, What, observe};

/// Outcome of something that PagerDuty may or may not have done.
const UNCLEAR: &str = "unclear";

/// For so long at most the answer to a click waits for PagerDuty to tell what else happened.
const TO_LOOK_BACK: Duration = Duration::from_secs(1);

/// What became of a deed.
#[derive(Debug)]
pub enum Outcome {
    /// It is done; the incident as it is now.
    Done(Box<IncidentRecord>),
    /// It was so already.
    AlreadyDone {
        /// Who did it, as far as that is known.
        by: Option<Actor>,
        at: Option<Timestamp>,
    },
    /// It is not done, for a reason that is the incident's or the deed's own.
    Refused(Refusal),
    /// It is acknowledged, and thereby open again: somebody had resolved it a moment before.
    Reopened {
        /// Who had resolved it, as far as that is known.
        by: Option<Actor>,
        at: Timestamp,
    },
    /// The person is not linked, or not any more.
    NeedsLink,
    /// The person's log-in was lost: they have to link again.
    LogInLost,
    /// PagerDuty may or may not have done it.
    Unclear,
    /// An equal deed of the same person is being done right now.
    InProgress,
    /// There was no time to ask PagerDuty: nothing was done.
    Busy,
    /// Nothing was done.
    Failed(ActError),
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// PagerDuty refused or did not answer.
    #[error(transparent)]
    PagerDuty(ApiError),
    /// The person's token cannot be had for now.
    #[error("the person cannot speak to PagerDuty")]
    Person(#[source] PersonError),
    /// The table did not answer.
    #[error(transparent)]
    Table(#[from] store::Error),
    /// It is not known whether it was done before.
    #[error(transparent)]
    Once(#[from] OnceError),
}

/// On which incident a deed is done, by whom, and what asked for it.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    pub account: &'a AccountId,
    pub incident: &'a IncidentId,
    pub tenant: &'a TenantId,
    pub user: &'a EntraUserId,
    pub cause: &'a CauseId,
}

impl From<PersonError> for Outcome {
    fn from(error: PersonError) -> Self {
        match error {
            PersonError::NeedsLink => Self::NeedsLink,
            PersonError::LogInLost => Self::LogInLost,
            PersonError::Busy => Self::Busy,
            error => Self::Failed(ActError::of_person(error)),
        }
    }
}

impl ActError {
    /// Why a person's call failed. No `From`: who is not linked, or has no time, is told so and not that something failed.
    pub(crate) fn of_person(error: PersonError) -> Self {
        match error {
            PersonError::PagerDuty(error) => Self::PagerDuty(error),
            PersonError::Table(error) => Self::Table(error),
            error @ (PersonError::NeedsLink
            | PersonError::LogInLost
            | PersonError::TokenRefused(_)
            | PersonError::Busy
            | PersonError::OAuth(_)
            | PersonError::Secret(_)
            | PersonError::Random(_)
            | PersonError::Seal(_)) => Self::Person(error),
        }
    }
}

impl<E: Into<ActError>> From<E> for Outcome {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Does a deed. Nothing is asked of PagerDuty after `deadline`, so an answer is there soon after it.
///
/// What PagerDuty said on the way is observed whatever came of the deed. If that fails, the deed is done all the same, and the
/// webhook of the same change tells it again.
pub async fn act(app: &App, deed: &Deed, at: At<'_>, deadline: Instant) -> Outcome {
    let link = match app.store.link(at.tenant, at.user, at.account).await {
        Ok(Some(link)) => link,
        Ok(None) => return Outcome::NeedsLink,
        Err(error) => return error.into(),
    };
    let mut desk = Desk { app, at, person: app.person(&link, deadline), said: None };
    let outcome = Box::pin(desk.carry_out(deed)).await.unwrap_or_else(|failed| failed);
    let cause = Cause { id: at.cause.clone(), occasion: Occasion::Action, at: app.clock.now(), happened_at: None };
    let Some(said) = desk.said.take() else {
        if matches!(outcome, Outcome::AlreadyDone { .. }) {
            look_again(app, at, &cause).await;
        }
        return outcome;
    };
    let told = said.incident.clone().into_record(at.account.clone(), said.asked);
    let record = match Box::pin(observe(app, at.account, What::Answer(said), &cause)).await {
        Ok(observed) => overlaid(observed.record, told),
        Err(error) => {
            tracing::warn!(error = runtime::chain(&error), incident.id = %at.incident, "not observed after a click");
            told
        }
    };
    match outcome {
        Outcome::Done(_) => Outcome::Done(Box::new(record)),
        other => other,
    }
}

/// Whoever asks for what is known to be done already has a card before them that does not show it.
async fn look_again(app: &App, At { account, incident, .. }: At<'_>, cause: &Cause) {
    let looked = async {
        let (Some(known), cards) = app.store.incident_with_cards(account, incident).await? else { return Ok(()) };
        let channels = routing::behind(&known.record, known.version, &[], &cards);
        Box::pin(observe(app, account, What::Again(&known.record, channels, Wish::Shown), cause)).await.map(drop)
    };
    if let Err(error) = looked.await {
        tracing::warn!(error = runtime::chain(&error), incident.id = %incident, "cards not looked at after a click");
    }
}

/// What PagerDuty said just now, even where an event of the same second outranks it in the record.
fn overlaid(known: IncidentRecord, said: IncidentRecord) -> IncidentRecord {
    IncidentRecord { snapshot: said.snapshot, status_change: said.status_change, ..known }
}

struct Desk<'a> {
    app: &'a App,
    at: At<'a>,
    person: Person<'a>,
    /// The newest that PagerDuty said of the incident.
    said: Option<Answer>,
}

impl Desk<'_> {
    async fn carry_out(&mut self, deed: &Deed) -> Result<Outcome, Outcome> {
        let record = if deed.kind().needs_newest() { self.newest().await? } else { self.known().await? };
        match deed.decide(&record, &self.person.link().pd_user) {
            Decision::Refuse(refusal) => Ok(Outcome::Refused(refusal)),
            Decision::AlreadyDone { by, at } => Ok(Outcome::AlreadyDone { by, at }),
            Decision::Call(request) => match deed.kind().repetition() {
                Repetition::Harmless => self.ask(deed, request, record).await,
                Repetition::Again { within } => Box::pin(self.ask_once(deed, request, record, within)).await,
            },
        }
    }

    async fn known(&self) -> Result<IncidentRecord, Outcome> {
        let At { account, incident, .. } = self.at;
        let stored = match self.app.store.record(account, incident).await {
            // The deed's own answer makes it anew.
            Err(error) if error.is_unreadable() => None,
            stored => stored?,
        };
        Ok(stored.map_or_else(|| IncidentRecord::empty(account.clone(), incident.clone()), |stored| stored.record))
    }

    async fn newest(&mut self) -> Result<IncidentRecord, Outcome> {
        let At { account, incident, .. } = self.at;
        let asked = Asked::at(self.app.clock.now());
        let answer = self.person.call(async |api, auth| api.incident(auth, incident).await).await?;
        let record = answer.clone().into_record(account.clone(), asked);
        self.said = Some(Answer { incident: answer, asked });
        Ok(record)
    }

    /// Asks PagerDuty for it. `record`: what is known of the incident.
    async fn ask(&mut self, deed: &Deed, request: Request, record: IncidentRecord) -> Result<Outcome, Outcome> {
        let incident = self.at.incident;
        let asked = Asked::at(self.app.clock.now());
        let answer = match &request {
            Request::SetStatus(status) => {
                let call = async |api: &Api, auth: Auth<'_>| api.set_status(auth, incident, *status).await.map(Some);
                self.person.call(call).await
            }
            Request::CreateNote(text) => {
                self.person.call(async |api, auth| api.create_note(auth, incident, text).await.map(|_| None)).await
            }
        };
        let error = match answer {
            Ok(said) => {
                self.app.metrics.count(Metric::ActionsTaken, self.app.clock.now());
                let before = self.said.take();
                let read = before.as_ref().map(|before| before.incident.updated_at);
                self.said = said.map(|incident| Answer { incident, asked }).or(before);
                return Ok(match (request, read) {
                    (Request::SetStatus(Status::Acknowledged), Some(read)) => {
                        self.look_back(read).await.unwrap_or_else(|| Outcome::Done(Box::new(record)))
                    }
                    _ => Outcome::Done(Box::new(record)),
                });
            }
            Err(PersonError::PagerDuty(error)) => error,
            Err(error) => return Err(error.into()),
        };
        if matches!(request, Request::SetStatus(_)) && error.already_done() {
            return Ok(self.somebody_was_faster(deed).await);
        }
        // A success that cannot be read is one all the same.
        if error.class() == Class::Unclear || matches!(error, ApiError::Unreadable { .. }) {
            tracing::warn!(error = runtime::chain(&error), "PagerDuty may or may not have done it");
            return Ok(Outcome::Unclear);
        }
        Err(Outcome::Failed(ActError::PagerDuty(error)))
    }

    /// Between the question before the deed and the deed, somebody may have resolved the incident, and acknowledging opens it again.
    /// `None`: nobody did, or PagerDuty does not say in time.
    async fn look_back(&mut self, read: Timestamp) -> Option<Outcome> {
        let (incident, me) = (self.at.incident, self.person.link().pd_user.clone());
        let ask = async |api: &Api, auth: Auth<'_>| api.resolved_before(auth, incident, read, &me).await;
        let told = timeout(TO_LOOK_BACK, Box::pin(self.person.call(ask))).await;
        match told {
            Ok(Ok(resolved)) => resolved.map(|Resolved { by, at }| {
                tracing::info!(incident.id = %incident, "acknowledging has opened an incident again");
                Outcome::Reopened { by, at }
            }),
            Ok(Err(error)) => {
                tracing::info!(error = runtime::chain(&error), "not known whether it was resolved meanwhile");
                None
            }
            Err(_) => None,
        }
    }

    /// What they made of it, and who it was, is worth a question, whose failure is none of the deed's.
    async fn somebody_was_faster(&mut self, deed: &Deed) -> Outcome {
        let Ok(record) = self.newest().await else { return Outcome::AlreadyDone { by: None, at: None } };
        match deed.decide(&record, &self.person.link().pd_user) {
            Decision::Refuse(refusal) => Outcome::Refused(refusal),
            Decision::AlreadyDone { by, at } => Outcome::AlreadyDone { by, at },
            Decision::Call(_) => {
                let (at, by) = record.in_status_since().map(|(at, by)| (at, by.cloned())).unzip();
                Outcome::AlreadyDone { by: by.flatten(), at }
            }
        }
    }

    /// The same, but an equal deed of the same person is not repeated within a while. The claim is held as long as it is
    /// kept: a flow that was dropped in the middle leaves it open whether the deed was done.
    async fn ask_once(
        &mut self,
        deed: &Deed,
        request: Request,
        record: IncidentRecord,
        within: SignedDuration,
    ) -> Result<Outcome, Outcome> {
        let (app, at) = (self.app, self.at);
        let key = match deed {
            Deed::AddNote { text } => runtime::digest(format!("{}#{}", at.user, text.trim()).as_bytes()),
            Deed::Acknowledge | Deed::Resolve => runtime::digest(format!("{}#{deed:?}", at.user).as_bytes()),
        };
        let work = Box::pin(async {
            match self.ask(deed, request, record).await {
                Ok(Outcome::Unclear) => Ended::Done(Outcome::Unclear, UNCLEAR.to_owned()),
                Ok(outcome) => Ended::Done(outcome, "done".to_owned()),
                Err(outcome) => Ended::Undone(outcome),
            }
        });
        match once::run(app, OnceKey::Deed(at.incident, deed.kind().name(), &key), within, within, work).await? {
            Turn::Mine(outcome) => Ok(outcome),
            Turn::InProgress => Ok(Outcome::InProgress),
            Turn::Before(outcome) if outcome == UNCLEAR => Ok(Outcome::Unclear),
            Turn::Before(_) => Ok(Outcome::AlreadyDone { by: None, at: None }),
        }
    }
}
