//! A click on a card: check who and what, ask `domain::action`, act as the person, answer with the fresh card.
//!
//! What the button carries is a hint that anybody could have forged. The card must be known in the very conversation
//! that the click came from, and PagerDuty decides with the person's own token.

use cards::data::{ButtonData, Verb};
use domain::action::{Action, Decision, Request, decide};
use domain::failure::Class;
use domain::ids::ChannelId;
use domain::incident::IncidentRecord;
use domain::job::CardJob;
use domain::linking::WantedAction;
use domain::plan::CardRecord;
use jiff::SignedDuration;
use pagerduty::rest::{ApiError, Auth, RestIncident};
use runtime::App;
use secrecy::SecretString;
use serde_json::Value;
use store::StoredLink;
use teams::activity::{Activity, Click};
use teams::reply;

use crate::once::{self, Turn};
use crate::private;
use crate::tokens::{self, TokenError};

/// The same note by the same person within this time is a double click.
const SAME_NOTE_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// Answers a click, within Teams' patience: the caller bounds the time.
pub(crate) async fn answer(app: &App, activity: &Activity, click: &Click) -> Value {
    let Ok(verb) = click.verb.parse::<Verb>() else {
        return reply::error("BadRequest", cards::text::unknown_button());
    };
    if verb == Verb::LinkAccounts {
        return link_accounts(app, activity).await;
    }
    let Ok(data) = serde_json::from_value::<ButtonData>(click.action.clone()) else {
        return reply::error("BadRequest", cards::text::unknown_button());
    };
    let key = format!("activity/{}/{}", activity.conversation.id, activity.id);
    match once::begin(app, &key).await {
        Ok(Turn::Act) => {}
        Ok(Turn::InProgress) => return reply::message(cards::text::in_progress()),
        Ok(Turn::Done) => return present_card(app, &data).await,
        Err(error) => return failed(&error),
    }
    match act(app, activity, click, verb, &data).await {
        Ok(answer) => {
            once::finish(app, &key).await;
            answer
        }
        Err(answer) => {
            once::give_up(app, &key).await;
            answer
        }
    }
}

/// `Err` is an answer as well, after which the same activity may be tried again.
async fn act(app: &App, activity: &Activity, click: &Click, verb: Verb, data: &ButtonData) -> Result<Value, Value> {
    let card = match find_card(app, activity, data).await? {
        Some(card) => card,
        None => return Ok(reply::error("NotFound", cards::text::unknown_card())),
    };
    if let (Some(clicked), Some(living)) = (&click.card, &card.activity)
        && clicked != living
    {
        return Ok(reply::card(&cards::double_pointer(&card.channel, living).content));
    }
    let action = match verb {
        Verb::Acknowledge => Action::Acknowledge,
        Verb::Resolve => Action::Resolve,
        Verb::AddNote => Action::AddNote { text: data.note.clone().unwrap_or_default() },
        Verb::Refresh | Verb::LinkAccounts => return Ok(present_card(app, data).await),
    };
    let Some(user) = activity.from.as_ref().and_then(|from| from.entra.clone()) else {
        return Ok(reply::error("Forbidden", cards::text::unknown_person()));
    };
    let link = app.store.link(&card.tenant, &user, &data.account).await.map_err(|error| failed(&error))?;
    let Some(link) = link else { return Ok(ask_to_link(app, activity, data).await) };
    let token = match tokens::usable(app, &link, false).await {
        Ok(token) => token,
        Err(TokenError::Relink) => return Ok(ask_to_link(app, activity, data).await),
        Err(error) => return Err(failed(&error)),
    };
    let mut person = Person { app, link, token };
    match person.carry_out(activity, &action, data).await {
        Ok(answer) => Ok(answer),
        Err(Trouble::Relink) => Ok(ask_to_link(app, activity, data).await),
        Err(Trouble::Answer(answer)) => Err(answer),
    }
}

/// The card of the button's incident in the conversation that was clicked in, if it belongs to the clicker's tenant.
async fn find_card(app: &App, activity: &Activity, data: &ButtonData) -> Result<Option<CardRecord>, Value> {
    let Some(channel) = activity.channel_of() else { return Ok(None) };
    let card = app.store.card(&data.account, &data.incident, &channel).await.map_err(|error| failed(&error))?;
    Ok(card.filter(|card| card.tenant == activity.tenant))
}

