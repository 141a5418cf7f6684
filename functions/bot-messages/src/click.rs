//! A click on a card: find out what it asks for and whether it may, have it done, and say as data what came of it.
//!
//! What the button carries is a hint that anybody could have forged. The card must be known in the very conversation
//! that the click came from, its team must still belong to its account, and PagerDuty decides with the person's own token.

use std::pin::Pin;

use cards::data::{ButtonData, TeamData, Verb, WantedData};
use domain::connection::ConnectionKey;
use domain::deed::{Deed, DeedKind, Repetition};
use domain::ids::{AccountId, ActivityId, CauseId, ChannelId, IncidentId};
use domain::incident::IncidentRecord;
use domain::linking::Wanted;
use domain::plan::{CardKey, CardRecord};
use domain::zone::Zone;
use incidents::place::{self, Found};
use incidents::{At, Outcome};
use runtime::App;
use runtime::once::{self, Ended, HOLD, KEEP, Turn};
use store::OnceKey;
use teams::activity::Click;
use teams::auth::Verified;

use crate::error::{FlowError, Unlinked};
use crate::who::{Who, was_sent};

/// What a click led to.
#[derive(Debug)]
pub(crate) enum Clicked {
    /// The incident as it is now.
    Shows(Box<IncidentRecord>),
    /// A deed, and what came of it.
    Acted(DeedKind, Outcome),
    /// The clicked card is a second one; the living one is this message in this channel.
    Double(ChannelId, ActivityId),
    /// What the person wanted is the form for a new incident, with this title.
    OffersForm(Option<String>),
    /// The person was sent a personal link.
    LinkSent(Unlinked),
    /// They could not be sent one.
    LinkNotSent(Unlinked),
    /// They were sent a key for an admin.
    KeySent,
    /// The team does not wait for authorization.
    NothingToAuthorize,
    /// A command that they wanted was carried out where it had been written.
    CommandDone,
    /// What they wanted is forgotten.
    WantedGone,
    /// The same is being done, or was.
    InProgress,
    /// The same activity was answered before.
    DoneBefore,
    /// No button of ours.
    UnknownButton,
    /// No card of ours in this place.
    UnknownCard,
    /// The card's team is not connected to the card's account any more.
    CardLeft,
    /// Teams does not say who clicked.
    UnknownPerson,
    /// Something of ours failed.
    Failed(FlowError),
}

