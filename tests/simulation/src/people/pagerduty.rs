//! What monitoring tools do, and people on PagerDuty's own pages.

use std::time::Duration;

use serde_json::{Value, json};
use simulators::pagerduty::{NewAlert, Severity};
use tokio::time::sleep;

use super::{Changed, Did, Done, People, chosen};
use crate::script::{Change, Source, case_of, title};

const TITLES: [&str; 6] =
    ["Disk is full", "Latency is high", "Queue is stuck", "5xx rate above 2 %", "Certificate expires", "No heartbeat"];
/// Between two incidents of a burst.
const BURST_PAUSE: Duration = Duration::from_millis(170);
const RESOLVED: &str = "it is resolved";

impl People<'_> {
    pub(super) fn trigger(&self, case: usize, service: usize, low: bool, source: &Source) -> Done {
        let service = self.service(service)?;
        let (title, urgency) =
            (title(TITLES.get(case % TITLES.len()).copied().unwrap_or_default(), case), urgency(low));
        let pagerduty = self.pagerduty;
        let (by, incident) = match source {
            Source::Tool => (None, pagerduty.trigger(service, &title, urgency)),
            Source::ToolWithPage => {
                let page = format!("https://monitoring.example.com/alerts/{case}");
                (None, pagerduty.trigger_with_client(service, &title, urgency, "Watchtower", &page))
            }
            Source::ToolWithDetails => (None, pagerduty.trigger_with_alert(service, &title, urgency, alert(case))),
            Source::ToolWithPriority(number) => {
                let (_, priority) = chosen(&self.town.priorities, *number).ok_or("there are no priorities")?;
                (None, pagerduty.trigger_with_priority(service, &title, urgency, priority))
            }
            Source::Orchestration => (None, pagerduty.trigger_by_orchestration(service, &title, urgency)),
            Source::Person(person) => {
                let user = self.responder(*person)?.to_owned();
                let incident = pagerduty.trigger_by_user(service, &title, urgency, &user);
                (Some(user), incident)
            }
        };
        Ok(Did::Opened { by, service: service.clone(), incidents: vec![incident] })
    }

    pub(super) async fn burst(&self, case: usize, count: usize, service: usize) -> Done {
        let service = self.service(service)?;
        let mut incidents = Vec::new();
        for case in case..case + count {
            let (title, urgency) = (title("Host is down", case), urgency(case.is_multiple_of(4)));
            incidents.push(self.pagerduty.trigger(service, &title, urgency));
            sleep(BURST_PAUSE).await;
        }
        Ok(Did::Opened { by: None, service: service.clone(), incidents })
    }

    pub(super) fn alert(&self, case: usize) -> Done {
        let incident = self.open_incident(case)?;
        self.pagerduty.add_alert(&incident, alert(case));
        Ok(Did::Alerted { incident })
    }

    pub(super) fn recover(&self, case: usize) -> Done {
        let incident = self.open_incident(case)?;
        self.pagerduty.resolve_by_integration(&incident);
        Ok(Did::Changed { by: None, incident, what: Changed::Recovered })
    }

    pub(super) fn unacknowledge(&self, case: usize) -> Done {
        let incident = self.incident(case)?;
        if self.known(&incident).status != "acknowledged" {
            return Err("it is not acknowledged");
        }
        self.pagerduty.unacknowledge(&incident);
        Ok(Did::Changed { by: None, incident, what: Changed::Unacknowledged })
    }

    pub(super) fn escalate(&self, case: usize, to: usize) -> Done {
        let (incident, to) = (self.incident(case)?, self.responder(to)?.to_owned());
        if self.known(&incident).status != "triggered" {
            return Err("only what nobody has taken escalates");
        }
        self.pagerduty.escalate(&incident, &to);
        Ok(Did::Changed { by: None, incident, what: Changed::Escalated { to } })
    }

    /// Whoever may not act there is somebody else who may.
    pub(super) fn change(&self, person: usize, case: usize, change: &Change) -> Done {
        let (pagerduty, user) = (self.pagerduty, self.responder(person)?.to_owned());
        let incident = self.incident(case)?;
        let known = self.known(&incident);
        let is_open = known.status != "resolved";
        let open = || if is_open { Ok(()) } else { Err(RESOLVED) };
        let mut text = None;
        match change {
            Change::Acknowledge => {
                open()?;
                pagerduty.acknowledge(&incident, &user);
            }
            Change::Resolve => {
                open()?;
                pagerduty.resolve(&incident, &user);
            }
            Change::ResolveWithNote => {
                open()?;
                let note = format!("Restarted it ({})", known.notes);
                pagerduty.resolve_with_note(&incident, &user, &note);
                text = Some(format!("Resolution Note: {note}"));
            }
            Change::Reopen if is_open => return Err("it is open"),
            Change::Reopen => pagerduty.reopen(&incident, &user),
            Change::Note => {
                let note = format!("Looking into it ({})", known.notes);
                pagerduty.add_note(&incident, &user, &note);
                text = Some(note);
            }
            Change::Reassign { to } => {
                open()?;
                pagerduty.reassign(&incident, &user, self.responder(*to)?);
            }
            Change::Merge { into } => {
                let target = self.open_incident(*into)?;
                open()?;
                if target == incident {
                    return Err("it is the same incident");
                }
                pagerduty.merge(&incident, &target, &user);
            }
            Change::Move { service } => {
                let service = self.service(*service)?;
                open()?;
                if *service == known.service {
                    return Err("it is there already");
                }
                pagerduty.move_to_service(&incident, &user, service);
            }
            Change::Priority(priority) => {
                let priority = match priority {
                    Some(number) => Some(chosen(&self.town.priorities, *number).ok_or("there are no priorities")?.1),
                    None => None,
                };
                pagerduty.set_priority(&incident, &user, priority.map(String::as_str));
            }
            Change::Urgency { low } => {
                open()?;
                pagerduty.set_urgency(&incident, &user, urgency(*low));
            }
            Change::Title => {
                let worse = format!("Still worse: {}", known.title.chars().take(60).collect::<String>());
                let worse =
                    case_of(&known.title).map_or(worse.clone(), |case| title(worse.trim_end_matches(')'), case));
                pagerduty.set_title(&incident, &user, &worse);
                text = Some(worse);
            }
            Change::StatusUpdate => {
                open()?;
                let update = format!("We are working on it ({})", known.log);
                pagerduty.publish_status_update(&incident, &user, &update);
                text = Some(update);
            }
            Change::AskResponder { whom } => {
                open()?;
                pagerduty.ask_responder(&incident, &user, self.responder(*whom)?, "Please help");
            }
            Change::AnswerRequest { accepts } => {
                if !known.asked.contains(&user) {
                    return Err("nobody has asked them");
                }
                pagerduty.answer_request(&incident, &user, *accepts, "");
            }
            Change::Conference => {
                open()?;
                pagerduty.set_conference(
                    &incident,
                    &user,
                    Some("+1 555 0100"),
                    Some("https://meet.example.com/war-room"),
                );
            }
        }
        Ok(Did::Changed { by: Some(user), incident, what: Changed::So { change: change.clone(), text } })
    }

    /// The incident of this case, or any.
    pub(super) fn incident(&self, case: usize) -> Done<String> {
        let titles = self.pagerduty.titles();
        let of_case = titles.iter().rev().find(|(_, title)| case_of(title) == Some(case));
        let found = of_case.or_else(|| chosen(&titles, case).map(|(_, found)| found));
        found.map(|(id, _)| id.clone()).ok_or("there is no incident yet")
    }

    fn open_incident(&self, case: usize) -> Done<String> {
        let incident = self.incident(case)?;
        if self.known(&incident).status == "resolved" { Err(RESOLVED) } else { Ok(incident) }
    }

    /// One of those who may act on incidents.
    fn responder(&self, number: usize) -> Done<&str> {
        let may_act: Vec<&str> = self
            .town
            .people
            .iter()
            .filter(|person| person.may_act)
            .filter_map(|one| one.pagerduty.as_deref())
            .collect();
        chosen(&may_act, number).map(|(_, user)| *user).ok_or("nobody may act")
    }

    fn known(&self, incident: &str) -> Known {
        let whole = self.pagerduty.incident(incident).unwrap_or_default();
        let text = |pointer: &str| whole.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let list = |key: &str| whole.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let pending = list("incidents_responders").iter().filter(|one| one.get("state") == Some(&json!("pending")));
        let user = |one: &Value| one.pointer("/user/id").and_then(Value::as_str).map(str::to_owned);
        Known {
            status: text("/status"),
            title: text("/title"),
            service: text("/service/id"),
            notes: list("notes").len(),
            log: list("log").len(),
            asked: pending.filter_map(user).collect(),
        }
    }
}

/// What somebody sees of an incident on its page.
struct Known {
    status: String,
    title: String,
    service: String,
    notes: usize,
    log: usize,
    /// Who was asked to help and has not answered.
    asked: Vec<String>,
}

fn urgency(low: bool) -> &'static str {
    if low { "low" } else { "high" }
}

fn alert(case: usize) -> NewAlert {
    let host = format!("web-{case}.example.com");
    NewAlert {
        summary: Some(format!("{host} does not answer")),
        severity: Some(if case.is_multiple_of(2) { Severity::Error } else { Severity::Critical }),
        contexts: vec![
            json!({ "type": "link", "href": format!("https://graphs.example.com/{host}"), "text": "Graph" }),
        ],
        details: json!({ "host": host, "load": case, "checks": ["http", "ping"] }),
        ..NewAlert::default()
    }
}
