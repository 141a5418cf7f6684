//! What came of an item is written down: its card, the item itself, its lines in the ledger.

use std::time::Duration;

use domain::behind::Behind;
use domain::connection::DeliveryOutcome;
use domain::failure::Class;
use domain::incident::Status;
use domain::plan::CardRecord;
use runtime::App;
use store::{Held, Look};
use tokio::time::Instant;

use crate::ended::Ended;
use crate::note::{self, Told};
use crate::{Limits, channel_gone, last_delivery};

/// With less time than this left, nothing more is saved: a call to the table takes up to 3.5 s.
const SAVE_BUDGET: Duration = Duration::from_secs(5);
const SAVE_PAUSE: Duration = Duration::from_millis(500);

/// What came of an item, to be written down.
pub(crate) struct Outcome {
    pub(crate) item: Behind,
    pub(crate) look: Look,
    pub(crate) ended: Ended,
    pub(crate) told: Told,
}

/// What Teams has taken must be known, or the next try posts or tells it a second time: a table that is away is asked until the
/// invocation's end.
pub(crate) async fn keep(app: App, mut outcome: Outcome, card: Option<CardRecord>, limits: Limits) -> Outcome {
    let (Some(card), Some(key)) = (card, outcome.item.card_key()) else { return outcome };
    let state = outcome.look.facts.record.as_ref().and_then(|(record, _)| record.state());
    let is_over = card.frozen.is_some() || state.is_some_and(|state| state.status == Status::Resolved);
    let expires = is_over.then(|| app.kept_until());
    // What was a row until now leaves its storm with it.
    let was = outcome.look.facts.card.as_ref().and_then(|card| card.row.clone()).filter(|_| card.row.is_none());
    let row = was.zip(state.map(|state| state.number));
    loop {
        let saved = match &row {
            Some((row, number)) => {
                app.store.save_card_of_row(&key, &card, &outcome.look.seen, (&row.storm, *number)).await
            }
            None => app.store.save_card_over(&key, &card, &outcome.look.seen, expires).await,
        };
        let Err(error) = saved else { return outcome };
        let can_help = matches!(error.class(), Class::Retry { .. });
        if !can_help || Instant::now() + SAVE_BUDGET > limits.end {
            tracing::error!(error = runtime::chain(&error), "not saved");
            outcome.ended = Ended::Unsaved;
            return outcome;
        }
        tracing::warn!(error = runtime::chain(&error), "not saved yet");
        tokio::time::sleep(SAVE_PAUSE).await;
    }
}

/// The item itself, its lines in the ledger, the connection's newest message, the figures.
pub(crate) async fn settle(app: &App, outcome: &Outcome) -> Result<(), store::Error> {
    let Outcome { item, look, ended, told } = outcome;
    let why = told.why.as_deref().unwrap_or_default();
    let item_settled = async {
        match ended {
            Ended::Done => app.store.finish_behind(item).await.map(drop),
            Ended::DoneUntil(until) => app.store.postpone_behind(item, *until).await,
            Ended::Later(until) => app.store.hold_behind(item, &Held::Until(Some(*until)), why).await,
            Ended::Channel(_) => app.store.hold_behind(item, &Held::Until(None), why).await,
            Ended::Parked => app.store.hold_behind(item, &Held::Parked, why).await,
            Ended::Soon | Ended::Untouched | Ended::Unsaved => Ok(()),
        }
    };
    let delivery = async {
        let Some(connection) = &look.facts.connection else { return };
        if let Some(delivered) = told.delivered {
            channel_gone::is_back(app, connection).await;
            last_delivery::note(app, connection, look.last.as_ref(), delivered, None).await;
        } else if told.is_refused() {
            let reason = Some(why.to_owned());
            last_delivery::note(app, connection, look.last.as_ref(), DeliveryOutcome::Refused, reason).await;
        }
    };
    let (settled, (), ()) = tokio::join!(item_settled, delivery, note::ended(app, item, ended, told));
    settled
}
