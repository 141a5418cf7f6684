//! The dialogs of an incident's card: the forms of deeds.
//!
//! What a button carries is a hint that anybody could have forged: the card must be known in the very channel that the click came
//! from, and PagerDuty decides with the person's own token.

use cards::data::{ButtonData, Verb};
use domain::deed::{DeedKind, Inputs};
use domain::ids::{AccountId, CauseId, IncidentId};
use incidents::Outcome;
use runtime::App;
use teams::auth::Verified;

use crate::click::{self, Clicked};
use crate::who::{Who, was_sent};

/// What the dialog shows.
#[derive(Debug)]
pub(crate) enum IncidentPage {
    /// A deed's form, empty or with what was typed.
    Form(Box<Form>),
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

/// Opens a dialog. Nothing is done yet, whatever the button carries.
pub(crate) async fn open(app: &App, who: &Who, data: ButtonData) -> IncidentPage {
    let page = async {
        let Verb::Deed(kind) = data.verb else { return Err(Clicked::UnknownButton) };
        let channel = who.channel.as_ref().ok_or(Clicked::UnknownCard)?;
        click::card_in(app, who, &data.account, &data.incident, channel).await?;
        let Some(user) = &who.user else { return Err(Clicked::UnknownPerson) };
        // Whoever has to link first is told before they write.
        if app.store.link(&who.tenant, user, &data.account).await?.is_none() {
            let sent = who.send_link(app, Some(data.account.clone()), None).await;
            return Err(if was_sent(sent) { Clicked::LinkSent } else { Clicked::LinkNotSent });
        }
        Ok(form(app, data, kind, None).await)
    };
    Box::pin(page).await.map_or_else(IncidentPage::Clicked, |form| IncidentPage::Form(Box::new(form)))
}

/// Does what the form asks for. What was typed stays until it is done.
pub(crate) async fn submit(app: &App, who: &Who, verified: &Verified, data: ButtonData) -> IncidentPage {
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
