//! Sixty incidents at once, as when something falls over that much depends on: more than Teams' limits let through.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::World;
use super::acting::{Refusal, Wish};

const GRAVEST: &str = "P1";

pub(super) fn routes() -> Router<World> {
    Router::new().route("/demo/api/pagerduty/storm", post(storm))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Storm {
    service: String,
}

async fn storm(State(world): State<World>, Wish(wish): Wish<Storm>) -> Result<Json<Value>, Refusal> {
    world.check_service(&wish.service)?;
    let priorities = world.pagerduty.priorities();
    let (gravest, _) =
        priorities.iter().find(|(_, name)| name == GRAVEST).ok_or_else(|| Refusal::unknown("priority", GRAVEST))?;
    let alarms = alarms();
    for alarm in &alarms {
        let (title, urgency) = (alarm.title.as_str(), alarm.urgency.as_str());
        if alarm.is_gravest {
            world.pagerduty.trigger_with_priority(&wish.service, title, urgency, gravest);
        } else {
            world.pagerduty.trigger(&wish.service, title, urgency);
        }
    }
    Ok(Json(json!({ "triggered": alarms.len() })))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Urgency {
    High,
    Low,
}

impl Urgency {
    fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Low => "low",
        }
    }
}

/// What a monitoring tool says is wrong.
#[derive(Debug, PartialEq, Eq)]
struct Alarm {
    title: String,
    urgency: Urgency,
    is_gravest: bool,
}

const WORDS: usize = 5;

/// `{}` is one of the words; two of three are urgent.
const PATTERNS: [(&str, [&str; WORDS], Urgency); 12] = [
    (
        "Checkout answers 5xx in {}",
        ["eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-south-1"],
        Urgency::High,
    ),
    ("Disk 95 % full on {}", ["db-03", "db-07", "kafka-02", "build-11", "log-05"], Urgency::Low),
    ("Queue {} lags by 15 minutes", ["payouts", "refunds", "invoices", "receipts", "ledger"], Urgency::High),
    ("p99 latency above 2 s on {}", ["/cart", "/pay", "/login", "/orders", "/search"], Urgency::High),
    (
        "Certificate of {} expires in 3 days",
        ["api.example.com", "pay.example.com", "cdn.example.com", "hooks.example.com", "sso.example.com"],
        Urgency::Low,
    ),
    ("Replica {} is 120 s behind its primary", ["pg-2", "pg-3", "pg-5", "mysql-4", "mysql-6"], Urgency::High),
    ("Connection pool of {} is exhausted", ["cart", "payments", "orders", "stock", "accounts"], Urgency::High),
    (
        "Pod {} restarts again and again",
        ["cart-7f9c", "fraud-2b41", "mail-90ad", "tax-5c3e", "stock-d108"],
        Urgency::Low,
    ),
    ("Payments via {} are declined", ["Visa", "Mastercard", "Amex", "iDEAL", "SEPA"], Urgency::High),
    ("Health check of {} fails", ["web-01", "web-04", "web-09", "edge-02", "edge-06"], Urgency::High),
    ("Nightly job {} has not finished", ["settlement", "reconciliation", "backup", "report", "cleanup"], Urgency::Low),
    (
        "Error budget of {} burns ten times too fast",
        ["checkout", "payouts", "login", "webhooks", "search"],
        Urgency::High,
    ),
];

/// Neither the first ones nor neighbours: they have to be found among the others.
const GRAVEST_AT: [usize; 2] = [20, 36];

/// Every pattern with its first word, then every one with its second.
fn alarms() -> Vec<Alarm> {
    let round = |round: usize| {
        PATTERNS.iter().filter_map(move |(pattern, words, urgency)| {
            words.get(round).map(|word| (pattern.replace("{}", word), *urgency))
        })
    };
    let all = (0..WORDS).flat_map(round).enumerate();
    all.map(|(place, (title, urgency))| Alarm { title, urgency, is_gravest: GRAVEST_AT.contains(&place) }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn alarms_are_the_same_each_time() {
        use Urgency::{High, Low};
        let all = alarms();
        let table = [
            (0, "Checkout answers 5xx in eu-west-1", High, false),
            (1, "Disk 95 % full on db-03", Low, false),
            (12, "Checkout answers 5xx in eu-central-1", High, false),
            (20, "Payments via Mastercard are declined", High, true),
            (36, "Checkout answers 5xx in us-west-2", High, true),
            (59, "Error budget of search burns ten times too fast", High, false),
        ];
        for (place, title, urgency, is_gravest) in table {
            assert_eq!(all[place], Alarm { title: title.to_owned(), urgency, is_gravest }, "{place}");
        }
    }

    #[test]
    fn two_of_three_are_urgent_and_two_are_the_gravest() {
        let all = alarms();
        let count = |wanted: fn(&Alarm) -> bool| all.iter().filter(|alarm| wanted(alarm)).count();
        assert_eq!(all.len(), 60);
        assert_eq!(count(|alarm| alarm.urgency == Urgency::High), 40);
        assert_eq!(count(|alarm| alarm.is_gravest), 2);
        assert_eq!(count(|alarm| alarm.is_gravest && alarm.urgency == Urgency::High), 2);
        assert_eq!(all.iter().map(|alarm| &alarm.title).collect::<BTreeSet<_>>().len(), 60, "titles differ");
    }
}
