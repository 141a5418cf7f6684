//! What PagerDuty knows around an incident, one call for each part.
//!
//! Some parts belong to plans that few accounts have: PagerDuty then answers 402, or 404 for what this person must not see. Alerts,
//! notes and changes say what anybody outside has put there, so that all of it is bounded here.

use std::collections::HashMap;

use domain::context::{
    Activity, ActivityKind, Alert, AlertPage, Category, Change, Neighbour, Outlier, Reason, Relation, Reply, Responder,
    Several, Written,
};
use domain::ids::IncidentId;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::Value;

use super::details::of_alert;
use super::{Api, ApiError, Auth, model};
use crate::wire::{self, MAX_TEXT, as_words, bounded, is_whole, items, label, name, text, time};

const MAX_NAME: usize = 100;
const MAX_TITLE: usize = 300;

/// How many entries of each part are kept.
const MOST_ACTIVITY: usize = 100;
const MOST_NOTES: usize = 20;
const MOST_RESPONDERS: usize = 30;
const MOST_NEIGHBOURS: usize = 20;
const MOST_CHANGES: usize = 20;
const MOST_IMPACTS: usize = 30;

/// How many names an entry of the log keeps.
const MOST_NAMES: usize = 10;

impl Api {
    /// A page of 1 to 100 alerts, the oldest first.
    pub async fn alerts(&self, auth: Auth<'_>, id: &IncidentId, from: u32, limit: u32) -> Result<AlertPage, ApiError> {
        let limit = limit.clamp(1, model::PAGE);
        let (size, start) = (limit.to_string(), from.to_string());
        let pairs = [("limit", size.as_str()), ("offset", start.as_str()), ("sort_by", "created_at:asc")];
        let answer = self.around(auth, id, &["alerts"], &pairs).await?;
        let read = |value: &Value| {
            value.is_object().then(|| Alert {
                said: of_alert(value),
                is_resolved: text(value, "status") == Some("resolved"),
                created_at: time(value, "created_at"),
            })
        };
        Ok(AlertPage { alerts: whole(&answer, "alerts", read)?, from, next: model::next(&answer, from, limit) })
    }

    /// What happened, the newest first, without what only says who was told how.
    pub async fn activity(&self, auth: Auth<'_>, id: &IncidentId) -> Result<Several<Activity>, ApiError> {
        let pairs = [("limit", "100"), ("is_overview", "true")];
        let answer = self.around(auth, id, &["log_entries"], &pairs).await?;
        let mut entries = whole(&answer, "log_entries", activity)?;
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
        Ok(Several { at_least: answer.get("more") == Some(&Value::Bool(true)), ..first(entries, MOST_ACTIVITY) })
    }

    /// The notes, the newest first.
    pub async fn notes(&self, auth: Auth<'_>, id: &IncidentId) -> Result<Several<Written>, ApiError> {
        let answer = self.around(auth, id, &["notes"], &[]).await?;
        let read = |value: &Value| {
            let content = bounded(text(value, "content")?.trim(), MAX_TEXT);
            Some(Written { at: time(value, "created_at"), by: value.get("user").and_then(label), content })
        };
        let mut notes = whole(&answer, "notes", read)?;
        notes.sort_by_key(|note| std::cmp::Reverse(note.at));
        Ok(first(notes, MOST_NOTES))
    }

    /// Who was asked to help. It stands in the incident itself, so that its refusal means the whole incident.
    pub async fn responders(&self, auth: Auth<'_>, id: &IncidentId) -> Result<Several<Responder>, ApiError> {
        let answer = self.around(auth, id, &[], &[]).await?;
        let incident = answer.get("incident").ok_or(ApiError::Unreadable { what: "incident" })?;
        Ok(first(responders(incident), MOST_RESPONDERS))
    }

