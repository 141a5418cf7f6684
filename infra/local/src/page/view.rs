//! Everything that the page shows one person, read from the simulators at one moment.
//!
//! The simulators answer as Teams and PagerDuty do; here it becomes what a screen needs: posts with their replies, cards
//! as this person's client has them, incidents with who did what.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use simulators::pagerduty::Outcome;
use simulators::teams::{BOT_NAME, Message, TeamInfo, User};

use super::World;
use super::acting::Refusal;
use super::assets::Renderer;
use super::limits::Limits;

/// Newest posts of a channel, and newest incidents, that are shown; a browser is no archive.
const MOST: usize = 100;
/// Newest problems of a kind that are shown.
const PROBLEMS: usize = 5;

/// What the page shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct View {
    renderer: Renderer,
    bot: &'static str,
    /// Whose Teams this is; nothing in a world without people.
    you: Option<String>,
    people: Vec<Person>,
    teams: Vec<Team>,
    chat: Vec<Post>,
    limits: Limits,
    incidents: Vec<Incident>,
    totals: Totals,
    services: Vec<Service>,
    priorities: Vec<Named>,
    pagerduty_people: Vec<Named>,
    /// One sentence each about what is connected to what.
    connections: Vec<String>,
    /// One sentence each about what went wrong lately.
    problems: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Person {
    id: String,
    name: String,
    /// As Teams tells it to a page in a window of theirs.
    entra: String,
    tenant: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Named {
    id: String,
    name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Team {
    id: String,
    name: String,
    channels: Vec<Channel>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Channel {
    id: String,
    name: String,
    /// In the order of their roots, oldest first.
    threads: Vec<Thread>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Thread {
    id: String,
    /// Nothing if it was deleted.
    root: Option<Post>,
    replies: Vec<Post>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    id: String,
    from: String,
    from_bot: bool,
    at: Timestamp,
    edited: bool,
    text: Option<String>,
    /// What a notification about it says.
    summary: Option<String>,
    card: Option<Value>,
    /// Whether an answer to a click made the card different from what the others see.
    own_view: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Incident {
    id: String,
    number: u64,
    title: String,
    status: String,
    urgency: String,
    service: String,
    priority: Option<String>,
    assignees: Vec<Named>,
    url: String,
    created_at: String,
    /// Oldest first.
    log: Vec<Entry>,
}

/// All incidents, also those that are not shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Totals {
    open: usize,
    resolved: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Entry {
    /// PagerDuty's type of the entry, as in `acknowledge_log_entry`.
    kind: String,
    by: Option<String>,
    at: String,
    note: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Service {
    id: String,
    name: String,
}

impl View {
    /// What this person sees; without a wish, the first person.
    pub(super) fn of(world: &World, wish: Option<&str>) -> Result<Self, Refusal> {
        let people = world.teams.users();
        let you = match wish {
            Some(id) => {
                Some(people.iter().find(|person| person.id == id).ok_or_else(|| Refusal::unknown("person", id))?)
            }
            None => people.first(),
        };
        let names = names(&people);
        let teams = world.teams.teams().into_iter().filter(|team| you.is_some_and(|you| you.tenant == team.tenant));
        let incidents = world.pagerduty.incidents();
        let chat = you.map(|you| world.teams.personal_messages(&you.id)).unwrap_or_default();
        Ok(Self {
            renderer: world.assets.renderer().clone(),
            bot: BOT_NAME,
            you: you.map(|you| you.id.clone()),
            teams: teams.map(|team| Team::of(world, team, you, &names)).collect(),
            chat: chat.iter().map(|message| Post::of(message, you, &names)).collect(),
            limits: Limits::of(&world.teams),
            incidents: incidents.iter().take(MOST).map(Incident::of).collect(),
            totals: Totals::of(&incidents),
            services: services(world),
            priorities: world.pagerduty.priorities().into_iter().map(|(id, name)| Named { id, name }).collect(),
            pagerduty_people: world.pagerduty.users().iter().map(named).collect(),
            connections: connections(world),
            problems: problems(world),
            people: people
                .into_iter()
                .map(|person| Person { id: person.id, name: person.name, entra: person.entra, tenant: person.tenant })
                .collect(),
        })
    }

    /// Differs as soon as anything is different.
    pub(super) fn revision(&self) -> String {
        let mut hasher = DefaultHasher::new();
        serde_json::to_string(self).unwrap_or_default().hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

fn names(people: &[User]) -> BTreeMap<String, String> {
    people.iter().map(|person| (person.id.clone(), person.name.clone())).collect()
}

impl Team {
    fn of(world: &World, team: TeamInfo, you: Option<&User>, names: &BTreeMap<String, String>) -> Self {
        let channels = team.channels.into_iter().map(|channel| Channel {
            threads: threads(&world.teams.messages(&channel.id), you, names),
            id: channel.id,
            name: channel.name,
        });
        Self { channels: channels.collect(), id: team.id, name: team.name }
    }
}

fn threads(messages: &[Message], you: Option<&User>, names: &BTreeMap<String, String>) -> Vec<Thread> {
    let mut threads: BTreeMap<&str, Thread> = BTreeMap::new();
    for message in messages {
        let id = message.root.as_deref().unwrap_or(&message.id);
        let thread = threads.entry(id).or_insert_with(|| Thread { id: id.to_owned(), root: None, replies: Vec::new() });
        let post = Post::of(message, you, names);
        if message.root.is_some() {
            thread.replies.push(post);
        } else {
            thread.root = Some(post);
        }
    }
    let hidden = threads.len().saturating_sub(MOST);
    threads.into_values().skip(hidden).collect()
}

impl Post {
    fn of(message: &Message, you: Option<&User>, names: &BTreeMap<String, String>) -> Self {
        let card = you.map_or(message.card.as_ref(), |you| message.card_for(&you.id));
        let from =
            if message.from_bot { BOT_NAME } else { names.get(&message.from).map_or("Somebody", String::as_str) };
        Self {
            id: message.id.clone(),
            from: from.to_owned(),
            from_bot: message.from_bot,
            at: message.at,
            edited: !message.edits.is_empty(),
            text: message.text.clone(),
            summary: message.summary.clone(),
            own_view: card != message.card.as_ref(),
            card: card.cloned(),
        }
    }
}

impl Incident {
    fn of(incident: &Value) -> Self {
        let assignments = list(incident, "/assignments");
        let assignees = assignments.iter().filter_map(|assignment| assignment.get("assignee")).map(named).collect();
        Self {
            id: text(incident, "/id"),
            number: incident.get("incident_number").and_then(Value::as_u64).unwrap_or_default(),
            title: text(incident, "/title"),
            status: text(incident, "/status"),
            urgency: text(incident, "/urgency"),
            service: text(incident, "/service/summary"),
            priority: incident.pointer("/priority/id").and_then(Value::as_str).map(str::to_owned),
            assignees,
            url: text(incident, "/html_url"),
            created_at: text(incident, "/created_at"),
            log: log(incident),
        }
    }
}

impl Totals {
    fn of(incidents: &[Value]) -> Self {
        let resolved = incidents.iter().filter(|incident| text(incident, "/status") == "resolved").count();
        Self { open: incidents.len() - resolved, resolved }
    }
}

/// The notes are a list of their own; in the log there is an entry for each, in the same order.
fn log(incident: &Value) -> Vec<Entry> {
    let mut notes = list(incident, "/notes").iter();
    let entries = list(incident, "/log").iter().map(|entry| {
        let kind = text(entry, "/type");
        Entry {
            by: entry.pointer("/agent/summary").and_then(Value::as_str).map(str::to_owned),
            at: text(entry, "/created_at"),
            note: (kind == "annotate_log_entry").then(|| notes.next()).flatten().map(|note| text(note, "/content")),
            kind,
        }
    });
    entries.collect()
}

fn services(world: &World) -> Vec<Service> {
    let service = |service: &Value| Service { id: text(service, "/id"), name: text(service, "/name") };
    world.pagerduty.services().iter().map(service).collect()
}

fn connections(world: &World) -> Vec<String> {
    let roster = world.teams.teams().into_iter().map(|team| {
        let how = if team.bot_in_roster { "is installed in" } else { "is not installed in" };
        format!("{BOT_NAME} {how} the team {}.", team.name)
    });
    let webhooks = services(world).into_iter().map(|service| {
        let subscriptions = world.pagerduty.subscriptions_of(&service.id);
        let disabled = subscriptions.iter().filter(|id| world.pagerduty.is_disabled(id)).count();
        let how = match (subscriptions.len(), disabled) {
            (0, _) => "nobody is subscribed to its webhooks",
            (_, 0) => "its webhooks go to PagerBridge",
            _ => "its webhook subscription is disabled for a day, after three deliveries were refused",
        };
        format!("PagerDuty service {}: {how}.", service.name)
    });
    let waiting = match world.pagerduty.undelivered() {
        0 => "No webhook waits to be delivered.".to_owned(),
        1 => "One webhook waits to be delivered.".to_owned(),
        many => format!("{many} webhooks wait to be delivered."),
    };
    roster.chain(webhooks).chain([waiting]).collect()
}

fn problems(world: &World) -> Vec<String> {
    let deliveries = world.pagerduty.deliveries();
    let failed = deliveries.iter().rev().filter_map(|delivery| {
        let what = match delivery.outcome {
            Outcome::Delivered => return None,
            Outcome::Retry => "it will be tried again",
            Outcome::Dropped => "it was given up",
        };
        let answer =
            delivery.status.map_or_else(|| "not answered".to_owned(), |status| format!("answered with HTTP {status}"));
        Some(format!("The webhook {} was {answer} at {}; {what}.", delivery.event_type, delivery.at))
    });
    let complaints = world.teams.complaints();
    let complaints = complaints.iter().rev().map(|what| format!("Teams complains: {what}."));
    let unknown = [("PagerDuty", world.pagerduty.unknown_requests()), ("Teams", world.teams.unknown_requests())];
    let unknown = unknown.iter().flat_map(|(who, requests)| {
        requests.iter().rev().take(PROBLEMS).map(move |request| format!("{who} does not know this request: {request}."))
    });
    failed.take(PROBLEMS).chain(complaints.take(PROBLEMS)).chain(unknown).collect()
}

fn named(value: &Value) -> Named {
    Named { id: text(value, "/id"), name: text(value, "/summary") }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
