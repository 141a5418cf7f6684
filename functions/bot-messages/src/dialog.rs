//! The form for a new incident: opening it, searching in it, submitting it.

use cards::data::{Dialog, DialogData};
use cards::trigger::{MAX_DETAILS_CHARS, MAX_TITLE_CHARS, NOTHING, Offer, TriggerForm, Typed, dataset, input};
use domain::connection::Connection;
use domain::failure::Class;
use domain::ids::{AccountId, PdUserId, ServiceId};
use domain::incident::Urgency;
use domain::job::{Cause, Occasion};
use domain::linking::Wanted;
use jiff::SignedDuration;
use pagerduty::rest::{ApiError, NewIncident, RestIncident};
use runtime::App;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::Once;
use teams::activity::Activity;
use teams::reply;

use crate::place::{Person, Place};
use crate::private::PrivateError;

/// How many services the form offers without searching, and how many a search finds.
const OFFERED: u32 = 15;

/// Longer than a call to PagerDuty takes; afterwards a crashed submission may be tried again, with the same incident key.
const HOLD: SignedDuration = SignedDuration::from_secs(20);

/// Longer than anybody leaves a form open.
const KEEP: SignedDuration = SignedDuration::from_hours(24);

const TITLE: &str = "Create a PagerDuty incident";

/// Opens the form.
pub(crate) async fn open(app: &App, activity: &Activity, data: &Value) -> Value {
    if !is_trigger(data) {
        return reply::task_message(cards::text::unknown_button());
    }
    answered(open_form(app, &Place::of(activity)).await)
}

/// Answers what somebody types into a list of the form.
pub(crate) async fn search(app: &App, activity: &Activity, set: &str, text: &str) -> Value {
    let found = find(app, &Place::of(activity), set, text).await.unwrap_or_else(|error| {
        tracing::warn!(error = runtime::chain(&error), "nothing found for a form");
        Vec::new()
    });
    reply::choices(found)
}

/// Creates the incident, once for each form that was opened, however often it is submitted or Teams resends it.
pub(crate) async fn submit(app: &App, activity: &Activity, data: &Value) -> Value {
    let form = serde_json::from_value::<DialogData>(data.clone()).ok().and_then(|data| data.form);
    let Some(form) = form.filter(|_| is_trigger(data)) else {
        return reply::task_message(cards::text::unknown_button());
    };
    answered(create(app, &Place::of(activity), form, typed(data)).await)
}

fn is_trigger(data: &Value) -> bool {
    serde_json::from_value::<DialogData>(data.clone()).is_ok_and(|data| data.dialog == Dialog::Trigger)
}

fn answered(answer: Result<Value, PrivateError>) -> Value {
    answer.unwrap_or_else(|error| {
        tracing::error!(error = runtime::chain(&error), "form not answered");
        reply::task_message(cards::text::try_again())
    })
}

/// The account and the person; `Err` is the answer that tells what is missing.
async fn linked(app: &App, place: &Place) -> Result<Result<(AccountId, Person), Value>, PrivateError> {
    let Some(account) = place.account(app).await? else {
        return Ok(Err(reply::task_message(cards::text::team_not_connected())));
    };
    match place.person(app, &account).await? {
        Some(person) => Ok(Ok((account, person))),
        None => Ok(Err(ask_to_link(app, place, &account).await)),
    }
}

async fn ask_to_link(app: &App, place: &Place, account: &AccountId) -> Value {
    match place.ask_to_link(app, account, "a new incident", Wanted::Trigger).await {
        Ok(()) => reply::task_message(cards::text::link_sent()),
        Err(error) => {
            tracing::warn!(error = runtime::chain(&error), "private message not sent");
            reply::task_message(cards::text::link_not_sent())
        }
    }
}