    /// Earlier incidents of the same service that resemble this one.
    pub async fn past_incidents(&self, auth: Auth<'_>, id: &IncidentId) -> Result<Several<Neighbour>, ApiError> {
        let answer = self.around(auth, id, &["past_incidents"], &[("limit", "20"), ("total", "true")]).await?;
        let found = first(whole(&answer, "past_incidents", neighbour)?, MOST_NEIGHBOURS);
        let total = answer.get("total").and_then(Value::as_u64).unwrap_or_default();
        let kept = u64::try_from(found.items.len()).unwrap_or(u64::MAX);
        Ok(Several { more: found.more.max(total.saturating_sub(kept)), ..found })
    }

    /// Incidents of other services that belong to this one, by PagerDuty's own reasoning.
    pub async fn related_incidents(&self, auth: Auth<'_>, id: &IncidentId) -> Result<Several<Neighbour>, ApiError> {
        let pairs = [("additional_details[]", "incident")];
        let answer = self.around(auth, id, &["related_incidents"], &pairs).await?;
        Ok(first(whole(&answer, "related_incidents", neighbour)?, MOST_NEIGHBOURS))
    }

    /// What was changed before it began.
    pub async fn related_changes(&self, auth: Auth<'_>, id: &IncidentId) -> Result<Several<Change>, ApiError> {
        let answer = self.around(auth, id, &["related_change_events"], &[]).await?;
        Ok(first(whole(&answer, "change_events", change)?, MOST_CHANGES))
    }

    /// How usual such an incident is. PagerDuty may leave all of it out.
    pub async fn outlier(&self, auth: Auth<'_>, id: &IncidentId) -> Result<Outlier, ApiError> {
        let answer = self.around(auth, id, &["outlier_incident"], &[]).await?;
        let outlier = answer.get("outlier_incident").ok_or(ApiError::Unreadable { what: "outlier" })?;
        let of_incident = outlier.get("incident").and_then(|incident| incident.get("occurrence"));
        Ok(of_incident.or_else(|| outlier.get("occurrence")).map(occurrence).unwrap_or_default())
    }

    /// The business services that it impacts.
    pub async fn impacts(&self, auth: Auth<'_>, id: &IncidentId) -> Result<Several<String>, ApiError> {
        let answer = self.around(auth, id, &["business_services", "impacts"], &[]).await?;
        let read = |value: &Value| (text(value, "status") != Some("not_impacted")).then(|| name(value)).flatten();
        let at_least = text(&answer, "next_cursor").is_some();
        Ok(Several { at_least, ..first(whole(&answer, "services", read)?, MOST_IMPACTS) })
    }

