//! One list of everything that somebody can ask for: routes, activities, buttons, dialogs and commands. It is made from the code's
//! own lists, and a new member of any of them does not compile, or fails, until it is here.

use cards::data::{StormDialog, StormVerb, Verb};
use cards::{COMMANDS, Command, CommandName};
use serde_json::{Value, json};
use teams::activity::Inbound;

use super::dice::Dice;
use super::theirs::Place;

/// Something that can be asked for.
#[derive(Debug, Clone)]
pub(super) enum Wish {
    /// A request of a browser.
    Route {
        method: String,
        path: String,
        query: Vec<String>,
        body: Option<String>,
    },
    Click(Verb),
    /// A click as older clients send it.
    ClickAsMessage(Verb),
    Fetch(Verb),
    Submit(Verb),
    FetchStorm(StormDialog),
    SubmitStorm(StormDialog, Option<StormVerb>),
    FetchForm,
    SubmitForm,
    Search(&'static str),
    Say {
        command: &'static Command,
        privately: bool,
    },
    /// What Teams tells of a team, a channel or their members.
    Event(&'static str),
    Installation(&'static str),
    Members {
        added: bool,
        bot: bool,
    },
    SignIn,
    OtherInvoke,
    OtherActivity,
}

/// As `Event`: what Teams' documents have, and one that they do not.
const EVENTS: &[&str] = &[
    "channelCreated",
    "channelRenamed",
    "channelDeleted",
    "channelRestored",
    "channelShared",
    "channelUnshared",
    "channelMemberAdded",
    "teamRenamed",
    "teamDeleted",
    "teamHardDeleted",
    "teamArchived",
    "teamUnarchived",
    "teamRestored",
    "somethingNew",
];

/// What a browser can ask for besides the API. The template's own routes are compared with it.
const PAGES: &[(&str, &str, &[&str])] = &[
    ("GET", "/oauth/start", &["ticket", "for"]),
    ("GET", "/oauth/callback", &["state", "code", "error"]),
    ("POST", "/oauth/confirm", &[]),
    ("GET", "/admin", &[]),
    ("GET", "/admin/", &[]),
    ("GET", "/admin/assets/{file}", &[]),
    ("GET", "/health", &[]),
    ("GET", "/admin/api/v1/openapi.json", &[]),
    ("POST", "/webhooks/pagerduty", &[]),
];

/// Answered by the bot: its activities are wishes of their own.
const BOT: &str = "POST /api/messages";

pub(super) fn all() -> Vec<Wish> {
    let mut all = routes();
    for verb in Verb::all() {
        all.extend([Wish::Click(verb), Wish::ClickAsMessage(verb), Wish::Fetch(verb), Wish::Submit(verb)]);
    }
    for dialog in STORM_DIALOGS {
        all.push(Wish::FetchStorm(dialog));
        all.push(Wish::SubmitStorm(dialog, None));
        all.extend(STORM_VERBS.map(|verb| Wish::SubmitStorm(dialog, Some(verb))));
    }
    all.extend([Wish::FetchForm, Wish::SubmitForm, Wish::SignIn, Wish::OtherInvoke, Wish::OtherActivity]);
    all.extend([cards::trigger::dataset::SERVICES, cards::trigger::dataset::USERS, "others"].map(Wish::Search));
    for command in COMMANDS {
        all.extend([true, false].map(|privately| Wish::Say { command, privately }));
    }
    all.extend(EVENTS.iter().map(|event| Wish::Event(event)));
    all.extend(["add", "add-upgrade", "remove", "remove-upgrade"].map(Wish::Installation));
    for added in [true, false] {
        all.extend([true, false].map(|bot| Wish::Members { added, bot }));
    }
    all
}

const STORM_DIALOGS: [StormDialog; 3] =
    [StormDialog::List, StormDialog::AcknowledgeMine, StormDialog::AcknowledgeShown];
const STORM_VERBS: [StormVerb; 6] =
    [StormVerb::Show, StormVerb::Next, StormVerb::First, StormVerb::Card, StormVerb::Ask, StormVerb::Acknowledge];

/// Every route: of the API by its own document, of the rest by the list above.
fn routes() -> Vec<Wish> {
    let document = serde_json::to_value(admin_api::open_api()).unwrap();
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let query = parameters.iter().filter(|parameter| parameter["in"] == "query");
            let schema = operation.pointer("/requestBody/content/application~1json/schema/$ref");
            routes.push(Wish::Route {
                method: method.to_uppercase(),
                path: format!("{}{path}", admin_api::API),
                query: query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect(),
                body: schema.map(|schema| schema.as_str().unwrap().rsplit('/').next().unwrap().to_owned()),
            });
        }
    }
    routes.extend(PAGES.iter().map(|(method, path, query)| Wish::Route {
        method: (*method).to_owned(),
        path: (*path).to_owned(),
        query: query.iter().map(|name| (*name).to_owned()).collect(),
        body: None,
    }));
    routes
}

/// The name of what an activity asks for. No arm for the rest: what is new has to be added here and to the list.
pub(super) fn kind(inbound: &Inbound) -> &'static str {
    match inbound {
        Inbound::Click(_) => "click",
        Inbound::TaskFetch { .. } => "task fetch",
        Inbound::TaskSubmit { .. } => "task submit",
        Inbound::Search { .. } => "search",
        Inbound::Message { value: Some(_), .. } => "submitted message",
        Inbound::Message { value: None, .. } => "message",
        Inbound::Installed => "installed",
        Inbound::Uninstalled => "uninstalled",
        Inbound::MembersAdded { .. } => "members added",
        Inbound::ConversationUpdate { .. } => "conversation update",
        Inbound::SignIn { .. } => "sign-in",
        Inbound::OtherInvoke { .. } => "other invoke",
        Inbound::Other => "other",
    }
}

