//! The form for a new incident: opening it, searching in it, submitting it.

use cards::data::{Dialog, DialogData};
use cards::trigger::{MAX_DETAILS_CHARS, MAX_TITLE_CHARS, NOTHING, Offer, TriggerForm, Typed, dataset, input};
use domain::cause::{Cause, Occasion};
use domain::connection::Connection;
use domain::failure::Class;
use domain::ids::{CauseId, PdUserId, PriorityId, ServiceId};
use domain::incident::Urgency;
use domain::linking::Wanted;
use incidents::{Answer, What, observe};
use pagerduty::rest::{ApiError, NewIncident};
use runtime::once::{self, Ended, HOLD, KEEP, Turn};
use runtime::{App, Person, PersonError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::OnceKey;

use crate::error::{FlowError, Unlinked};
use crate::who::{Who, was_sent};

/// How many services the form offers without searching, and how many a search finds.
const OFFERED: u32 = 15;

/// What the dialog shows.
#[derive(Debug)]
pub(crate) enum Page {
    /// The form, empty or with what was typed.
    Form(Box<TriggerForm>),
    /// The incident is there.
    Made(Made),
    /// It was made before, and what it was is not known any more.
    MadeBefore,
    /// It is being made right now.
    InProgress,
    /// The person was sent a personal link.
    LinkSent(Unlinked),
    /// They could not be sent one.
    LinkNotSent(Unlinked),
    /// The team is connected to no account.
    NotConnected,
    /// No form of ours.
    Unknown,
    /// It did not work.
    Failed(FlowError),
}

/// What is remembered of a form that has made its incident.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) url: String,
}

impl Made {
    fn of(answer: &Answer) -> Self {
        let state = &answer.incident.snapshot;
        Self { number: state.number, title: state.title.clone(), url: state.html_url.clone() }
    }
}

/// Opens the form.
pub(crate) async fn open(app: &App, who: &Who, data: &Value) -> Page {
    let Some(DialogData { title, .. }) = read(data) else { return Page::Unknown };
    let flow = async {
        let mut person = who.linked(app).await?;
        let form = app.random.token()?;
        draw(app, who, &mut person, form, Typed { title: title.clone(), ..Typed::default() }, None).await
    };
    shown(app, who, flow.await, title).await
}

/// Creates the incident, once for each form that was opened, however often it is submitted or Teams resends it.
pub(crate) async fn submit(app: &App, who: &Who, data: &Value) -> Page {
    match read(data) {
        Some(DialogData { form: Some(form), title, .. }) => {
            shown(app, who, create(app, who, form, typed(data)).await, title).await
        }
        _ => Page::Unknown,
    }
}

fn read(data: &Value) -> Option<DialogData> {
    serde_json::from_value::<DialogData>(data.clone()).ok().filter(|data| data.dialog == Dialog::Trigger)
}

/// `title`: what is kept of the form for somebody who has to link first.
async fn shown(app: &App, who: &Who, page: Result<Page, FlowError>, title: Option<String>) -> Page {
    match page {
        Ok(page) => page,
        Err(FlowError::NotConnected) => Page::NotConnected,
        Err(error) => {
            let Some(why) = error.unlinked() else { return Page::Failed(error) };
            let sent = who.ask_to_link(app, "a new incident", Wanted::Trigger { title }).await;
            if was_sent(sent) { Page::LinkSent(why) } else { Page::LinkNotSent(why) }
        }
    }
}

/// Finds what somebody types into a list of the form, as names and ids. Whatever fails, nothing is found.
pub(crate) async fn search(app: &App, who: &Who, set: &str, text: &str) -> Vec<(String, String)> {
    let found = async {
        let mut person = who.linked(app).await?;
        let find = async |api: &pagerduty::rest::Api, auth: pagerduty::rest::Auth<'_>| match set {
            dataset::SERVICES => {
                let page = api.find_services(auth, text, 0, OFFERED).await?;
                Ok(page.items.into_iter().map(|service| (service.name, service.id.to_string())).collect())
            }
            dataset::USERS => {
                let users = api.users(auth, text, OFFERED).await?;
                Ok(users.into_iter().map(|user| (user.name, user.id.to_string())).collect())
            }
            _ => Ok(Vec::new()),
        };
        Ok::<_, FlowError>(person.call(find).await?)
    };
    found.await.unwrap_or_else(|error| {
        tracing::warn!(error = runtime::chain(&error), "nothing found for a form");
        Vec::new()
    })
}

