//! The channel's storms: incidents become rows, and the storm's card shows what there is.

use std::collections::BTreeMap;

use domain::behind::{Behind, Mark, Subject, Wish};
use domain::budget::Claim;
use domain::channel::{Listed, unposted};
use domain::connection::Installation;
use domain::failure::Class;
use domain::ids::StormId;
use domain::incident::{RecordVersion, Status};
use domain::plan::CardRecord;
use domain::storm::{Folded, Followed, Row, Want, most_urgent_first};
use runtime::{BotError, Metric};
use store::{FoldedCard, Look, StormKey};
use teams::connector::ConnectorError;

use crate::drain::Drain;
use crate::ended::{Ended, Trouble};
use crate::note::{Done, Told};
use crate::sending::Sending;
use crate::settle::Outcome;

/// More steps than this for the storms of one channel mean that we run in circles.
const MOST_STEPS: usize = 8;

/// As what a storm counts an incident: what is stored of its row, whatever its card says.
pub(crate) fn counted(look: &Look, storm: &StormId) -> Option<Folded> {
    let is_of = look.facts.card.as_ref().and_then(|card| card.row.as_ref()).is_some_and(|row| &row.storm == storm);
    look.facts.row.as_ref().filter(|_| is_of).map(|row| row.folded(storm))
}

/// Makes incidents rows of their storms, or changes their rows.
pub(crate) async fn fold(
    drain: &mut Drain<'_>,
    folds: Vec<(Behind, Look, Option<StormId>)>,
) -> Result<Vec<Outcome>, store::Error> {
    let (app, now) = (drain.app, drain.app.clock.now());
    let mut outcomes = Vec::new();
    let active = drain.state.active().map(|active| active.id.clone());
    let mut by_storm: BTreeMap<StormId, Vec<(Behind, Look)>> = BTreeMap::new();
    for (item, look, storm) in folds {
        match storm.or_else(|| active.clone()) {
            Some(storm) => by_storm.entry(storm).or_default().push((item, look)),
            None => outcomes.push(Outcome { item, look, ended: Ended::Untouched, told: Told::default() }),
        }
    }
    for (id, folds) in by_storm {
        let key = key_of(drain, &id);
        let made: Vec<Option<(Row, CardRecord)>> = folds.iter().map(|(item, look)| row_of(item, look, &id)).collect();
        let rows: Vec<Row> = made.iter().flatten().map(|(row, _)| row.clone()).collect();
        let cards = folds.iter().zip(&made).filter_map(|((item, look), made)| {
            let (row, card) = made.as_ref()?;
            let expires = (!row.is_open()).then(|| app.kept_until());
            Some(FoldedCard { key: item.card_key()?, card: card.clone(), seen: &look.seen, expires })
        });
        app.store.fold(&key, &rows, &cards.collect::<Vec<_>>(), app.kept_until()).await?;
        for ((item, look), made) in folds.into_iter().zip(made) {
            let Some((row, _)) = made else {
                let told = Told::because("nothing is known of it");
                outcomes.push(Outcome { item, look, ended: Ended::Done, told });
                continue;
            };
            let was = counted(&look, &id);
            let mut told = Told::about(&item, &look.facts);
            told.done(if was.is_some() { Done::RowChanged } else { Done::Folded });
            if let Some(storm) = drain.state.storm_mut(&id) {
                storm.fold(was.as_ref(), &row, now);
            }
            drain.state.survived(&item.subject);
            let ended = if row.version < item.wanted { Ended::Soon } else { Ended::Done };
            outcomes.push(Outcome { item, look, ended, told });
        }
    }
    Ok(outcomes)
}

/// Takes away the rows of incidents whose connection goes.
pub(crate) async fn leave(
    drain: &mut Drain<'_>,
    leaves: Vec<(Behind, Look, Folded)>,
) -> Result<Vec<Outcome>, store::Error> {
    let app = drain.app;
    let mut outcomes = Vec::new();
    for (item, look, row) in leaves {
        let (Some((record, _)), Some(card), Some(key)) = (&look.facts.record, &look.facts.card, item.card_key()) else {
            continue;
        };
        let number = record.state().map_or(0, |state| state.number);
        // The row first: a sender that dies in between finds one that is to leave, as before.
        app.store.take_rows(&key_of(drain, &row.storm), &[(number, record.id.clone())]).await?;
        let mut left = card.clone();
        left.unfolded(item.freeze.unwrap_or_else(|| app.clock.now()));
        app.store.save_card_over(&key, &left, &look.seen, Some(app.kept_until())).await?;
        if let Some(storm) = drain.state.storm_mut(&row.storm) {
            let was = counted(&look, &row.storm);
            storm.leave(was.as_ref(), &record.id);
        }
        let mut told = Told::about(&item, &look.facts);
        told.done(Done::RowLeft);
        outcomes.push(Outcome { item, look, ended: Ended::Done, told });
    }
    Ok(outcomes)
}

