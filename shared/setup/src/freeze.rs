//! Cards whose connection goes: each gets one last edit, so that nobody takes it for one that is kept true. They are marked before
//! the connection goes, or a process that ends in between would leave them as they are.

use domain::behind::{Mark, Wish};
use domain::cause::{Cause, Occasion};
use domain::ids::{AccountId, CauseId, ChannelId, ServiceId, TeamId};
use domain::incident::RecordVersion;
use domain::plan::CardRecord;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use incidents::want;
use runtime::App;

use crate::error::SetupError;

/// How many incidents are looked at at the same time.
const AT_ONCE: usize = 8;

/// Whose cards go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Going<'a> {
    /// Those of a service in a channel.
    Connection(&'a ServiceId, &'a ChannelId, &'a TeamId),
    /// All of a team.
    Team(&'a TeamId),
}

/// What makes cards go, now.
pub(crate) fn cause(app: &App) -> Result<Cause, SetupError> {
    let id = CauseId::new(app.random.token()?).map_err(|_| runtime::RandomError)?;
    Ok(Cause { id, occasion: Occasion::Disconnected, at: app.clock.now(), happened_at: None })
}

/// Marks the cards of open incidents. One that was opened a moment ago may be missing: to be repeated, for the same cause, when the
/// connection is gone.
pub(crate) async fn freeze(app: &App, account: &AccountId, going: Going<'_>, cause: &Cause) -> Result<(), SetupError> {
    let open = app.store.open_incidents(account).await?.into_iter().filter(|open| match going {
        Going::Connection(service, ..) => &open.service == service,
        Going::Team(_) => true,
    });
    let marks = stream::iter(open.map(async |open| {
        let (known, cards) = app.store.incident_with_cards(account, &open.id).await?;
        let Some(known) = known else { return Ok(Vec::new()) };
        let mark = |channel, team, is_shown| {
            let mark =
                Mark::card(&known.record, RecordVersion(0), (channel, team), cause, Wish::Frozen, &app.config.storm);
            Mark { cause: mark.cause.filter(|_| is_shown), ..mark }
        };
        let goes = |card: &CardRecord| match going {
            Going::Connection(_, channel, _) => &card.channel == channel,
            Going::Team(team) => &card.team == team,
        };
        let cards: Vec<CardRecord> = cards.into_iter().filter(goes).collect();
        let is_known = !cards.is_empty();
        let alive = cards.into_iter().filter(|card| card.frozen.is_none());
        let mut marks: Vec<Mark> =
            alive.map(|card| mark(card.channel.clone(), card.team.clone(), card.is_shown())).collect();
        // A sender may be posting it right now, and is to look at it again afterwards.
        if let (Going::Connection(_, channel, team), false) = (going, is_known) {
            marks.push(mark(channel.clone(), team.clone(), false));
        }
        Ok::<Vec<Mark>, SetupError>(marks)
    }));
    let marks: Vec<Mark> = marks.buffer_unordered(AT_ONCE).try_concat().await?;
    Ok(want(app, &marks).await?)
}