/// How many names [`kind`] has.
pub(super) const KINDS: usize = 13;

/// The same for enumerations that have no list of their own.
fn is_known(dialog: StormDialog, verb: StormVerb) -> bool {
    let dialog = match dialog {
        StormDialog::List | StormDialog::AcknowledgeMine | StormDialog::AcknowledgeShown => {
            STORM_DIALOGS.contains(&dialog)
        }
    };
    let verb = match verb {
        StormVerb::Show
        | StormVerb::Next
        | StormVerb::First
        | StormVerb::Card
        | StormVerb::Ask
        | StormVerb::Acknowledge => STORM_VERBS.contains(&verb),
    };
    dialog && verb
}

/// Whether it is Teams that tells of a team, and no person who wants something.
pub(super) fn is_told_by_teams(wish: &Wish) -> bool {
    matches!(wish, Wish::Event(_) | Wish::Installation(_) | Wish::Members { .. } | Wish::OtherActivity)
}

/// Whether the person types an id that only PagerDuty can judge: it is asked as this person, and says no.
pub(super) fn asks_pagerduty(wish: &Wish) -> bool {
    match wish {
        Wish::Say { command, .. } => match command.name {
            CommandName::Connect | CommandName::OnCall => true,
            CommandName::Help
            | CommandName::Open
            | CommandName::LinkUser
            | CommandName::UnlinkUser
            | CommandName::Trigger
            | CommandName::Incidents
            | CommandName::Connections
            | CommandName::Disconnect
            | CommandName::Authorize
            | CommandName::Configure => false,
        },
        Wish::FetchForm | Wish::SubmitForm | Wish::Search(_) => true,
        Wish::Route { path, body, .. } => {
            path.ends_with("/services") || path.ends_with("/oauth/callback") || body.as_deref() == Some("NewConnection")
        }
        _ => false,
    }
}

/// What is typed behind a command.
pub(super) fn argument(name: CommandName, dice: &mut Dice, own: &Place, theirs: &Place) -> String {
    match name {
        CommandName::Connect | CommandName::Disconnect => {
            let host = *dice.pick(&["https://acme.pagerduty.com", "https://pother.pagerduty.com", "HOST"]);
            format!("{host}/service-directory/{}", theirs.service)
        }
        CommandName::Authorize => {
            dice.pick(&[theirs.key.clone(), theirs.team.clone(), "012345-6789AB-CDEFGH-JKMNPQ".to_owned()]).clone()
        }
        CommandName::OnCall => dice.pick(&[theirs.service.clone(), theirs.incident.clone()]).clone(),
        CommandName::Trigger => theirs.incident.clone(),
        CommandName::Incidents => dice.pick(&["mine", theirs.service.as_str(), own.service.as_str()]).to_string(),
        CommandName::Help
        | CommandName::Open
        | CommandName::LinkUser
        | CommandName::UnlinkUser
        | CommandName::Connections
        | CommandName::Configure => dice
            .pick(&[theirs.account.clone(), theirs.team.clone(), theirs.person.clone(), theirs.incident.clone()])
            .clone(),
    }
}

