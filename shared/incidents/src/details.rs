//! What is known of an incident beyond its state: asked for as the app, within a rate that all processes share, and merged as a part of
//! its own.

use std::time::Duration;

use domain::behind::{Mark, Wish};
use domain::cause::Cause;
use domain::details::Details;
use domain::ids::{AccountId, ChannelId, IncidentId};
use domain::incident::IncidentRecord;
use domain::plan::CardRecord;
use domain::routing::{self, Channels};
use jiff::Timestamp;
use pagerduty::rest::Api;
use runtime::{App, AsAppError};
use store::{Merged, StoredRecord};

use crate::ObserveError;
use crate::mark::{count, mark, wake, wake_up_calls};

/// How long PagerDuty may take: a card waits for it.
const ASK: Duration = Duration::from_secs(1);

/// How often a merge is tried when others change the record at the same time.
const TRIES: usize = 12;

/// What came of a question.
#[derive(Debug)]
pub enum Asked {
    /// What PagerDuty said, and when it was asked.
    Known(Box<Details>, Timestamp),
    /// The app does not see the incident, or may not.
    NotGiven,
    /// No answer in time, a passing failure, or too many questions within this minute.
    Late,
}

/// Asks PagerDuty, within a second.
pub async fn ask(app: &App, account: &AccountId, incident: &IncidentId) -> Asked {
    let asked_at = app.clock.now();
    let asking = async {
        if !app.reads.take(app, account, Api::CALLS_FOR_DETAILS).await {
            tracing::info!(incident.id = %incident, "no room for details within this minute");
            return Asked::Late;
        }
        match app.as_app().call(async |api, auth| api.details(auth, incident).await).await {
            Ok(details) => Asked::Known(Box::new(details), asked_at),
            Err(AsAppError::PagerDuty(error)) if !error.class().may_pass() && !error.refuses_token() => {
                tracing::warn!(incident.id = %incident, error = runtime::chain(&error), "no details");
                Asked::NotGiven
            }
            Err(error) => {
                tracing::warn!(incident.id = %incident, error = runtime::chain(&error), "details are late");
                Asked::Late
            }
        }
    };
    tokio::time::timeout(ASK, Box::pin(asking)).await.unwrap_or_else(|_| {
        tracing::warn!(incident.id = %incident, "details are late");
        Asked::Late
    })
}

/// Merges what PagerDuty said, as [`IncidentRecord::from_details`], and has the cards edited that do not show it: all but the one in
/// `here`, whose sender shows it by itself. As long as there is no other one, the record keeps its version, and a sender that has shown
/// it without has to see for itself.
pub async fn learn(
    app: &App,
    part: &IncidentRecord,
    here: Option<&ChannelId>,
    cause: &Cause,
) -> Result<StoredRecord, ObserveError> {
    let (account, incident) = (&part.account, &part.id);
    for _ in 0..TRIES {
        let items = app.store.incident(account, incident).await?;
        let merged = items.merged_if_new(part.clone());
        let mut stored = match merged {
            Merged::Nothing(stored) => return Ok(stored),
            Merged::New(stored) => stored,
        };
        let posted: Vec<CardRecord> =
            items.cards.iter().filter(|card| card.activity.is_some() && Some(&card.channel) != here).cloned().collect();
        let channels: Channels = routing::behind(&stored.record, stored.version, &[], &posted);
        // Nobody waits to hear of it, so it has no line in the ledger.
        let marks: Vec<Mark> = channels
            .into_iter()
            .map(|channel| {
                let mark = Mark::card(&stored.record, stored.version, channel, cause, Wish::Shown, &app.config.storm);
                Mark { cause: None, ..mark }
            })
            .collect();
        if let (Some(known), Some(_), true) = (&items.known, here, marks.is_empty()) {
            stored.version = known.version;
        }
        mark(app, &marks).await?;
        if app.store.put_merged(&items, &stored, app.kept_until()).await? {
            wake(app, &wake_up_calls(app, &marks).await?).await?;
            count(app, &marks);
            return Ok(stored);
        }
    }
    Err(store::Error::Contended { what: format!("the record of incident {incident}") }.into())
}

/// Asks for the details of an open incident that has a card of its own somewhere, and has its cards show what is new.
pub async fn refresh(app: &App, account: &AccountId, incident: &IncidentId, cause: &Cause) -> Result<(), ObserveError> {
    let items = app.store.incident(account, incident).await?;
    if !items.cards.iter().any(|card| card.activity.is_some() && card.frozen.is_none()) {
        return Ok(());
    }
    if let Asked::Known(details, asked_at) = ask(app, account, incident).await {
        let part = IncidentRecord::from_details(account.clone(), incident.clone(), *details, asked_at);
        learn(app, &part, None, cause).await?;
    }
    Ok(())
}
