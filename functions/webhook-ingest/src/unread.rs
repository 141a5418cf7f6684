//! What PagerDuty has signed and nobody can read, or not yet: its incident is asked for, and the body is kept for people and for the
//! next version.

use std::time::Duration;

use axum::body::Bytes;
use domain::cause::{Cause, Occasion};
use domain::ids::{AccountId, CauseId, IncidentId};
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
    /// That it knows no such incident; or nobody knows which one to ask for.
    Nothing,
    /// It did not answer, or the answer could not be noted.
    NotYet,
}

impl Unread {
    /// Asks PagerDuty for the incident, and keeps the body. If nothing could be learned, the body is all that there is: it is kept
    /// before the answer, or PagerDuty repeats it. Else keeping it is bookkeeping.
    pub(crate) async fn salvage(&self, app: &App, event: Option<(&IncidentId, Cause)>, until: Instant) -> Ended {
        let Self { subscription, reason, .. } = self;
        tracing::error!(subscription.id = %subscription.id, reason, "signed event cannot be read; kept for inspection");
        let told = match event {
            Some((incident, cause)) => ask(app, &subscription.account, incident, cause, until).await,
            None => self.ask_for_incident(app, until).await,
        };
        let now = app.clock.now();
        let soon = now.checked_add(AGAIN_IN).ok().filter(|_| told == Told::NotYet);
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
        let keeping = app.store.keep_unread(&unread, now);
        if told == Told::All {
            bookkeep("an unreadable body", keeping).await;
            return Ended::Unreadable;
        }
        keeping.await.map_or_else(|error| answer::table_failed(&error), |()| Ended::Unreadable)
    }

    /// Asks for the incident that the body seems to be about.
    pub(crate) async fn ask_for_incident(&self, app: &App, until: Instant) -> Told {
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
        Ok(Ok(None)) => Told::Nothing,
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
