//! A click on a card: check who and what, ask `domain::action`, act as the person, answer with the fresh card.
//!
//! What the button carries is a hint that anybody could have forged. The card must be known in the very conversation
//! that the click came from, and PagerDuty decides with the person's own token.

use std::time::Duration;

use cards::data::{ButtonData, Verb};
use domain::action::{Action, Decision, Request, decide};
use domain::failure::Class;
use domain::ids::ChannelId;
use domain::incident::{IncidentRecord, RecordVersion};
use domain::job::{Cause, Occasion};
use domain::linking::{Wanted, WantedAction};
use domain::plan::CardRecord;
use jiff::SignedDuration;
use pagerduty::rest::{Api, ApiError, Auth, RestIncident};
use runtime::{App, Metric};
use secrecy::SecretString;
use serde_json::Value;
use store::{Once, StoredLink};
use teams::activity::{Activity, Click};
use teams::reply;
use tokio::time::Instant;

use crate::once::{self, Turn};
use crate::personal;
use crate::place::Place;
use crate::private;
use crate::tokens::{self, TokenError};

/// The same note by the same person within this time is a double click.
const SAME_NOTE_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// Outcome of a note that PagerDuty may or may not have taken.
const UNCLEAR: &str = "unclear";

/// For all calls to PagerDuty together. Below the caller's own limit, which drops this flow: what PagerDuty left open has
/// to be noted and told while there still is time.
const PAGERDUTY_BUDGET: Duration = Duration::from_secs(3);

/// With less time left nothing is asked of PagerDuty any more: its answer would come too late.
const LEAST_FOR_CALL: Duration = Duration::from_millis(250);

/// Answers a click, within Teams' patience: the caller bounds the time.
pub(crate) async fn answer(app: &App, activity: &Activity, click: &Click) -> Value {
    let deadline = Instant::now() + PAGERDUTY_BUDGET;
    let Ok(verb) = click.verb.parse::<Verb>() else {
        return reply::error("BadRequest", cards::text::unknown_button());
    };
    match verb {
        Verb::LinkAccounts => return personal::link_accounts(app, activity).await,
        Verb::NotAdmin => return personal::not_admin(app, activity, click).await,
        Verb::Resume => return personal::resume(app, activity, click, deadline).await,
        Verb::Acknowledge | Verb::Resolve | Verb::AddNote | Verb::Refresh => {}
    }
    let Ok(data) = serde_json::from_value::<ButtonData>(click.action.clone()) else {
        return reply::error("BadRequest", cards::text::unknown_button());
    };
    let key = once::key_of(activity);
    match once::begin(app, &key).await {
        Ok(Turn::Act) => {}
        Ok(Turn::InProgress) => return reply::message(cards::text::in_progress()),
        // The same activity may come with other data: the card is checked as for any click.
        Ok(Turn::Done) => return act_again(app, activity, &data).await,
        Err(error) => return failed(&error),
    }
    let outcome = act(app, activity, click, verb, &data, deadline).await;
    once::end(app, &key, outcome).await
}

/// `Err` is an answer as well, after which the same activity may be tried again.
pub(crate) async fn act(
    app: &App,
    activity: &Activity,
    click: &Click,
    verb: Verb,
    data: &ButtonData,
    deadline: Instant,
) -> Result<Value, Value> {
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
        Verb::Refresh | Verb::LinkAccounts | Verb::NotAdmin | Verb::Resume => return Ok(present_card(app, data).await),
    };
    let Some(user) = activity.from.as_ref().and_then(|from| from.entra.clone()) else {
        return Ok(reply::error("Forbidden", cards::text::unknown_person()));
    };
    let link = app.store.link(&card.tenant, &user, &data.account).await.map_err(|error| failed(&error))?;
    let Some(link) = link else { return Ok(ask_to_link(app, activity, data, &action).await) };
    let token = match tokens::usable_by(app, &link, false, deadline).await {
        Ok(token) => token,
        Err(TokenError::Relink) => return Ok(ask_to_link(app, activity, data, &action).await),
        Err(error) => return Err(failed(&error)),
    };
    let mut person = Person { app, link, token, deadline, shown: card.rendered, outdated: false };
    let outcome = person.carry_out(&action, data).await;
    if person.outdated
        && let Err(error) = mark_cards(app, activity, data).await
    {
        // PagerDuty's webhook of the same change marks them again.
        tracing::warn!(error, incident.id = %data.incident, "cards not marked after a click");
    }
    match outcome {
        Ok(answer) => Ok(answer),
        Err(Trouble::Relink) => Ok(ask_to_link(app, activity, data, &action).await),
        Err(Trouble::Unclear) => Err(reply::message(cards::text::slow_pagerduty())),
        Err(Trouble::Answer(answer)) => Err(answer),
    }
}