async fn open_form(app: &App, place: &Place) -> Result<Value, PrivateError> {
    let (_, mut person) = match linked(app, place).await? {
        Ok(linked) => linked,
        Err(answer) => return Ok(answer),
    };
    let form = app.random.token()?;
    match draw(app, place, &mut person, form, Typed::default(), None).await? {
        Some(form) => Ok(form),
        None => {
            let account = person.stored.link.account.clone();
            Ok(ask_to_link(app, place, &account).await)
        }
    }
}

/// The form as it is now; `None`: PagerDuty does not accept the person's log-in any more.
async fn draw(
    app: &App,
    place: &Place,
    person: &mut Person,
    form: String,
    typed: Typed,
    error: Option<String>,
) -> Result<Option<Value>, PrivateError> {
    let mut services = connected_here(app, place).await?;
    for renewed in [false, true] {
        let auth = person.auth();
        let (priorities, found) = tokio::join!(app.pagerduty.priorities(auth), async {
            if services.is_empty() { Some(app.pagerduty.find_services(auth, "", 0, OFFERED).await) } else { None }
        });
        let refused = |error: &ApiError| error.class() == Class::Relink;
        if priorities.as_ref().is_err_and(refused) || found.as_ref().is_some_and(|f| f.as_ref().is_err_and(refused)) {
            if renewed || !person.renew(app).await? {
                return Ok(None);
            }
            continue;
        }
        if let Some(Ok(page)) = found {
            services = page
                .items
                .into_iter()
                .map(|service| Offer { id: service.id.to_string(), name: service.name })
                .collect();
        }
        // What is typed must stay choosable, and a form without priorities is better than none.
        keep_choice(&mut services, typed.service.as_deref());
        let mut assignees = Vec::new();
        keep_choice(&mut assignees, typed.assignee.as_deref());
        let priorities = priorities.unwrap_or_default();
        let priorities =
            priorities.into_iter().map(|priority| Offer { id: priority.id, name: priority.name }).collect();
        let drawn = TriggerForm { form, services, priorities, assignees, typed, error };
        return Ok(Some(reply::task_card(TITLE, &cards::trigger::trigger_form(&drawn))));
    }
    Ok(None)
}

fn keep_choice(offers: &mut Vec<Offer>, chosen: Option<&str>) {
    if let Some(chosen) = chosen.filter(|chosen| !chosen.is_empty())
        && !offers.iter().any(|offer| offer.id == chosen)
    {
        offers.push(Offer { id: chosen.to_owned(), name: format!("Your choice ({chosen})") });
    }
}

/// What is connected to this channel comes first: most incidents are about that.
async fn connected_here(app: &App, place: &Place) -> Result<Vec<Offer>, PrivateError> {
    let offer = |connection: Connection| Offer { id: connection.service.into(), name: connection.service_name };
    Ok(place.connections(app).await?.into_iter().map(offer).collect())
}

async fn find(app: &App, place: &Place, set: &str, text: &str) -> Result<Vec<(String, String)>, PrivateError> {
    let Ok((_, person)) = linked(app, place).await? else { return Ok(Vec::new()) };
    let found = match set {
        dataset::SERVICES => app.pagerduty.find_services(person.auth(), text, 0, OFFERED).await.map(|page| {
            page.items.into_iter().map(|service| (service.name, service.id.to_string())).collect::<Vec<_>>()
        }),
        dataset::USERS => app
            .pagerduty
            .users(person.auth(), text, OFFERED)
            .await
            .map(|users| users.into_iter().map(|user| (user.name, user.id.to_string())).collect()),
        _ => Ok(Vec::new()),
    };
    Ok(found.unwrap_or_else(|error| {
        tracing::warn!(error = runtime::chain(&error), "PagerDuty's search failed");
        Vec::new()
    }))
}

