//! What PagerDuty has signed and nobody can read, or not yet: its incident is asked for, and the body is kept for people, for the
//! next version, and for whoever asks again for what PagerDuty did not tell.

use std::time::Duration;

use axum::body::Bytes;
use domain::cause::{Cause, Occasion};
use domain::ids::{AccountId, CauseId, IncidentId};
use domain::incident::IncidentEvent;
use incidents::What;
use jiff::{SignedDuration, Timestamp};
use pagerduty::webhook;
use runtime::{App, bookkeep};
use store::{NotRead, Subscription};
use tokio::time::Instant;

use crate::answer::{self, Ended};

/// How much of the time for an answer is spent on a question to PagerDuty.
const ASK_BUDGET: Duration = Duration::from_millis(2000);

/// When the reconciler asks again for what PagerDuty did not tell.
const AGAIN_IN: SignedDuration = SignedDuration::from_mins(1);

/// A body, and why it is not read.
pub(crate) struct Unread {
    pub(crate) subscription: Subscription,
    /// PagerDuty's name of the delivery.
    pub(crate) webhook: Option<String>,
    pub(crate) body: Bytes,
    pub(crate) reason: String,
    /// When it can be read.
    pub(crate) again_at: Option<Timestamp>,
}

/// What PagerDuty told when it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// What is true, and that was observed.
    All,
    /// Nobody knows which incident to ask for.
    Nothing,
    /// That it knows no such incident, which may be so for a second only: what it delivers from is ahead of what it answers from.
    Unknown,
    /// It did not answer, or the answer could not be noted.
    NotYet,
}

impl Told {
    /// Whether the reconciler asks once more.
    fn is_asked_again(self) -> bool {
        matches!(self, Self::Unknown | Self::NotYet)
    }
}

impl Unread {
    /// Asks PagerDuty for the incident, and keeps the body.
    pub(crate) async fn salvage(&self, app: &App, until: Instant) -> Ended {
        self.report();
        let told = self.ask_for_incident(app, until).await;
        self.keep(app, told).await.err().unwrap_or(Ended::Unreadable)
    }

    /// The same for an event that can be read, and is of the future. What PagerDuty does not tell, the event does: as one without a
    /// time, so that it undoes nothing.
    pub(crate) async fn salvage_event(
        &self,
        app: &App,
        event: IncidentEvent,
        cause: Cause,
        until: Instant,
    ) -> Result<Ended, Ended> {
        self.report();
        let account = &self.subscription.account;
        let told = ask(app, account, &event.incident, cause.clone(), until).await;
        if told != Told::All {
            let event = What::Event(IncidentEvent { occurred_at: None, ..event });
            Box::pin(incidents::observe(app, account, event, &cause)).await.map_err(answer::not_observed)?;
        }
        self.keep(app, told).await?;
        Ok(Ended::Unreadable)
    }

    /// The same for an event of an unknown type. Nobody need read it, so it is kept only to ask again.
    pub(crate) async fn salvage_unknown(&self, app: &App, until: Instant) -> Result<Ended, Ended> {
        let told = self.ask_for_incident(app, until).await;
        if told.is_asked_again() {
            self.keep(app, told).await?;
        }
        Ok(Ended::UnknownType)
    }

    fn report(&self) {
        let Self { subscription, reason, .. } = self;
        tracing::error!(subscription.id = %subscription.id, reason, "signed event cannot be read; kept for inspection");
    }

    /// If PagerDuty did not tell what is true, the body is what there is: it is kept before the answer, or PagerDuty repeats it. Else
    /// keeping it is bookkeeping.
    async fn keep(&self, app: &App, told: Told) -> Result<(), Ended> {
        let Self { subscription, reason, .. } = self;
        let now = app.clock.now();
        let soon = now.checked_add(AGAIN_IN).ok().filter(|_| told.is_asked_again());
        let reader = webhook::reader();
        let unread = NotRead {
            subscription,
            webhook: self.webhook.as_deref(),
            body: &self.body,
            reason,
            reader: &reader,
            again_at: soon.or(self.again_at),
            asked: told == Told::All,
        };
        let keeping = Box::pin(app.store.keep_unread(&unread, now));
        if told == Told::All {
            bookkeep("an unreadable body", keeping).await;
            return Ok(());
        }
        keeping.await.map_err(|error| answer::table_failed(&error))
    }

    /// Asks for the incident that the body seems to be about.
    async fn ask_for_incident(&self, app: &App, until: Instant) -> Told {
        let Some(incident) = webhook::incident_in(&self.body) else { return Told::Nothing };
        let named = self.webhook.as_ref().and_then(|webhook| CauseId::new(format!("webhook-{webhook}")).ok());
        let Some(id) = named.or_else(|| CauseId::new("webhook").ok()) else { return Told::Nothing };
        let cause = Cause { id, occasion: Occasion::Webhook, at: app.clock.now(), happened_at: None };
        ask(app, &self.subscription.account, &incident, cause, until).await
    }
}

/// Asks PagerDuty for what only it can tell.
pub(crate) async fn ask(app: &App, account: &AccountId, incident: &IncidentId, cause: Cause, until: Instant) -> Told {
    // The queue drops a second message of the same cause.
    let cause = Cause { id: cause.id.numbered(1), ..cause };
    let asking = Box::pin(incidents::refresh(app, account, incident, &cause));
    match tokio::time::timeout_at(until.min(Instant::now() + ASK_BUDGET), asking).await {
        Ok(Ok(Some(_))) => Told::All,
        Ok(Ok(None)) => Told::Unknown,
        Ok(Err(error)) => {
            tracing::warn!(error = runtime::chain(&error), incident.id = %incident, "PagerDuty not asked");
            Told::NotYet
        }
        Err(_) => {
            tracing::warn!(incident.id = %incident, "PagerDuty did not answer in time");
            Told::NotYet
        }
    }
}