    /// The incident itself, or one part of what is around it.
    pub(super) async fn around(
        &self,
        auth: Auth<'_>,
        id: &IncidentId,
        part: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, ApiError> {
        let path: Vec<&str> = ["incidents", id.as_str()].into_iter().chain(part.iter().copied()).collect();
        self.call(Method::GET, &path, query, auth, None).await
    }
}

fn whole<T>(answer: &Value, key: &'static str, read: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>, ApiError> {
    super::directory::list(answer, key, read)
}

fn first<T>(mut items: Vec<T>, most: usize) -> Several<T> {
    let more = u64::try_from(items.len().saturating_sub(most)).unwrap_or(u64::MAX);
    items.truncate(most);
    Several { items, more, at_least: false }
}

fn activity(value: &Value) -> Option<Activity> {
    let kind = text(value, "type")?.trim_end_matches("_reference");
    let kind = kind.strip_suffix("_log_entry").unwrap_or(kind);
    let users = ["assignees", "assigned_users"].iter().flat_map(|key| items(value, key));
    let to = users.chain(value.get("user")).filter_map(name).take(MOST_NAMES).collect();
    Some(Activity {
        at: time(value, "created_at"),
        by: value.get("agent").and_then(label),
        to,
        kind: match kind {
            "trigger" => ActivityKind::Triggered,
            // PagerDuty's own documents spell it in both ways.
            "acknowledge" | "acknowledgement" => ActivityKind::Acknowledged,
            "unacknowledge" => ActivityKind::Unacknowledged,
            "resolve" => ActivityKind::Resolved,
            "assign" => ActivityKind::Assigned,
            "delegate" => ActivityKind::Delegated,
            "escalate" => ActivityKind::Escalated,
            "exhaust_escalation_path" => ActivityKind::Exhausted,
            "repeat_escalation_path" => ActivityKind::Repeated,
            "annotate" => ActivityKind::Noted,
            "notify" => ActivityKind::Notified,
            "snooze" => ActivityKind::Snoozed,
            "reach_ack_limit" => ActivityKind::AckLimit,
            "reach_trigger_limit" => ActivityKind::TriggerLimit,
            "urgency_change" => ActivityKind::UrgencyChanged,
            "field_value_change" | "custom_field_value_change" => ActivityKind::FieldChanged,
            other => ActivityKind::Other(as_words(other)),
        },
    })
}

/// Everybody once. PagerDuty's examples wrap a target and name its list otherwise than its schema; a policy that was asked has
/// nobody in it until somebody is paged.
fn responders(incident: &Value) -> Vec<Responder> {
    let mut found = Known::default();
    for request in items(incident, "responder_requests") {
        for target in items(request, "responder_request_targets") {
            let target = target.get("responder_request_target").unwrap_or(target);
            let people = ["incidents_responders", "incident_responders"].map(|key| items(target, key)).concat();
            people.iter().for_each(|responder| found.add(responder.get("user"), responder, request));
            if people.is_empty() && label(target).is_some() {
                found.add(Some(target), target, request);
            }
        }
    }
    items(incident, "incidents_responders").iter().for_each(|one| found.add(one.get("user"), one, &Value::Null));
    found.people.into_iter().map(|(responder, _)| responder).collect()
}

#[derive(Default)]
struct Known {
    people: Vec<(Responder, Option<Timestamp>)>,
    place: HashMap<String, usize>,
}

impl Known {
    /// The newest that is said of somebody counts.
    fn add(&mut self, who: Option<&Value>, said: &Value, request: &Value) {
        let Some((who, name)) = who.and_then(|who| Some((who, name(who)?))) else { return };
        let of = |key: &str| said.get(key).or_else(|| request.get(key));
        let message = text(said, "message").or_else(|| text(request, "message"));
        let responder = Responder {
            name,
            reply: text(said, "state").map_or(Reply::Pending, reply),
            asked_by: of("requester").and_then(label),
            message: message.map(|message| bounded(message.trim(), MAX_TEXT)),
        };
        let at = time(said, "updated_at");
        let id = text(who, "id").unwrap_or(&responder.name).to_owned();
        match self.place.get(&id).and_then(|place| self.people.get_mut(*place)) {
            Some(known) if known.1 <= at => *known = (responder, at),
            Some(_) => {}
            None => {
                self.place.insert(id, self.people.len());
                self.people.push((responder, at));
            }
        }
    }
}

/// REST's words and those of webhooks differ.
fn reply(state: &str) -> Reply {
    match state {
        "pending" => Reply::Pending,
        "joined" | "accepted" => Reply::Accepted,
        "declined" => Reply::Declined,
        "user_cancelled" | "cancelled" => Reply::Cancelled,
        other => Reply::Other(as_words(other)),
    }
}

fn neighbour(value: &Value) -> Option<Neighbour> {
    let incident = value.get("incident").unwrap_or(value);
    let title = text(incident, "title").or_else(|| text(incident, "summary")).unwrap_or_default();
    let relations = items(value, "relationships").iter().filter_map(|relation| text(relation, "type"));
    let why = relations.map(|kind| match kind {
        "machine_learning_inferred" => Relation::Alike,
        "service_dependency" => Relation::Dependency,
        other => Relation::Other(as_words(other)),
    });
    Some(Neighbour {
        id: IncidentId::new(text(incident, "id")?).ok()?,
        number: wire::number(incident),
        title: bounded(title.trim(), MAX_TITLE),
        status: wire::status(incident),
        service: incident.get("service").and_then(label),
        created_at: time(incident, "created_at"),
        html_url: wire::link(incident).map(str::to_owned),
        why: why.take(MOST_NAMES).collect(),
    })
}

fn change(value: &Value) -> Option<Change> {
    let links = items(value, "links").iter().filter_map(|link| text(link, "href"));
    let url = links.filter(is_whole).map(str::to_owned).next();
    let why = value.get("correlation_reason").and_then(|why| text(why, "reason"));
    Some(Change {
        summary: bounded(text(value, "summary")?.trim(), MAX_TITLE),
        at: time(value, "timestamp").or_else(|| time(value, "created_at")),
        source: text(value, "source").map(|source| bounded(source.trim(), MAX_NAME)),
        url,
        why: why.map(|why| match why {
            "most_recent" => Reason::MostRecent,
            "related_service" => Reason::RelatedService,
            "intelligent" => Reason::Intelligent,
            other => Reason::Other(as_words(other)),
        }),
    })
}

fn occurrence(value: &Value) -> Outlier {
    let category = text(value, "category").map(|category| match category {
        "rare" => Category::Rare,
        "frequent" => Category::Frequent,
        "anomaly" => Category::Anomaly,
        other => Category::Other(as_words(other)),
    });
    let share = value.get("frequency").and_then(Value::as_f64).filter(|share| (0.0..=1.0).contains(share));
    Outlier {
        category,
        count: value.get("count").and_then(Value::as_u64),
        per_mille: share.map(|share| (share * 1000.0).round() as u64),
        since: time(value, "since"),
        until: time(value, "until"),
    }
}

#[cfg(test)]
mod tests {
    use domain::incident::Status;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_happened_is_read_by_its_type() {
        let entry = json!({ "type": "escalate_log_entry", "created_at": "2026-11-23T09:00:00Z", "agent": { "summary": "Night shift" },
            "assignees": [{ "id": "P1", "summary": "Mira" }, { "id": "P2" }, 7] });
        let expected = Activity {
            at: "2026-11-23T09:00:00Z".parse().ok(),
            by: Some("Night shift".to_owned()),
            kind: ActivityKind::Escalated,
            to: vec!["Mira".to_owned(), "P2".to_owned()],
        };
        assert_eq!(activity(&entry), Some(expected));
        for (kind, expected) in [
            ("acknowledgement_log_entry", ActivityKind::Acknowledged),
            ("acknowledge_log_entry", ActivityKind::Acknowledged),
            ("exhaust_escalation_path_log_entry", ActivityKind::Exhausted),
            ("custom_field_value_change_log_entry", ActivityKind::FieldChanged),
            ("teleport_all_log_entry", ActivityKind::Other("teleport all".to_owned())),
            ("trigger_log_entry_reference", ActivityKind::Triggered),
        ] {
            assert_eq!(
                activity(&json!({ "type": kind, "agent": 3 })).map(|entry| entry.kind),
                Some(expected),
                "{kind}"
            );
        }
        assert_eq!(activity(&json!({ "summary": "?" })), None);
    }