fn typed(data: &Value) -> Typed {
    let text = |key: &str| {
        let text = data.get(key).and_then(Value::as_str).map(str::trim);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let choice = |key: &str| text(key).filter(|chosen| chosen != NOTHING);
    Typed {
        service: choice(input::SERVICE),
        title: text(input::TITLE),
        details: text(input::DETAILS),
        urgency: choice(input::URGENCY),
        priority: choice(input::PRIORITY),
        assignee: choice(input::ASSIGNEE),
    }
}

/// What was typed, checked.
struct Wish {
    service: ServiceId,
    title: String,
    details: Option<String>,
    urgency: Option<Urgency>,
    priority: Option<String>,
    assignee: Option<PdUserId>,
}

impl Wish {
    /// `Err` says what is wrong, for the person.
    fn of(typed: &Typed) -> Result<Self, &'static str> {
        let service = typed.service.as_deref().ok_or("please choose a service.")?;
        let title = typed.title.clone().ok_or("please write a title.")?;
        if title.chars().count() > MAX_TITLE_CHARS {
            return Err("the title is too long: PagerDuty takes at most 1024 characters.");
        }
        if typed.details.as_ref().is_some_and(|details| details.chars().count() > MAX_DETAILS_CHARS) {
            return Err("the details are too long: at most 10,000 characters are possible.");
        }
        let assignee = typed.assignee.as_deref().map(PdUserId::new).transpose();
        Ok(Self {
            service: ServiceId::new(service).map_err(|_| "please choose a service from the list.")?,
            title,
            details: typed.details.clone(),
            urgency: match typed.urgency.as_deref() {
                Some("high") => Some(Urgency::High),
                Some("low") => Some(Urgency::Low),
                _ => None,
            },
            priority: typed.priority.clone(),
            assignee: assignee.map_err(|_| "please choose a person from the list.")?,
        })
    }
}

/// What is remembered of a form that has made its incident.
#[derive(Serialize, Deserialize)]
struct Made {
    number: u64,
    title: String,
    url: String,
}

impl Made {
    fn page(&self) -> Value {
        reply::task_card(TITLE, &cards::trigger::trigger_done(self.number, &self.title, &self.url))
    }
}

async fn create(app: &App, place: &Place, form: String, typed: Typed) -> Result<Value, PrivateError> {
    let (account, mut person) = match linked(app, place).await? {
        Ok(linked) => linked,
        Err(answer) => return Ok(answer),
    };
    let wish = match Wish::of(&typed) {
        Ok(wish) => wish,
        Err(why) => return again(app, place, &mut person, form, typed, why.to_owned()).await,
    };
    // Bound to the person: a form that somebody else has seen is not theirs to use up.
    let name = runtime::digest(format!("{}#{form}", person.stored.link.user).as_bytes());
    let key = format!("form/{name}");
    match app.store.begin_once(&key, app.clock.now(), HOLD).await? {
        Once::First => {}
        Once::InProgress => return Ok(reply::task_message(cards::text::in_progress())),
        Once::Done(made) => {
            let made = serde_json::from_str::<Made>(&made);
            return Ok(made.map_or_else(|_| reply::task_message(cards::text::incident_made()), |made| made.page()));
        }
    }
    match ask(app, &mut person, &wish, &name).await? {
        Asked::Made(incident) => {
            let state = &incident.snapshot;
            let made = Made { number: state.number, title: state.title.clone(), url: state.html_url.clone() };
            let outcome = serde_json::to_string(&made).unwrap_or_default();
            app.store.finish_once(&key, &outcome, app.clock.now(), KEEP).await?;
            if let Err(error) = show(app, &account, *incident, &name).await {
                // PagerDuty's webhook brings the card as well.
                tracing::warn!(error = runtime::chain(&error), "cards not marked after an incident was created");
            }
            Ok(made.page())
        }
        Asked::MadeBefore => {
            app.store.finish_once(&key, "made", app.clock.now(), KEEP).await?;
            Ok(reply::task_message(cards::text::incident_made()))
        }
        Asked::Relink => {
            app.store.abandon_once(&key).await?;
            Ok(ask_to_link(app, place, &account).await)
        }
        Asked::Refused(why) => {
            app.store.abandon_once(&key).await?;
            again(app, place, &mut person, form, typed, why).await
        }
    }
}

