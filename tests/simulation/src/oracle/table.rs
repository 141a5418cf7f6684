//! The few things for which the product's table is read: whether what it calls unfinished ends, and what the audit says.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use local::inside::Inside;

use super::{Breach, Broken};

/// No lock, claim or lease is held longer. What was done is remembered longer, with its outcome.
const LONGEST: SignedDuration = SignedDuration::from_mins(15);

/// What the table says of unfinished work.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unfinished {
    /// What is behind and not parked: in which channel, and what, since when and why.
    pub behind: Vec<(String, String)>,
    /// Locks, claims without an outcome and leases: whose, and until when; `None`: for ever.
    pub held: Vec<(String, Option<Timestamp>)>,
}

/// What the table says, as far as the oracle asks it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    pub unfinished: Unfinished,
    /// The lines of the audit: when, who and what.
    pub audit: Vec<(Timestamp, String, String)>,
}

/// Reads the table past all faults.
///
/// # Errors
/// The stand-in does not answer.
pub async fn ask(inside: &Inside) -> anyhow::Result<Said> {
    let config = &inside.app.config;
    let client = inside.clients.dynamodb.clone();
    let mut said = Said::default();
    let mut start = None;
    loop {
        let scan = client.scan().table_name(&config.table).consistent_read(true).set_exclusive_start_key(start);
        let page = scan.send().await?;
        for item in page.items() {
            let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
            let time = |name: &str| {
                let seconds = item.get(name)?.as_n().ok()?.parse().ok()?;
                Timestamp::from_second(seconds).ok()
            };
            let data = |name: &str| item.get("data").and_then(|data| data.as_m().ok()?.get(name));
            let (pk, sk) = (text("pk").unwrap_or_default(), text("sk").unwrap_or_default());
            if pk.starts_with("BEHIND#") && !item.contains_key("parked") {
                let (since, why) = (text("since").unwrap_or_default(), text("why").unwrap_or_default());
                let channel = pk.rsplit('#').next().unwrap_or_default().to_owned();
                said.unfinished.behind.push((channel, format!("{sk} since {since} {why}")));
            }
            let is_open = data("outcome").is_none_or(|outcome| outcome.is_null());
            if pk.starts_with("ONCE#") && is_open {
                said.unfinished.held.push((pk.clone(), time("expires_at")));
            }
            if item.contains_key("lease_holder") {
                said.unfinished.held.push((format!("{pk} {sk}"), time("lease_until")));
            }
            if text("kind").as_deref() == Some("audit") {
                let of = |name: &str| data(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
                said.audit.extend(of("at").parse().ok().map(|at: Timestamp| (at, of("who"), of("text"))));
            }
        }
        start = page.last_evaluated_key().cloned();
        if start.is_none() {
            return Ok(said);
        }
    }
}

/// What does not end. What is behind in an unreachable channel waits for the channel.
#[must_use]
pub fn stuck(unfinished: &Unfinished, unreachable: &BTreeSet<String>, now: Timestamp) -> Vec<Breach> {
    let latest = now.checked_add(LONGEST).unwrap_or(Timestamp::MAX);
    let held = unfinished.held.iter().filter(|(_, until)| until.is_none_or(|until| until > latest));
    let held = held.map(|(what, until)| match until {
        Some(until) => format!("{what} is held until {until}"),
        None => format!("{what} is held for ever"),
    });
    let behind = unfinished.behind.iter().filter(|(channel, _)| !unreachable.contains(channel));
    let behind = behind.map(|(channel, item)| format!("behind in {channel}: {item}"));
    behind.chain(held).map(|how| Breach { what: Broken::Stuck, how }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_or_held_too_long_is_stuck() {
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let after = |minutes| Some(now + SignedDuration::from_mins(minutes));
        let held = |until| Unfinished { held: vec![("a".to_owned(), until)], ..Unfinished::default() };
        let behind =
            |channel: &str| Unfinished { behind: vec![(channel.to_owned(), "b".to_owned())], ..Unfinished::default() };
        for (what, unfinished, expected) in [
            ("a lock that ends soon", held(after(1)), 0),
            ("one that has ended", held(after(-1)), 0),
            ("one for an hour", held(after(60)), 1),
            ("one without an end", held(None), 1),
            ("something behind", behind("C"), 1),
            ("where nothing can be written", behind("gone"), 0),
        ] {
            assert_eq!(stuck(&unfinished, &["gone".to_owned()].into(), now).len(), expected, "{what}");
        }
    }
}