/// The value for a named part of a route: of a path, a query or a form.
pub(super) fn part(name: &str, dice: &mut Dice, own: &Place, theirs: &Place) -> String {
    match name {
        "team" => theirs.team.clone(),
        "service" => theirs.service.clone(),
        "channel" => theirs.channel.clone(),
        "incident" => dice.pick(&[&theirs.incident, &theirs.service]).to_string(),
        "query" => theirs.service.clone(),
        "offset" => dice.pick(&["0", "25", "4294967295", "-1", "x"]).to_string(),
        "day" => dice.pick(&["2026-11-23", "2026-11-24", "x", ""]).to_string(),
        "outcome" => dice.pick(&["posted", "queued"]).to_string(),
        "cursor" | "before" => {
            let places = [
                format!("INCIDENT#{}#{}", theirs.account, theirs.incident),
                "z".repeat(2000),
                String::new(),
                "é".to_owned(),
            ];
            dice.pick(&places).clone()
        }
        "ticket" => dice.pick(&[&theirs.wanted, &theirs.key, &theirs.team]).to_string(),
        "for" => dice.pick(&["admin", "user"]).to_string(),
        "state" | "code" | "error" => dice.pick(&[&theirs.wanted, &own.wanted]).to_string(),
        "file" => dice.pick(&[&theirs.incident, &"..%2f..%2fetc".to_owned()]).to_string(),
        other => panic!("no foreign value for {other}"),
    }
}

/// A body of the API, by the name of its schema.
pub(super) fn body(schema: &str, dice: &mut Dice, own: &Place, theirs: &Place) -> Value {
    match schema {
        "NewConnection" => json!({ "service": theirs.service, "channel": dice.pick(&[&theirs.channel, &own.channel]) }),
        "ChangedConnection" => json!({ "zone": "Europe/Berlin", "mentions": "assignees" }),
        "Disconnect" => json!({ "confirm": "disconnect" }),
        "Replay" => match dice.below(3) {
            0 => json!({ "incident": theirs.incident, "channel": own.channel }),
            1 => json!({ "incident": own.incident, "channel": theirs.channel }),
            _ => json!({ "incident": theirs.incident, "channel": theirs.channel }),
        },
        other => panic!("no foreign body for {other}"),
    }
}

/// What a button or a dialog carries: whatever any of ours has, with ids of theirs.
pub(super) fn data(dice: &mut Dice, own: &Place, theirs: &Place) -> Value {
    // Never both of the caller's own: that would be allowed.
    let (account, incident) = *dice.pick(&[
        (&theirs.account, &theirs.incident),
        (&own.account, &theirs.incident),
        (&theirs.account, &own.incident),
    ]);
    json!({
        "v": 1, "account": account, "incident": incident, "from": dice.below(3),
        "team": theirs.team, "wanted": theirs.wanted, "note": "was here", "form": format!("form-{}", dice.below(1000)),
        "service": theirs.service, "title": "made up", "assignee": theirs.pagerduty_user, "priority": theirs.incident,
    })
}

pub(super) fn storm_data(
    dialog: StormDialog,
    verb: Option<StormVerb>,
    dice: &mut Dice,
    own: &Place,
    theirs: &Place,
) -> Value {
    let account = *dice.pick(&[&theirs.account, &own.account]);
    // In a storm of one's own, only what is theirs is asked for.
    let storm = if account == &own.account { *dice.pick(&[&theirs.storm, &own.storm]) } else { &theirs.storm };
    let after = [
        Value::Null,
        json!(format!("ROW#{:020}#{}", 7, theirs.incident)),
        json!(format!("INCIDENT#{}#{}", theirs.account, theirs.incident)),
        json!("z".repeat(2000)),
    ];
    json!({
        "v": 1, "account": account, "storm": storm, "dialog": dialog, "verb": verb, "from": dice.below(30),
        "after": dice.pick(&after), "filter": { "service": theirs.service, "status": "all" },
        "stormService": theirs.service, "stormStatus": "all", "stormPick": theirs.incident,
    })
}

#[test]
fn the_list_has_every_route_of_the_template() {
    let template = include_str!("../../../../../template.yaml");
    let keys: Vec<&str> = template.lines().filter_map(|line| line.trim().strip_prefix("RouteKey: ")).collect();
    assert!(keys.len() >= 8, "{keys:?}");
    let known: Vec<String> = routes()
        .into_iter()
        .filter_map(|wish| match wish {
            Wish::Route { method, path, .. } => Some(format!("{method} {path}")),
            _ => None,
        })
        .chain([BOT.to_owned()])
        .collect();
    for key in keys {
        let (method, path) = key.split_once(' ').unwrap();
        let is_meant = |known: &String| match path.strip_suffix("{proxy+}") {
            Some(folder) => known.contains(folder),
            None => known == key,
        };
        assert!(known.iter().any(is_meant), "{method} {path} is not on the list");
    }
}

#[test]
fn the_list_has_every_dialog_and_button_of_a_storm() {
    for dialog in STORM_DIALOGS {
        for verb in STORM_VERBS {
            assert!(is_known(dialog, verb));
        }
    }
    let submitted = all().into_iter().filter(|wish| matches!(wish, Wish::SubmitStorm(..))).count();
    assert_eq!(submitted, STORM_DIALOGS.len() * (STORM_VERBS.len() + 1));
}