enum Asked {
    Made(Box<RestIncident>),
    /// An open incident has this form's key: an earlier try went through although its answer was lost.
    MadeBefore,
    Relink,
    Refused(String),
}

async fn ask(app: &App, person: &mut Person, wish: &Wish, name: &str) -> Result<Asked, PrivateError> {
    let incident_key = format!("pagerbridge-{name}");
    let wanted = NewIncident {
        service: &wish.service,
        title: &wish.title,
        urgency: wish.urgency,
        details: wish.details.as_deref(),
        incident_key: Some(&incident_key),
        priority: wish.priority.as_deref(),
        assignee: wish.assignee.as_ref(),
    };
    for renewed in [false, true] {
        let error = match app.pagerduty.create_incident(person.auth(), &wanted).await {
            Ok(incident) => return Ok(Asked::Made(Box::new(incident))),
            Err(error) => error,
        };
        if error.is_duplicate() {
            return Ok(Asked::MadeBefore);
        }
        tracing::warn!(error = runtime::chain(&error), "incident not created");
        let why = match error.class() {
            Class::Relink if !renewed && person.renew(app).await? => continue,
            Class::Relink => return Ok(Asked::Relink),
            Class::Unclear | Class::Bug => cards::text::incident_unclear().to_owned(),
            Class::Retry { .. } => cards::text::busy_pagerduty().to_owned(),
            Class::Forbidden => cards::text::forbidden().to_owned(),
            Class::Gone => cards::text::no_such_service().to_owned(),
            Class::Invalid => error.message().to_owned(),
        };
        return Ok(Asked::Refused(why));
    }
    Ok(Asked::Relink)
}

/// The form again, with what was typed and why it did not work.
async fn again(
    app: &App,
    place: &Place,
    person: &mut Person,
    form: String,
    typed: Typed,
    why: String,
) -> Result<Value, PrivateError> {
    let drawn = draw(app, place, person, form, typed, Some(why)).await?;
    Ok(drawn.unwrap_or_else(|| reply::task_message(cards::text::try_again())))
}

/// Stores what PagerDuty answered and marks the cards, so that nobody waits for the webhook.
async fn show(app: &App, account: &AccountId, incident: RestIncident, cause: &str) -> Result<(), PrivateError> {
    let stored = app.store.merge_record(incident.into_record(account.clone())).await?;
    let Some(state) = stored.record.state() else { return Ok(()) };
    let connections = app.store.connections_of_service(account, &state.service.id).await?;
    let cause = Cause { id: cause.to_owned(), occasion: Occasion::Action, at: app.clock.now() };
    let jobs = cause.jobs(account, &stored.record.id, domain::routing::targets(&stored.record, &connections, &[]));
    Ok(app.queue.send(&jobs).await.map_err(setup::SetupError::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_checked() {
        let good = Typed {
            service: Some("P1".to_owned()),
            title: Some("Disk full".to_owned()),
            urgency: Some("low".to_owned()),
            ..Typed::default()
        };
        let wish = Wish::of(&good).ok().unwrap();
        assert_eq!((wish.service.as_str(), wish.title.as_str(), wish.urgency), ("P1", "Disk full", Some(Urgency::Low)));
        let bad = [
            (Typed { service: None, ..good.clone() }, "please choose a service."),
            (Typed { service: Some("a b".to_owned()), ..good.clone() }, "please choose a service from the list."),
            (Typed { title: None, ..good.clone() }, "please write a title."),
            (
                Typed { title: Some("x".repeat(1025)), ..good.clone() },
                "the title is too long: PagerDuty takes at most 1024 characters.",
            ),
            (
                Typed { details: Some("x".repeat(10_001)), ..good.clone() },
                "the details are too long: at most 10,000 characters are possible.",
            ),
            (Typed { assignee: Some("a#b".to_owned()), ..good }, "please choose a person from the list."),
        ];
        for (typed, why) in bad {
            assert_eq!(Wish::of(&typed).err(), Some(why));
        }
    }
}