enum Trouble {
    Relink,
    Answer(Value),
}

struct Person<'a> {
    app: &'a App,
    link: StoredLink,
    token: SecretString,
}

impl Person<'_> {
    async fn carry_out(&mut self, activity: &Activity, action: &Action, data: &ButtonData) -> Result<Value, Trouble> {
        // Acknowledging a resolved incident would reopen it, so the newest state is asked for first.
        let record = match action {
            Action::Acknowledge => {
                let incident = self.call(Call::Read, data).await?;
                self.learn(activity, data, incident, false).await?
            }
            Action::Resolve | Action::AddNote { .. } => self.known(data).await?,
        };
        match decide(action, &record, &self.link.link.pd_user) {
            Decision::Refuse(refusal) => Ok(reply::message(&cards::text::refusal(&refusal))),
            Decision::AlreadyDone { .. } => Ok(reply::card(&incident_card(&record).content)),
            Decision::Call(Request::SetStatus(status)) => {
                let incident = self.call(Call::SetStatus(status), data).await?;
                let record = self.learn(activity, data, incident, true).await?;
                Ok(reply::card(&incident_card(&record).content))
            }
            Decision::Call(Request::CreateNote(text)) => self.note(data, &text, &record).await,
        }
    }

    async fn note(&mut self, data: &ButtonData, text: &str, record: &IncidentRecord) -> Result<Value, Trouble> {
        let user = self.link.link.user.as_str();
        let key = format!("note/{}/{}", data.incident, runtime::digest(format!("{user}#{text}").as_bytes()));
        match once::begin(self.app, &key).await {
            Ok(Turn::Act) => {}
            Ok(Turn::InProgress | Turn::Done) => return Ok(reply::message(cards::text::note_added())),
            Err(error) => return Err(Trouble::Answer(failed(&error))),
        }
        match self.call(Call::Note(text), data).await {
            Ok(_) => {
                once::keep(self.app, &key, SAME_NOTE_WITHIN).await;
                Ok(reply::card(&incident_card(record).content))
            }
            Err(trouble) => {
                once::give_up(self.app, &key).await;
                Err(trouble)
            }
        }
    }

    async fn known(&self, data: &ButtonData) -> Result<IncidentRecord, Trouble> {
        let stored = self.app.store.record(&data.account, &data.incident).await;
        let stored = stored.map_err(|error| Trouble::Answer(failed(&error)))?;
        Ok(stored
            .map_or_else(|| IncidentRecord::empty(data.account.clone(), data.incident.clone()), |stored| stored.record))
    }

    /// Merges what PagerDuty answered and, after a change, marks every card of the incident. The answer shows what
    /// PagerDuty said just now, even where an event of the same second outranks it in the record.
    async fn learn(
        &self,
        activity: &Activity,
        data: &ButtonData,
        incident: Option<RestIncident>,
        changed: bool,
    ) -> Result<IncidentRecord, Trouble> {
        let Some(incident) = incident else { return self.known(data).await };
        let observed = incident.into_record(data.account.clone());
        let said = observed.clone();
        let stored = self.app.store.merge_record(observed).await.map_err(|error| Trouble::Answer(failed(&error)))?;
        if changed && let Err(error) = mark_cards(self.app, activity, data).await {
            // PagerDuty's webhook of the same change marks them again.
            tracing::warn!(error, incident.id = %data.incident, "cards not marked after a click");
        }
        Ok(IncidentRecord { snapshot: said.snapshot, status_change: said.status_change, ..stored.record })
    }

    /// Calls PagerDuty as the person; a refused token is refreshed once. `Ok(None)`: it was so already.
    async fn call(&mut self, call: Call<'_>, data: &ButtonData) -> Result<Option<RestIncident>, Trouble> {
        let mut refreshed = false;
        loop {
            let error = match self.once(&call, data).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if error.already_done() {
                // Somebody was faster: show what they made of it.
                return Ok(self.once(&Call::Read, data).await.ok().flatten());
            }
            if error.class() != Class::Relink {
                return Err(Trouble::Answer(explain(&error)));
            }
            if refreshed {
                return Err(Trouble::Relink);
            }
            refreshed = true;
            self.token = match tokens::usable(self.app, &self.link, true).await {
                Ok(token) => token,
                Err(TokenError::Relink) => return Err(Trouble::Relink),
                Err(error) => return Err(Trouble::Answer(failed(&error))),
            };
        }
    }

    async fn once(&self, call: &Call<'_>, data: &ButtonData) -> Result<Option<RestIncident>, ApiError> {
        let auth = Auth::User { token: &self.token, email: &self.link.link.pd_email };
        let api = &self.app.pagerduty;
        match call {
            Call::Read => api.incident(auth, &data.incident).await.map(Some),
            Call::SetStatus(status) => api.set_status(auth, &data.incident, *status).await.map(Some),
            Call::Note(text) => api.create_note(auth, &data.incident, text).await.map(|_| None),
        }
    }
}