/// The card of the button's incident in the conversation that was clicked in, if it belongs to the clicker's tenant.
async fn find_card(app: &App, activity: &Activity, data: &ButtonData) -> Result<Option<CardRecord>, Value> {
    let Some(channel) = activity.channel_of() else { return Ok(None) };
    let card = app.store.card(&data.account, &data.incident, &channel).await.map_err(|error| failed(&error))?;
    Ok(card.filter(|card| card.tenant == activity.tenant))
}

/// What an activity that was answered before is answered.
async fn act_again(app: &App, activity: &Activity, data: &ButtonData) -> Value {
    match find_card(app, activity, data).await {
        Ok(Some(_)) => present_card(app, data).await,
        Ok(None) => reply::error("NotFound", cards::text::unknown_card()),
        Err(answer) => answer,
    }
}

enum Trouble {
    Relink,
    /// PagerDuty may or may not have done it.
    Unclear,
    Answer(Value),
}

struct Person<'a> {
    app: &'a App,
    link: StoredLink,
    token: SecretString,
    deadline: Instant,
    /// The version that the clicked card shows.
    shown: RecordVersion,
    /// Whether the cards show less than was learned.
    outdated: bool,
}

impl Person<'_> {
    async fn carry_out(&mut self, action: &Action, data: &ButtonData) -> Result<Value, Trouble> {
        // Acknowledging a resolved incident would reopen it, so the newest state is asked for first.
        let record = match action {
            Action::Acknowledge => {
                let incident = self.call(Call::Read, data).await?;
                self.learn(data, incident).await?
            }
            Action::Resolve | Action::AddNote { .. } => self.known(data).await?,
        };
        match decide(action, &record, &self.link.link.pd_user) {
            Decision::Refuse(refusal) => Ok(reply::message(&cards::text::refusal(&refusal))),
            Decision::AlreadyDone { .. } => Ok(reply::card(&incident_card(&record).content)),
            Decision::Call(Request::SetStatus(status)) => {
                let incident = self.call(Call::SetStatus(status), data).await?;
                self.outdated = true;
                let record = self.learn(data, incident).await?;
                Ok(reply::card(&incident_card(&record).content))
            }
            Decision::Call(Request::CreateNote(text)) => self.note(data, &text, &record).await,
        }
    }

    async fn note(&mut self, data: &ButtonData, text: &str, record: &IncidentRecord) -> Result<Value, Trouble> {
        let user = self.link.link.user.as_str();
        let key = format!("note/{}/{}", data.incident, runtime::digest(format!("{user}#{text}").as_bytes()));
        // Held as long as it is kept: a flow that was dropped in the middle leaves it open whether the note is there.
        match self.app.store.begin_once(&key, self.app.clock.now(), SAME_NOTE_WITHIN).await {
            Ok(Once::First) => {}
            Ok(Once::InProgress) => return Ok(reply::message(cards::text::note_in_progress())),
            Ok(Once::Done(outcome)) if outcome == UNCLEAR => return Ok(reply::message(cards::text::note_unclear())),
            Ok(Once::Done(_)) => return Ok(reply::message(cards::text::note_added())),
            Err(error) => return Err(Trouble::Answer(failed(&error))),
        }
        match self.call(Call::Note(text), data).await {
            Ok(_) => {
                once::keep(self.app, &key, SAME_NOTE_WITHIN).await;
                Ok(reply::card(&incident_card(record).content))
            }
            Err(Trouble::Unclear) => {
                once::keep_as(self.app, &key, UNCLEAR, SAME_NOTE_WITHIN).await;
                Ok(reply::message(cards::text::note_unclear()))
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

    /// Merges what PagerDuty answered. The answer shows what PagerDuty said just now, even where an event of the same
    /// second outranks it in the record. The cards are marked once, at the end: the queue drops a second job of a cause.
    async fn learn(&mut self, data: &ButtonData, incident: Option<RestIncident>) -> Result<IncidentRecord, Trouble> {
        let Some(incident) = incident else { return self.known(data).await };
        let observed = incident.into_record(data.account.clone());
        let said = observed.clone();
        let stored = self.app.store.merge_record(observed).await.map_err(|error| Trouble::Answer(failed(&error)))?;
        self.outdated |= stored.version > self.shown;
        Ok(IncidentRecord { snapshot: said.snapshot, status_change: said.status_change, ..stored.record })
    }

    /// Calls PagerDuty as the person; a refused token is refreshed once. `Ok(None)`: it was so already.
    async fn call(&mut self, call: Call<'_>, data: &ButtonData) -> Result<Option<RestIncident>, Trouble> {
        let mut refreshed = false;
        loop {
            let Some(api) = self.api() else {
                return Err(Trouble::Answer(reply::message(cards::text::busy_pagerduty())));
            };
            let error = match self.once(&api, &call, data).await {
                Ok(answer) => {
                    if !matches!(call, Call::Read) {
                        self.app.metrics.count(Metric::ActionsTaken, self.app.clock.now());
                    }
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if error.already_done() {
                // Somebody was faster: show what they made of it.
                let Some(api) = self.api() else { return Ok(None) };
                return Ok(self.once(&api, &Call::Read, data).await.ok().flatten());
            }
            if error.class() != Class::Relink {
                return Err(call.failed(&error));
            }
            if refreshed {
                return Err(Trouble::Relink);
            }
            refreshed = true;
            self.token = match tokens::usable_by(self.app, &self.link, true, self.deadline).await {
                Ok(token) => token,
                Err(TokenError::Relink) => return Err(Trouble::Relink),
                Err(error) => return Err(Trouble::Answer(failed(&error))),
            };
        }
    }

    /// PagerDuty for as long as there is time; `None`: there is none left.
    fn api(&self) -> Option<Api> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        (left >= LEAST_FOR_CALL).then(|| self.app.pagerduty.clone().with_timeout(left))
    }

    async fn once(&self, api: &Api, call: &Call<'_>, data: &ButtonData) -> Result<Option<RestIncident>, ApiError> {
        let auth = Auth::User { token: &self.token, email: &self.link.link.pd_email };
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

impl Call<'_> {
    fn failed(&self, error: &ApiError) -> Trouble {
        // A success that cannot be read is one all the same.
        let unclear = error.class() == Class::Unclear || matches!(error, ApiError::Unreadable { .. });
        let writes = !matches!(self, Self::Read);
        if unclear && writes {
            tracing::warn!(error = runtime::chain(error), "PagerDuty may or may not have done it");
            return Trouble::Unclear;
        }
        Trouble::Answer(explain(error))
    }
}

/// What the person is told when PagerDuty did not do it.
fn explain(error: &ApiError) -> Value {
    tracing::warn!(error = runtime::chain(error), "PagerDuty did not do it");
    match error.class() {
        Class::Unclear | Class::Retry { .. } => reply::message(cards::text::busy_pagerduty()),
        Class::Forbidden => reply::error("Forbidden", cards::text::forbidden()),
        Class::Gone => reply::error("NotFound", cards::text::incident_gone()),
        Class::Relink | Class::Invalid | Class::Bug => {
            reply::error("Refused", &cards::text::pagerduty_refused(error.message()))
        }
    }
}

pub(crate) fn failed(error: &(dyn std::error::Error + 'static)) -> Value {
    tracing::error!(error = runtime::chain(error), "click failed");
    reply::error("TryAgain", cards::text::try_again())
}

async fn mark_cards(app: &App, activity: &Activity, data: &ButtonData) -> Result<(), String> {
    let (_, cards) = app.store.incident_with_cards(&data.account, &data.incident).await.map_err(|e| e.to_string())?;
    let channels = cards.into_iter().map(|card| card.channel);
    let cause = Cause { id: activity.id.to_string(), occasion: Occasion::Action, at: app.clock.now() };
    app.queue.send(&cause.jobs(&data.account, &data.incident, channels)).await.map_err(|e| e.to_string())
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

/// The clicker is not linked (any more): a private message with a personal link that remembers what they wanted to do, and
/// a short answer to the click.
async fn ask_to_link(app: &App, activity: &Activity, data: &ButtonData, action: &Action) -> Value {
    let wanted = match (app.store.record(&data.account, &data.incident).await, activity.channel_of()) {
        (Ok(Some(stored)), Some(channel)) => wanted(&stored.record, channel, action),
        _ => None,
    };
    let place = Place::of(activity);
    personal::link_answer(private::send_link(app, &place, Some(data.account.clone()), wanted).await)
}

fn wanted(record: &IncidentRecord, channel: ChannelId, action: &Action) -> Option<WantedAction> {
    let state = record.state()?;
    let what =
        Wanted::Click { account: record.account.clone(), incident: record.id.clone(), channel, action: action.clone() };
    Some(WantedAction { title: format!("#{} {}", state.number, state.title), what })
}
