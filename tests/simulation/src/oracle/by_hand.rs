//! Histories made by hand, for the tests of the checks.

use jiff::Timestamp;
use simulators::pagerduty::{History, LogRow, Version};

use super::card::{Look, Shown};
use super::seen::{Post, Seen};

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_428_000 + second).unwrap()
}

/// An incident of Payments that comes into these states at these seconds.
pub(super) fn case(number: u64, states: &[(i64, &'static str)]) -> History {
    let version = |(second, status): &(i64, &'static str)| Version {
        at: at(*second),
        title: "Disk is full".to_owned(),
        status,
        urgency: "high".to_owned(),
        priority: None,
        service: "S".to_owned(),
        service_name: "Payments".to_owned(),
        assignees: if *status == "resolved" { Vec::new() } else { vec!["Ada".to_owned()] },
        merged_into: None,
    };
    History { id: format!("Q{number}"), number, versions: states.iter().map(version).collect(), log: Vec::new() }
}

/// A row of an incident's log that came over REST.
pub(super) fn did(second: i64, kind: &str, user: Option<&str>, text: Option<&str>) -> LogRow {
    let (user, text) = (user.map(str::to_owned), text.map(str::to_owned));
    LogRow { at: at(second), kind: format!("{kind}_log_entry"), user, text, over_rest: true }
}

/// How it is shown in such a state.
pub(super) fn shown(number: u64, status: &str) -> Shown {
    Shown {
        number,
        title: "Disk is full".to_owned(),
        status: status.to_owned(),
        is_high: true,
        service: "Payments".to_owned(),
        assignees: if status == "resolved" { Vec::new() } else { vec!["Ada".to_owned()] },
        ..Shown::default()
    }
}

pub(super) fn card(number: u64, status: &str) -> Look {
    Look::Incident(Box::new(shown(number, status)))
}

/// A post in channel C that says these things from these seconds on.
pub(super) fn post(id: &str, looks: &[(i64, Look)]) -> Post {
    let looks: Vec<_> = looks.iter().map(|(second, look)| (at(*second), look.clone())).collect();
    Post {
        id: id.to_owned(),
        channel: "C".to_owned(),
        root: None,
        at: looks[0].0,
        is_deleted: false,
        looks,
        text: None,
    }
}

pub(super) fn seen(posts: &[Post]) -> Seen {
    Seen(posts.to_vec())
}