    #[test]
    fn those_who_were_asked_are_read_in_both_shapes_and_once() {
        let asked = |user: &str, state: &str, at: &str| {
            json!({ "state": state, "user": { "id": user, "type": "user_reference", "summary": format!("Name of {user}") },
                "message": "Come, please", "requester": { "summary": "Mira" }, "updated_at": at })
        };
        let incident = json!({
            "incidents_responders": [asked("P1", "joined", "2026-11-23T09:05:00Z"), asked("P9", "dozing_off", "2026-11-23T09:05:00Z")],
            "responder_requests": [
                { "message": "Bring a torch", "requester": { "summary": "Tomás" }, "responder_request_targets": [
                    { "responder_request_target": { "type": "user", "id": "P1", "incidents_responders": [asked("P1", "pending", "2026-11-23T09:00:00Z")] } },
                    { "type": "user", "id": "P2", "incident_responders": [{ "state": "declined", "user": { "id": "P2", "summary": "Two" } }] },
                    { "type": "escalation_policy", "id": "PP", "summary": "Stage crew" },
                    { "type": "user", "id": "P3" },
                    "odd",
                ]},
                "odd",
            ],
        });
        let one = |name: &str, reply, by: &str, message: &str| Responder {
            name: name.to_owned(),
            reply,
            asked_by: Some(by.to_owned()),
            message: Some(message.to_owned()),
        };
        let expected = [
            one("Name of P1", Reply::Accepted, "Mira", "Come, please"),
            one("Two", Reply::Declined, "Tomás", "Bring a torch"),
            one("Stage crew", Reply::Pending, "Tomás", "Bring a torch"),
            one("Name of P9", Reply::Other("dozing off".to_owned()), "Mira", "Come, please"),
        ];
        assert_eq!(responders(&incident), expected);
        assert_eq!(responders(&json!({ "responder_requests": {}, "incidents_responders": null })), []);
    }