/// The form as it is now.
async fn draw(
    app: &App,
    who: &Who,
    person: &mut Person<'_>,
    form: String,
    mut typed: Typed,
    error: Option<String>,
) -> Result<Page, FlowError> {
    let mut services = connected_here(app, who).await?;
    // Of several services none is likelier than another, and whoever overlooks a wrong one wakes the wrong people.
    if let (None, [only]) = (&typed.service, services.as_slice()) {
        typed.service = Some(only.id.clone());
    }
    let search = services.is_empty();
    let offered = async |api: &pagerduty::rest::Api, auth: pagerduty::rest::Auth<'_>| {
        let (priorities, found) = tokio::join!(api.priorities(auth), async {
            if search { api.find_services(auth, "", 0, OFFERED).await.map(|page| page.items) } else { Ok(Vec::new()) }
        });
        Ok((tolerant(priorities)?, tolerant(found)?))
    };
    // When there is no time left to ask, what was typed is still worth more than a sentence.
    let (priorities, found) = match person.call(offered).await {
        Err(PersonError::Busy) => (Vec::new(), Vec::new()),
        answer => answer?,
    };
    services.extend(found.into_iter().map(|service| Offer { id: service.id.to_string(), name: service.name }));
    // What is typed must stay choosable.
    keep_choice(&mut services, typed.service.as_deref());
    let mut assignees = Vec::new();
    keep_choice(&mut assignees, typed.assignee.as_deref());
    let priorities =
        priorities.into_iter().map(|priority| Offer { id: priority.id.into(), name: priority.name }).collect();
    Ok(Page::Form(Box::new(TriggerForm { form, services, priorities, assignees, typed, error })))
}

/// A form with fewer choices is better than none; but a refused token refuses everything.
fn tolerant<T: Default>(answer: Result<T, ApiError>) -> Result<T, ApiError> {
    match answer {
        Err(error) if !error.refuses_token() => Ok(T::default()),
        answer => answer,
    }
}

fn keep_choice(offers: &mut Vec<Offer>, chosen: Option<&str>) {
    if let Some(chosen) = chosen.filter(|chosen| !chosen.is_empty())
        && !offers.iter().any(|offer| offer.id == chosen)
    {
        offers.push(Offer { id: chosen.to_owned(), name: format!("Your choice ({chosen})") });
    }
}

/// What is connected to this channel comes first: most incidents are about that.
async fn connected_here(app: &App, who: &Who) -> Result<Vec<Offer>, FlowError> {
    let offer = |connection: Connection| Offer { id: connection.service.into(), name: connection.service_name };
    Ok(who.connections(app).await?.into_iter().map(offer).collect())
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
    priority: Option<PriorityId>,
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
        let priority = typed.priority.as_deref().map(PriorityId::new).transpose();
        Ok(Self {
            service: ServiceId::new(service).map_err(|_| "please choose a service from the list.")?,
            title,
            details: typed.details.clone(),
            urgency: match typed.urgency.as_deref() {
                Some("high") => Some(Urgency::High),
                Some("low") => Some(Urgency::Low),
                _ => None,
            },
            priority: priority.map_err(|_| "please choose a priority from the list.")?,
            assignee: assignee.map_err(|_| "please choose a person from the list.")?,
        })
    }
}