enum Call<'a> {
    Read,
    SetStatus(domain::incident::Status),
    Note(&'a str),
}

/// What the person is told when PagerDuty did not do it.
fn explain(error: &ApiError) -> Value {
    tracing::warn!(error = runtime::chain(error), "PagerDuty did not do it");
    match error.class() {
        Class::Unclear => reply::message(cards::text::slow_pagerduty()),
        Class::Retry { .. } => reply::message(cards::text::busy_pagerduty()),
        Class::Forbidden => reply::error("Forbidden", cards::text::forbidden()),
        Class::Gone => reply::error("NotFound", cards::text::incident_gone()),
        Class::Relink | Class::Invalid | Class::Bug => {
            reply::error("Refused", &cards::text::pagerduty_refused(error.message()))
        }
    }
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Value {
    tracing::error!(error = runtime::chain(error), "click failed");
    reply::error("TryAgain", cards::text::try_again())
}

async fn mark_cards(app: &App, activity: &Activity, data: &ButtonData) -> Result<(), String> {
    let (_, cards) = app.store.incident_with_cards(&data.account, &data.incident).await.map_err(|e| e.to_string())?;
    let channels: Vec<ChannelId> = cards.into_iter().map(|card| card.channel).collect();
    let jobs: Vec<CardJob> = channels
        .into_iter()
        .map(|channel| CardJob {
            account: data.account.clone(),
            incident: data.incident.clone(),
            channel,
            cause: activity.id.as_str().to_owned(),
            received_at: app.clock.now(),
        })
        .collect();
    app.queue.send(&jobs).await.map_err(|e| e.to_string())
}

fn incident_card(record: &IncidentRecord) -> cards::Card {
    cards::incident(&cards::IncidentView { record, can_act: true })
}

async fn present_card(app: &App, data: &ButtonData) -> Value {
    match app.store.record(&data.account, &data.incident).await {
        Ok(Some(stored)) => reply::card(&incident_card(&stored.record).content),
        Ok(None) => reply::error("NotFound", cards::text::unknown_card()),
        Err(error) => failed(&error),
    }
}

/// The clicker is not linked (any more): a private message with a personal link, and a short answer to the click.
async fn ask_to_link(app: &App, activity: &Activity, data: &ButtonData) -> Value {
    let wanted = match app.store.record(&data.account, &data.incident).await {
        Ok(stored) => stored.and_then(|stored| wanted(&stored.record)),
        Err(_) => None,
    };
    link_answer(private::send_link(app, activity, Some(data.account.clone()), wanted).await)
}

async fn link_accounts(app: &App, activity: &Activity) -> Value {
    link_answer(private::send_link(app, activity, None, None).await)
}

fn link_answer(sent: Result<(), private::PrivateError>) -> Value {
    match sent {
        Ok(()) => reply::message(cards::text::link_sent()),
        Err(error) => {
            tracing::warn!(error = runtime::chain(&error), "private message not sent");
            reply::message(cards::text::link_not_sent())
        }
    }
}

fn wanted(record: &IncidentRecord) -> Option<WantedAction> {
    let state = record.state()?;
    Some(WantedAction { incident: record.id.clone(), title: format!("#{} {}", state.number, state.title) })
}
