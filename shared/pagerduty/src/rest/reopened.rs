//! Whether an acknowledgement has opened an incident again that somebody had just resolved.

use domain::ids::{IncidentId, PdUserId};
use domain::incident::Actor;
use jiff::Timestamp;
use serde_json::Value;

use super::{Api, ApiError, Auth, directory};
use crate::wire::{self, text};

/// What happened within a second or two fits into it.
const NEWEST: &str = "25";

/// Who resolved an incident, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// A person, or the integration that did it.
    pub by: Option<Actor>,
    pub at: Timestamp,
}

impl Api {
    /// Who resolved the incident before `me` acknowledged it, and after it had been read as it was at `read`, by PagerDuty's own
    /// clock (its [`super::RestIncident::updated_at`]). `None`: nobody, as far as the log tells for certain.
    pub async fn resolved_before(
        &self,
        auth: Auth<'_>,
        id: &IncidentId,
        read: Timestamp,
        me: &PdUserId,
    ) -> Result<Option<Resolved>, ApiError> {
        let pairs = [("limit", NEWEST), ("is_overview", "true")];
        let answer = self.around(auth, id, &["log_entries"], &pairs).await?;
        Ok(resolved_before(directory::list(&answer, "log_entries", entry)?, read, me))
    }
}

enum Did {
    Acknowledge,
    Resolve,
    Other,
}

struct Entry {
    at: Timestamp,
    by: Option<Actor>,
    did: Did,
}

fn entry(value: &Value) -> Option<Entry> {
    let kind = text(value, "type")?.trim_end_matches("_reference");
    Some(Entry {
        at: wire::time(value, "created_at")?,
        by: value.get("agent").and_then(wire::actor),
        did: match kind {
            // PagerDuty's own documents spell it in both ways.
            "acknowledge_log_entry" | "acknowledgement_log_entry" => Did::Acknowledge,
            "resolve_log_entry" => Did::Resolve,
            _ => Did::Other,
        },
    })
}

/// PagerDuty's times are whole seconds: within one, its own order counts, which is the newest first. What happened in the second
/// of the reading may have been before it.
fn resolved_before(mut entries: Vec<Entry>, read: Timestamp, me: &PdUserId) -> Option<Resolved> {
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    let is_mine = |entry: &Entry| entry.by.as_ref().and_then(|by| by.user.as_ref()) == Some(me);
    let mut before = entries
        .into_iter()
        .skip_while(|entry| !(matches!(entry.did, Did::Acknowledge) && is_mine(entry)))
        .skip(1)
        .take_while(|entry| entry.at > read);
    let resolved = before.find(|entry| matches!(entry.did, Did::Resolve | Did::Acknowledge))?;
    matches!(resolved.did, Did::Resolve).then_some(Resolved { by: resolved.by, at: resolved.at })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Second, kind and whose, in the order in which PagerDuty lists them.
    type Log = &'static [(i64, &'static str, &'static str)];

    /// Its name, the log, and who resolved it when.
    type Case = (&'static str, Log, Option<(&'static str, i64)>);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_424_400 + second).unwrap()
    }

    #[test]
    fn only_what_was_resolved_between_reading_and_acknowledging_was_reopened() {
        let table: &[Case] = &[
            ("nobody did", &[(5, "acknowledge", "PME")], None),
            (
                "somebody did",
                &[(5, "acknowledge", "PME"), (5, "assign", "PME"), (4, "resolve", "PBEN")],
                Some(("PBEN", 4)),
            ),
            ("spelt otherwise", &[(5, "acknowledgement", "PME"), (4, "resolve", "PBEN")], Some(("PBEN", 4))),
            ("in the same second", &[(5, "acknowledge", "PME"), (5, "resolve", "PBEN")], Some(("PBEN", 5))),
            ("oneself did", &[(5, "acknowledge", "PME"), (4, "resolve", "PME")], Some(("PME", 4))),
            ("the oldest first", &[(4, "resolve", "PBEN"), (5, "acknowledge", "PME")], Some(("PBEN", 4))),
            ("before it was read", &[(5, "acknowledge", "PME"), (3, "resolve", "PBEN")], None),
            ("long ago", &[(5, "acknowledge", "PME"), (1, "trigger", "PBEN"), (-9, "resolve", "PBEN")], None),
            ("afterwards", &[(6, "resolve", "PBEN"), (5, "acknowledge", "PME")], None),
            ("afterwards, in the same second", &[(5, "resolve", "PBEN"), (5, "acknowledge", "PME")], None),
            (
                "somebody else opened it again",
                &[(6, "acknowledge", "PME"), (5, "acknowledge", "PCAT"), (4, "resolve", "PBEN")],
                None,
            ),
            ("the log is late", &[(4, "resolve", "PBEN"), (1, "acknowledge", "PME")], None),
            ("the log is empty", &[], None),
        ];
        let me = PdUserId::new("PME").unwrap();
        for (name, log, expected) in table {
            let entries = log.iter().map(|(second, kind, by)| {
                json!({ "type": format!("{kind}_log_entry"), "created_at": at(*second).to_string(),
                        "agent": { "id": by, "type": "user_reference", "summary": by } })
            });
            let told = resolved_before(entries.filter_map(|value| entry(&value)).collect(), at(3), &me);
            let told = told.map(|resolved| (resolved.by.unwrap().name, resolved.at));
            assert_eq!(told, expected.map(|(by, second)| (by.to_owned(), at(second))), "{name}");
        }
    }
}