/// The row, and the card's record that says so; `None`: its state or its team is not known.
fn row_of(item: &Behind, look: &Look, storm: &StormId) -> Option<(Row, CardRecord)> {
    let (record, version) = look.facts.record.as_ref()?;
    let row = Row::of(record, *version, look.facts.listed == Listed::Over, item.marked.at)?;
    let mut card = look.facts.card.clone().or_else(|| unposted(item, &look.facts))?;
    card.folded(row.folded(storm), *version);
    card.mark_all_announced(record);
    card.note_hearing(look.facts.connection.as_ref());
    Some((row, card))
}

fn key_of(drain: &Drain<'_>, storm: &StormId) -> StormKey {
    StormKey { account: drain.account.clone(), channel: drain.channel.clone(), storm: storm.clone() }
}

/// Does what the storms want done about themselves, as far as the budget goes.
pub(crate) async fn show(drain: &mut Drain<'_>, sending: &mut Sending) -> Result<(), store::Error> {
    let app = drain.app;
    for _ in 0..MOST_STEPS {
        let now = app.clock.now();
        let wants = drain.state.storm_wants(&app.config.storm, now);
        let Some((_, id, want)) = wants.filter(|(at, ..)| *at <= now) else { return Ok(()) };
        match want {
            Want::Show => {
                recount(drain, &id).await?;
                if !sending.may(Claim::Urgent, now) {
                    return Ok(());
                }
                show_card(drain, &id, sending).await?;
            }
            Want::TellEnd => {
                if !sending.may(Claim::Urgent, now) {
                    return Ok(());
                }
                tell_end(drain, &id, sending).await?;
            }
            Want::End => end(drain, &id).await?,
            Want::Close => {
                if let Some(storm) = drain.state.storm(&id) {
                    app.store.put_closed_storm(&key_of(drain, &id), storm, app.kept_until()).await?;
                }
                drain.state.storms.retain(|storm| storm.id != id);
            }
        }
    }
    Ok(())
}

/// Reads all rows again where what is at hand is too little, or may be wrong.
async fn recount(drain: &mut Drain<'_>, id: &StormId) -> Result<(), store::Error> {
    let needs = |storm: &domain::storm::Storm| !storm.is_counted || storm.followed.is_short();
    if !drain.state.storm(id).is_some_and(needs) {
        return Ok(());
    }
    let rows = drain.app.store.storm_rows(&key_of(drain, id)).await?;
    if let Some(storm) = drain.state.storm_mut(id) {
        storm.followed = Followed::counted(rows);
        storm.is_counted = true;
    }
    Ok(())
}

/// Posts the storm's card, or edits it.
async fn show_card(drain: &mut Drain<'_>, id: &StormId, sending: &mut Sending) -> Result<(), store::Error> {
    let app = drain.app;
    let Some(storm) = drain.state.storm(id).cloned() else { return Ok(()) };
    let now = app.clock.now();
    let Some(home) = home_of(drain, &storm).await? else {
        tracing::warn!(channel.id = %drain.channel, "the storm's team is not connected to the account");
        if let Some(storm) = drain.state.storm_mut(id) {
            storm.message.is_true = true;
            storm.message.edited_at = Some(now);
        }
        return Ok(());
    };
    let view = cards::StormView { storm: &storm, account: drain.account, now, top: &app.config.storm.top };
    // What was refused whole is tried smaller the next time, and whole again the time after.
    let is_smaller = storm.message.refused.is_some() && storm.message.failures % 2 == 1;
    let card = if is_smaller { cards::storm_fallback(&view) } else { cards::storm(&view) };
    let channel = drain.channel;
    let sent = match &storm.message.activity {
        Some(activity) => sending.call(app, |bot| bot.edit(&home, channel, activity, &card)).await.map(|()| None),
        None => sending.call(app, |bot| bot.post(&home, channel, &card)).await.map(Some),
    };
    drain.hear(sending);
    let before = drain.state.hold.clone();
    let Some(known) = drain.state.storm_mut(id) else { return Ok(()) };
    let message = &mut known.message;
    message.edited_at = Some(now);
    let error = match sent {
        Ok(posted) => {
            let metric = if posted.is_some() { Metric::CardsPosted } else { Metric::CardsEdited };
            if posted.is_some() && message.doubt {
                app.metrics.count(Metric::DoubtfulPosts, app.clock.now());
            }
            message.activity = posted.or(message.activity.take());
            (message.doubt, message.is_true, message.failures) = (false, true, 0);
            message.refused = message.refused.take().filter(|_| is_smaller);
            drain.state.hold = None;
            app.metrics.count(metric, app.clock.now());
            return Ok(());
        }
        Err(error) => error,
    };
    if matches!(error, BotError::Teams(ConnectorError::ActivityGone { .. })) {
        // Somebody deleted it; its rows would be lost incidents.
        message.activity = None;
        return Ok(());
    }
    tracing::warn!(channel.id = %channel, error = runtime::chain(&error), "Teams did not take the storm's card");
    message.failures = message.failures.saturating_add(1);
    if error.is_for_good() {
        tracing::error!(channel.id = %channel, reason = error.reason(), "storm's card is refused");
        message.refused = Some(error.reason().to_owned());
        app.metrics.count(Metric::CardsRefused, app.clock.now());
        return Ok(());
    }
    message.doubt |= message.activity.is_none() && error.class() == Class::Unclear;
    if matches!(error.class(), Class::Retry { after: Some(_) }) {
        app.metrics.count(Metric::DeliveriesThrottled, app.clock.now());
    }
    if let Some(trouble) = Trouble::of(&error, before.as_ref()) {
        drain.wait(&trouble, &storm.team).await;
    }
    Ok(())
}

