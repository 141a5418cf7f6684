//! The dialogs of an incident's card: the forms of deeds, and everything that is known of it.
//!
//! What a button carries is a hint that anybody could have forged: the card must be known in the very channel that the click came
//! from, and PagerDuty decides with the person's own token.

use cards::data::{ButtonData, Verb};
use domain::context::Context;
use domain::deed::{DeedKind, Inputs};
use domain::ids::{AccountId, CauseId, IncidentId};
use domain::incident::IncidentRecord;
use domain::zone::Zone;
use incidents::Outcome;
use pagerduty::rest::ApiError;
use runtime::{App, PersonError};
use store::StoredLink;
use teams::auth::Verified;

use crate::click::{self, Clicked};
use crate::error::Unlinked;
use crate::who::Who;

/// What the dialog shows.
#[derive(Debug)]
pub(crate) enum IncidentPage {
    /// A deed's form, empty or with what was typed.
    Form(Box<Form>),
    /// Everything that is known of the incident.
    Details(Box<Details>),
    /// PagerDuty does not show the incident to this person.
    NotShown(ApiError),
    /// The same as a click is answered.
    Clicked(Clicked),
}

/// A form, and about what.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) account: AccountId,
    pub(crate) incident: IncidentId,
    pub(crate) kind: DeedKind,
    /// The incident's number and title.
    pub(crate) name: Option<(u64, String)>,
    pub(crate) typed: Inputs,
    /// Why it was not done.
    pub(crate) outcome: Option<Outcome>,
}

impl From<Clicked> for IncidentPage {
    fn from(clicked: Clicked) -> Self {
        Self::Clicked(clicked)
    }
}

/// An incident with what is around it.
#[derive(Debug)]
pub(crate) struct Details {
    pub(crate) record: IncidentRecord,
    pub(crate) context: Context,
    /// How many alerts are before the page that was asked for.
    pub(crate) from: u32,
    pub(crate) zone: Zone,
}

/// Opens a dialog. Nothing is done yet, whatever the button carries.
pub(crate) async fn open(app: &App, who: &Who, data: ButtonData) -> IncidentPage {
    let page = async {
        match data.verb {
            Verb::Deed(kind) => {
                linked(app, who, &data).await?;
                Ok(IncidentPage::Form(Box::new(form(app, data, kind, None).await)))
            }
            Verb::Details => details(app, who, &data).await,
            Verb::Refresh | Verb::LinkAccounts | Verb::NotAdmin | Verb::Resume => Err(Clicked::UnknownButton.into()),
        }
    };
    Box::pin(page).await.unwrap_or_else(|instead: IncidentPage| instead)
}

/// The person, where the card is known and they may be asked for. Whoever has to link first is told before they write or wait.
async fn linked(app: &App, who: &Who, data: &ButtonData) -> Result<StoredLink, Clicked> {
    let channel = who.channel.as_ref().ok_or(Clicked::UnknownCard)?;
    click::card_in(app, who, &data.account, &data.incident, channel).await?;
    let Some(user) = &who.user else { return Err(Clicked::UnknownPerson) };
    match app.store.link(&who.tenant, user, &data.account).await? {
        Some(link) => Ok(link),
        None => Err(link_first(app, who, data, Unlinked::NotLinked).await),
    }
}

async fn link_first(app: &App, who: &Who, data: &ButtonData, why: Unlinked) -> Clicked {
    click::link_sent(why, who.send_link(app, Some(data.account.clone()), None).await)
}

/// As PagerDuty tells it to this person.
async fn details(app: &App, who: &Who, data: &ButtonData) -> Result<IncidentPage, IncidentPage> {
    let link = linked(app, who, data).await?;
    let known = async {
        let stored = app.store.record(&data.account, &data.incident).await?.ok_or(Clicked::UnknownCard)?;
        let zone = click::zone_for(app, who, &stored.record).await;
        Ok::<_, Clicked>((stored.record, zone))
    };
    let context = incidents::context(app, &link, &data.incident, data.from, who.deadline);
    let (known, context) = tokio::join!(Box::pin(known), Box::pin(context));
    let context = match context {
        Ok(context) => context,
        Err(PersonError::NeedsLink) => return Err(link_first(app, who, data, Unlinked::NotLinked).await.into()),
        Err(PersonError::LogInLost) => return Err(link_first(app, who, data, Unlinked::LogInLost).await.into()),
        Err(PersonError::PagerDuty(error)) => return Err(IncidentPage::NotShown(error)),
        Err(error) => return Err(Clicked::from(error).into()),
    };
    let (record, zone) = known?;
    Ok(IncidentPage::Details(Box::new(Details { record, context, from: data.from, zone })))
}

/// Does what the form asks for, and turns pages. What was typed stays until it is done.
pub(crate) async fn submit(app: &App, who: &Who, verified: &Verified, data: ButtonData) -> IncidentPage {
    if data.verb == Verb::Details {
        return open(app, who, data).await;
    }
    let page = async {
        let Verb::Deed(kind) = data.verb else { return Err(Clicked::UnknownButton) };
        let channel = who.channel.as_ref().ok_or(Clicked::UnknownCard)?;
        click::card_in(app, who, &data.account, &data.incident, channel).await?;
        let work = Box::pin(async {
            let cause = CauseId::from(verified.activity().id.clone());
            let (place, deed) = ((&data.account, &data.incident, channel), kind.with(&data.inputs));
            click::ended(click::deed(app, who, place, deed, &cause).await.unwrap_or_else(|failed| failed))
        });
        match click::once(app, verified, work).await {
            Clicked::Acted(
                _,
                outcome @ (Outcome::Refused(_) | Outcome::Unclear | Outcome::Busy | Outcome::Failed(_)),
            ) => Ok(form(app, data, kind, Some(outcome)).await),
            other => Err(other),
        }
    };
    Box::pin(page).await.map_or_else(IncidentPage::Clicked, |form| IncidentPage::Form(Box::new(form)))
}

async fn form(app: &App, data: ButtonData, kind: DeedKind, outcome: Option<Outcome>) -> Form {
    let ButtonData { account, incident, inputs, .. } = data;
    // A form without the incident's name is better than none.
    let known = app.store.record(&account, &incident).await.ok().flatten();
    let name = known.and_then(|known| known.record.state().map(|state| (state.number, state.title.clone())));
    Form { account, incident, kind, name, typed: inputs, outcome }
}