    #[test]
    fn neighbours_need_no_more_than_an_id() {
        let bare = neighbour(&json!({ "incident": { "id": "Q1" } })).unwrap();
        assert_eq!((bare.title.as_str(), bare.number, bare.html_url, bare.why), ("", None, None, Vec::new()));
        let whole = json!({
            "incident": { "id": "Q2", "incident_number": 7, "title": " Dark ", "status": "resolved", "created_at": "2026-11-23T09:00:00Z",
                "service": { "id": "S1", "summary": "Stage" }, "html_url": "https://acme.pagerduty.com/incidents/Q2" },
            "relationships": [{ "type": "machine_learning_inferred" }, { "type": "service_dependency" }, { "type": "same_moon" }, {}],
        });
        let read = neighbour(&whole).unwrap();
        assert_eq!((read.number, read.title.as_str(), read.status), (Some(7), "Dark", Some(Status::Resolved)));
        assert_eq!(read.why, [Relation::Alike, Relation::Dependency, Relation::Other("same moon".to_owned())]);
        assert_eq!(read.service.as_deref(), Some("Stage"));
        for odd in [json!({ "incident": { "id": "a#b" } }), json!({ "incident": {} }), json!("Q1")] {
            assert_eq!(neighbour(&odd), None, "{odd}");
        }
    }

    #[test]
    fn a_change_leads_to_the_first_page_that_is_whole() {
        let long = "x".repeat(501);
        let read = change(&json!({ "summary": "Deploy 7", "timestamp": "2026-11-23T08:59:00Z", "source": "ci",
            "links": [{ "text": "no address" }, { "href": long }, { "href": "https://ci.example/7" }], "correlation_reason": { "reason": "most_recent" } }));
        let read = read.unwrap();
        assert_eq!((read.url.as_deref(), read.why), (Some("https://ci.example/7"), Some(Reason::MostRecent)));
        assert_eq!(change(&json!({ "timestamp": "2026-11-23T08:59:00Z" })), None, "nobody could read it");
    }

    #[test]
    fn an_occurrence_is_read_as_far_as_it_is_there() {
        let read = occurrence(
            &json!({ "count": 10, "frequency": 0.0414, "category": "rare", "since": "2026-09-23T00:00:00Z" }),
        );
        assert_eq!((read.category, read.count, read.per_mille), (Some(Category::Rare), Some(10), Some(41)));
        assert!(read.since.is_some() && read.until.is_none());
        assert_eq!(occurrence(&json!({ "count": -1, "frequency": 17, "category": 3 })), Outlier::default());
        assert_eq!(occurrence(&json!([])), Outlier::default());
    }

    #[test]
    fn large_texts_and_lists_are_cut() {
        let long = "y".repeat(100_000);
        let entry = activity(
            &json!({ "type": long, "agent": { "summary": long }, "assignees": vec![json!({ "summary": long }); 500] }),
        );
        let entry = entry.unwrap();
        assert_eq!((entry.to.len(), entry.by.unwrap().chars().count()), (10, 200));
        assert_eq!(entry.kind, ActivityKind::Other(format!("{}…", "y".repeat(99))));
        let cut = first((0..50).collect(), 20);
        assert_eq!((cut.items.len(), cut.more), (20, 30));
    }
}