async fn create(app: &App, who: &Who, form: String, typed: Typed) -> Result<Page, FlowError> {
    let mut person = who.linked(app).await?;
    let wish = match Wish::of(&typed) {
        Ok(wish) => wish,
        Err(why) => return draw(app, who, &mut person, form, typed, Some(why.to_owned())).await,
    };
    // Bound to the person: a form that somebody else has seen is not theirs to use up.
    let name = runtime::digest(format!("{}#{form}", person.link().user).as_bytes());
    let work = Box::pin(async {
        match ask(app, &mut person, &wish, &name).await {
            Ok(Asked::Made(answer)) => {
                let outcome = serde_json::to_string(&Made::of(&answer)).unwrap_or_default();
                Ended::Done(Ok(Asked::Made(answer)), outcome)
            }
            Ok(Asked::MadeBefore) => Ended::Done(Ok(Asked::MadeBefore), "made".to_owned()),
            undone => Ended::Undone(undone),
        }
    });
    match once::run(app, OnceKey::Form(&name), HOLD, KEEP, work).await? {
        Turn::Mine(Ok(Asked::Made(answer))) => {
            let made = Made::of(&answer);
            show(app, &person, *answer, &name).await;
            Ok(Page::Made(made))
        }
        Turn::Mine(Ok(Asked::MadeBefore)) => Ok(Page::MadeBefore),
        Turn::Mine(Ok(Asked::Refused(why))) => draw(app, who, &mut person, form, typed, Some(why)).await,
        Turn::Mine(Err(error)) => Err(error),
        Turn::InProgress => Ok(Page::InProgress),
        Turn::Before(made) => Ok(serde_json::from_str(&made).map_or(Page::MadeBefore, Page::Made)),
    }
}

enum Asked {
    Made(Box<Answer>),
    /// An open incident has this form's key: an earlier try went through although its answer was lost.
    MadeBefore,
    Refused(String),
}

async fn ask(app: &App, person: &mut Person<'_>, wish: &Wish, name: &str) -> Result<Asked, FlowError> {
    let incident_key = format!("pagerbridge-{name}");
    let wanted = NewIncident {
        service: &wish.service,
        title: &wish.title,
        urgency: wish.urgency,
        details: wish.details.as_deref(),
        incident_key: Some(&incident_key),
        priority: wish.priority.as_ref(),
        assignee: wish.assignee.as_ref(),
    };
    let asked = domain::incident::Asked::at(app.clock.now());
    let error = match person.call(async |api, auth| api.create_incident(auth, &wanted).await).await {
        Ok(incident) => return Ok(Asked::Made(Box::new(Answer { incident, asked }))),
        Err(PersonError::PagerDuty(error)) => error,
        Err(PersonError::Busy) => return Ok(Asked::Refused(cards::text::BUSY_PAGERDUTY.to_owned())),
        Err(error) => return Err(error.into()),
    };
    if error.is_duplicate() {
        return Ok(Asked::MadeBefore);
    }
    tracing::warn!(error = runtime::chain(&error), "incident not created");
    let (class, message) = (error.class(), error.message());
    Ok(Asked::Refused(if matches!(class, Class::Unclear | Class::Bug) {
        cards::text::INCIDENT_UNCLEAR.to_owned()
    } else if class == Class::Invalid {
        message.to_owned()
    } else {
        cards::text::not_done(class, message, Some(cards::text::NO_SUCH_SERVICE))
    }))
}

/// Observes what PagerDuty answered, so that nobody waits for the webhook, which brings the card as well.
async fn show(app: &App, person: &Person<'_>, answer: Answer, name: &str) {
    let Ok(id) = CauseId::new(name) else { return };
    let cause = Cause { id, occasion: Occasion::Action, at: app.clock.now(), happened_at: None };
    if let Err(error) = Box::pin(observe(app, &person.link().account, What::Answer(answer), &cause)).await {
        tracing::warn!(error = runtime::chain(&error), "cards not marked after an incident was created");
    }
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
            (Typed { priority: Some("a b".to_owned()), ..good.clone() }, "please choose a priority from the list."),
            (Typed { assignee: Some("a#b".to_owned()), ..good }, "please choose a person from the list."),
        ];
        for (typed, why) in bad {
            assert_eq!(Wish::of(&typed).err(), Some(why));
        }
    }
}