/// The storm's team. Nothing of an account is shown in a team that is another account's now.
async fn home_of(drain: &Drain<'_>, storm: &domain::storm::Storm) -> Result<Option<Installation>, store::Error> {
    let home = drain.app.store.installation(&storm.team).await?;
    Ok(home.filter(|home| home.account.as_ref().is_none_or(|account| account == drain.account)))
}

/// Tells the thread that the storm is over, which brings it to people's notice.
async fn tell_end(drain: &mut Drain<'_>, id: &StormId, sending: &mut Sending) -> Result<(), store::Error> {
    let app = drain.app;
    let Some(storm) = drain.state.storm(id).cloned() else { return Ok(()) };
    let home = home_of(drain, &storm).await?;
    if let (Some(home), Some(root), Some(ended)) = (home, &storm.message.activity, storm.ended_at) {
        let text = cards::storm_end_reply(&storm, ended);
        let channel = drain.channel;
        let said = sending.call(app, |bot| bot.reply(&home, channel, root, &text)).await;
        drain.hear(sending);
        if let Err(error) = said {
            tracing::warn!(channel.id = %channel, error = runtime::chain(&error), "end of the storm not told");
            // The card says it as well, so only what is certain not to have arrived is tried again.
            let before = drain.state.hold.clone();
            if let (Some(trouble), false) = (Trouble::of(&error, before.as_ref()), error.class() == Class::Unclear) {
                drain.wait(&trouble, &storm.team).await;
                return Ok(());
            }
        } else {
            app.metrics.count(Metric::RepliesPosted, app.clock.now());
        }
    }
    if let Some(storm) = drain.state.storm_mut(id) {
        storm.end_is_told = true;
    }
    Ok(())
}

/// Ends a storm: the most urgent of its open incidents get cards of their own.
async fn end(drain: &mut Drain<'_>, id: &StormId) -> Result<(), store::Error> {
    let (app, now) = (drain.app, drain.app.clock.now());
    let mut rows = app.store.storm_rows(&key_of(drain, id)).await?;
    let Some(storm) = drain.state.storm_mut(id) else { return Ok(()) };
    storm.followed = Followed::counted(rows.iter().cloned());
    storm.is_counted = true;
    let team = storm.team.clone();
    rows.retain(Row::is_open);
    most_urgent_first(&mut rows);
    rows.truncate(app.config.storm.cards_after);
    for row in &rows {
        let mark = Mark {
            account: drain.account.clone(),
            channel: drain.channel.clone(),
            team: team.clone(),
            subject: Subject::Incident(row.incident.clone()),
            wanted: RecordVersion(0),
            at: now,
            rank: domain::behind::Rank::High,
            number: Some(row.number),
            service: Some(row.service.clone()),
            by: None,
            cause: None,
            wish: Wish::OwnCard,
            is_over: row.status == Status::Resolved,
        };
        app.store.mark(&mark, app.kept_until()).await?;
    }
    tracing::info!(channel.id = %drain.channel, cards = rows.len(), "the storm is over");
    if let Some(storm) = drain.state.storm_mut(id) {
        storm.ended_at = Some(now);
        storm.cards_after = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        storm.message.is_true = false;
    }
    Ok(())
}