impl<E: Into<FlowError>> From<E> for Clicked {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Clicked {
    /// Whether the same activity is not to act again when Teams resends it.
    fn is_final(&self) -> bool {
        match self {
            Self::Failed(_) | Self::Acted(_, Outcome::Busy | Outcome::Failed(_)) => false,
            Self::Acted(kind, Outcome::Unclear) => kind.repetition() != Repetition::Harmless,
            _ => true,
        }
    }
}

/// Answers a click; what Teams resends acts once.
pub(crate) async fn click(app: &App, who: &Who, verified: &Verified, click: &Click) -> Clicked {
    let Ok(verb) = click.verb.parse::<Verb>() else { return Clicked::UnknownButton };
    let activity = verified.activity();
    let cause = CauseId::from(activity.id.clone());
    let data = ButtonData::of_click(verb, click.action.clone());
    let work = async {
        match (verb, &data) {
            (Verb::Deed(kind), Some(data)) => on_card(app, who, click, data, Some(kind), &cause).await,
            (Verb::Refresh, Some(data)) => on_card(app, who, click, data, None, &cause).await,
            // A dialog is opened by itself, and not by a click.
            (Verb::Deed(_) | Verb::Refresh, None) | (Verb::Details, _) => Ok(Clicked::UnknownButton),
            (Verb::LinkAccounts, _) => Ok(link_accounts(app, who).await),
            (Verb::NotAdmin, _) => send_key(app, who, click).await,
            (Verb::Resume, _) => resume(app, who, click, &cause).await,
        }
    };
    let work = Box::pin(async { ended(work.await.unwrap_or_else(|failed| failed)) });
    match (once(app, verified, work).await, &data) {
        // The same activity may come with other data: the card is checked as for any click.
        (Clicked::DoneBefore, Some(data)) => {
            on_card(app, who, click, data, None, &cause).await.unwrap_or_else(|failed| failed)
        }
        (Clicked::DoneBefore, None) => Clicked::InProgress,
        (clicked, _) => clicked,
    }
}

/// What Teams resends does not act again, unless nothing was done.
pub(crate) fn ended(clicked: Clicked) -> Ended<Clicked> {
    if clicked.is_final() { Ended::Done(clicked, "done".to_owned()) } else { Ended::Undone(clicked) }
}

/// Acts once for an activity, however often Teams sends it.
pub(crate) async fn once(
    app: &App,
    verified: &Verified,
    work: Pin<Box<impl Future<Output = Ended<Clicked>>>>,
) -> Clicked {
    let activity = verified.activity();
    match once::run(app, OnceKey::Activity(&activity.conversation.id, &activity.id), HOLD, KEEP, work).await {
        Ok(Turn::Mine(clicked)) => clicked,
        Ok(Turn::InProgress) => Clicked::InProgress,
        Ok(Turn::Before(_)) => Clicked::DoneBefore,
        Err(error) => error.into(),
    }
}

/// A button of an incident's card; `None`: it shows the incident's present state.
async fn on_card(
    app: &App,
    who: &Who,
    click: &Click,
    data: &ButtonData,
    kind: Option<DeedKind>,
    cause: &CauseId,
) -> Result<Clicked, Clicked> {
    let Some(channel) = &who.channel else { return Ok(Clicked::UnknownCard) };
    let card = card_in(app, who, &data.account, &data.incident, channel).await?;
    if let (Some(clicked), Some(living)) = (&click.card, &card.activity)
        && clicked != living
    {
        return Ok(Clicked::Double(card.channel.clone(), living.clone()));
    }
    match kind {
        Some(kind) => deed(app, who, (&data.account, &data.incident, channel), kind.with(&data.inputs), cause).await,
        None => {
            let stored = app.store.record(&data.account, &data.incident).await?;
            Ok(stored.map_or(Clicked::UnknownCard, |stored| Clicked::Shows(Box::new(stored.record))))
        }
    }
}

/// In which time zone the channel reads its cards, for an answer that shows one.
pub(crate) async fn zone_of(app: &App, who: &Who, clicked: &Clicked) -> Zone {
    let (Clicked::Shows(record) | Clicked::Acted(_, Outcome::Done(record))) = clicked else { return Zone::UTC };
    zone_for(app, who, record).await
}

/// In which time zone the channel reads what concerns this incident.
pub(crate) async fn zone_for(app: &App, who: &Who, record: &IncidentRecord) -> Zone {
    let (Some(channel), Some(state)) = (&who.channel, record.state()) else { return Zone::UTC };
    let (account, service, channel) = (record.account.clone(), state.service.id.clone(), channel.clone());
    // Its times are right in any zone.
    let connection = app.store.connection(&ConnectionKey { account, service, channel }).await.ok().flatten();
    connection.map(|known| known.zone).unwrap_or_default()
}

/// The incident's card in a channel; `Err` says why it does not work there (any more).
pub(crate) async fn card_in(
    app: &App,
    who: &Who,
    account: &AccountId,
    incident: &IncidentId,
    channel: &ChannelId,
) -> Result<Box<CardRecord>, Clicked> {
    let key = CardKey { account: account.clone(), incident: incident.clone(), channel: channel.clone() };
    match place::card(app, &key, &who.tenant).await? {
        Found::Here(card) => Ok(card),
        Found::Unknown => Err(Clicked::UnknownCard),
        Found::Left => Err(Clicked::CardLeft),
    }
}

pub(crate) async fn deed(
    app: &App,
    who: &Who,
    (account, incident, channel): (&AccountId, &IncidentId, &ChannelId),
    deed: Deed,
    cause: &CauseId,
) -> Result<Clicked, Clicked> {
    let Some(user) = &who.user else { return Ok(Clicked::UnknownPerson) };
    let at = At { account, incident, tenant: &who.tenant, user, cause };
    let kind = deed.kind();
    let outcome = incidents::act(app, &deed, at, who.deadline).await;
    let why = match outcome {
        Outcome::NeedsLink => Unlinked::NotLinked,
        Outcome::LogInLost => Unlinked::LogInLost,
        outcome => return Ok(Clicked::Acted(kind, outcome)),
    };
    let title = match app.store.record(account, incident).await {
        Ok(Some(stored)) => stored.record.state().map(|state| format!("#{} {}", state.number, state.title)),
        _ => None,
    };
    let what = Wanted::Click { account: account.clone(), incident: incident.clone(), channel: channel.clone(), deed };
    Ok(match title {
        Some(title) => link_sent(why, who.ask_to_link(app, &title, what).await),
        None => link_sent(why, who.send_link(app, Some(account.clone()), None).await),
    })
}

/// Sends the person a personal link.
async fn link_accounts(app: &App, who: &Who) -> Clicked {
    let account = who.account(app).await.ok().flatten();
    link_sent(Unlinked::NotLinked, who.send_link(app, account, None).await)
}

pub(crate) fn link_sent(why: Unlinked, sent: Result<(), FlowError>) -> Clicked {
    if was_sent(sent) { Clicked::LinkSent(why) } else { Clicked::LinkNotSent(why) }
}

/// Somebody who is no admin wants a key that they can pass on to one.
async fn send_key(app: &App, who: &Who, click: &Click) -> Result<Clicked, Clicked> {
    let Ok(data) = serde_json::from_value::<TeamData>(click.action.clone()) else { return Ok(Clicked::UnknownButton) };
    // Whoever did not add the bot to the team has no business with its key.
    let waiting = place::installation(app, &data.team, &who.tenant)
        .await?
        .filter(|team| team.waits_for_authorization() && team.installer.is_some() && team.installer == who.user);
    let Some(installation) = waiting else { return Ok(Clicked::NothingToAuthorize) };
    let (key, expires) = setup::new_key(app, &installation).await?;
    who.tell(app, &cards::setup::key_for_admin(installation.shown_name(), &key, expires)).await?;
    Ok(Clicked::KeySent)
}

/// Does what the person wanted to do before they were linked, as if they did it there and then.
async fn resume(app: &App, who: &Who, click: &Click, cause: &CauseId) -> Result<Clicked, Clicked> {
    let (Ok(data), Some(user)) = (serde_json::from_value::<WantedData>(click.action.clone()), &who.user) else {
        return Ok(Clicked::UnknownButton);
    };
    let Some(wanted) = app.store.wanted(&who.tenant, user, &data.wanted, app.clock.now()).await? else {
        return Ok(Clicked::WantedGone);
    };
    match wanted.what {
        Wanted::Click { account, incident, channel, deed: wanted } => {
            card_in(app, who, &account, &incident, &channel).await?;
            deed(app, who, (&account, &incident, &channel), wanted, cause).await
        }
        Wanted::Command { text, conversation, team } => {
            crate::commands::answer(app, &who.elsewhere(conversation, team), &text).await?;
            Ok(Clicked::CommandDone)
        }
        Wanted::Trigger { title } => Ok(Clicked::OffersForm(title)),
    }
}
