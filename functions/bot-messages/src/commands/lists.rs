//! Commands that list something: open incidents, who is on call, connections.

use std::collections::{BTreeMap, BTreeSet};

use cards::setup::{Line, list};
use domain::connection::Connection;
use domain::ids::ServiceId;
use domain::incident::ServiceRef;
use pagerduty::rest::{OnCall, Service};
use runtime::App;

use super::{as_person, linked};
use crate::place::Place;
use crate::private::{PrivateError, reply};

/// How many incidents a list shows.
const INCIDENTS: u32 = 20;

/// How many services are asked for who is on call: each is a call of its own.
const SERVICES: usize = 8;

/// The open incidents: of the services of this channel, or those assigned to the person.
pub(super) async fn incidents(app: &App, place: &Place, text: &str, argument: &str) -> Result<(), PrivateError> {
    let mine = match argument.to_lowercase().as_str() {
        "" => place.private,
        "mine" => true,
        _ => return reply(app, place, &cards::setup::failed(cards::text::incidents_usage())).await,
    };
    let Some((account, mut person)) = linked(app, place, text).await? else { return Ok(()) };
    let services: Vec<ServiceId> =
        if mine { Vec::new() } else { services_here(app, place).await?.into_iter().collect() };
    if !mine && services.is_empty() {
        return reply(app, place, &list("Open incidents", &[], cards::text::nothing_connected())).await;
    }
    let user = person.pagerduty_user().clone();
    let assigned = mine.then_some(&user);
    let page = as_person!(app, place, &account, text, person, |auth| app
        .pagerduty
        .open_incidents(auth, &services, assigned, INCIDENTS));
    let lines: Vec<Line> = page.items.iter().map(|incident| cards::incident_line(&incident.snapshot)).collect();
    let (heading, empty) = if mine {
        ("Open incidents assigned to you", "No open incident is assigned to you.")
    } else {
        ("Open incidents of this channel's services", "There is no open incident.")
    };
    reply(app, place, &list(heading, &lines, empty)).await
}

/// Who is on call for the services of this channel, or for those with the name that was given.
pub(super) async fn oncall(app: &App, place: &Place, text: &str, argument: &str) -> Result<(), PrivateError> {
    let Some((account, mut person)) = linked(app, place, text).await? else { return Ok(()) };
    let wanted: Vec<ServiceId> = if argument.is_empty() {
        services_here(app, place).await?.into_iter().take(SERVICES).collect()
    } else {
        let page =
            as_person!(app, place, &account, text, person, |auth| app.pagerduty.find_services(auth, argument, 0, 25));
        best(&page.items, argument)
    };
    let mut services: Vec<Service> = Vec::new();
    for id in &wanted {
        services.push(as_person!(app, place, &account, text, person, |auth| app.pagerduty.service(auth, id)));
    }
    let policies: BTreeSet<_> =
        services.iter().filter_map(|service| Some(service.escalation_policy.as_ref()?.id.clone())).collect();
    let policies: Vec<_> = policies.into_iter().collect();
    let oncalls = if policies.is_empty() {
        Vec::new()
    } else {
        as_person!(app, place, &account, text, person, |auth| app.pagerduty.oncalls(auth, &policies))
    };
    let lines: Vec<Line> = services.iter().map(|service| oncall_line(service, &oncalls)).collect();
    let empty = if argument.is_empty() { cards::text::nothing_connected() } else { cards::text::no_such_service() };
    reply(app, place, &list("On call now", &lines, empty)).await
}

/// Exactly this name, else all that contain it.
fn best(found: &[ServiceRef], wanted: &str) -> Vec<ServiceId> {
    let exact = found.iter().find(|service| service.name.to_lowercase() == wanted.to_lowercase());
    match exact {
        Some(service) => vec![service.id.clone()],
        None => found.iter().take(SERVICES).map(|service| service.id.clone()).collect(),
    }
}

fn oncall_line(service: &Service, oncalls: &[OnCall]) -> Line {
    let Some(policy) = &service.escalation_policy else {
        return Line { name: service.name.clone(), about: "has no escalation policy".to_owned() };
    };
    let mut levels: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for oncall in oncalls.iter().filter(|oncall| oncall.policy == policy.id) {
        let until =
            oncall.until.map(|until| format!(" until {}", until.strftime("%d %b %H:%M UTC"))).unwrap_or_default();
        levels.entry(oncall.level).or_default().push(format!("{}{until}", oncall.user));
    }
    let levels: Vec<String> =
        levels.into_iter().map(|(level, people)| format!("level {level}: {}", people.join(", "))).collect();
    let about = if levels.is_empty() { "nobody is on call".to_owned() } else { levels.join("; ") };
    Line { name: service.name.clone(), about: format!("{about} ({})", policy.name) }
}

/// The services that are connected to this channel.
pub(super) async fn connections(app: &App, place: &Place) -> Result<(), PrivateError> {
    let line = |connection: Connection| Line {
        about: cards::text::connection_state(&connection),
        name: connection.service_name,
    };
    let lines: Vec<Line> = place.connections(app).await?.into_iter().map(line).collect();
    reply(app, place, &list("Connected PagerDuty services", &lines, cards::text::nothing_connected())).await
}

async fn services_here(app: &App, place: &Place) -> Result<BTreeSet<ServiceId>, PrivateError> {
    Ok(place.connections(app).await?.into_iter().map(|connection| connection.service).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_exactly_or_in_part() {
        let service = |id: &str, name: &str| ServiceRef { id: ServiceId::new(id).unwrap(), name: name.to_owned() };
        let found = [service("P1", "Payments EU"), service("P2", "Payments"), service("P3", "Payments US")];
        let ids = |wanted: &str| best(&found, wanted).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(ids("payments"), ["P2"]);
        assert_eq!(ids("pay"), ["P1", "P2", "P3"]);
    }
}
