//! Commands that list something: open incidents, who is on call, connections.

use std::collections::{BTreeMap, BTreeSet};

use cards::setup::{Line, list};
use domain::connection::Connection;
use domain::ids::ServiceId;
use domain::incident::ServiceRef;
use pagerduty::rest::{OnCall, Service};
use runtime::App;

use crate::error::FlowError;
use crate::who::Who;

/// How many incidents a list shows.
const INCIDENTS: u32 = 20;

/// How many services are asked for who is on call: each is a call of its own.
const SERVICES: usize = 8;

/// The open incidents: of the services of this channel, or those assigned to the person.
pub(super) async fn incidents(app: &App, who: &Who, argument: &str) -> Result<(), FlowError> {
    let mine = match argument.to_lowercase().as_str() {
        "" => who.private,
        "mine" => true,
        _ => return who.reply(app, &cards::setup::failed(cards::text::INCIDENTS_USAGE)).await,
    };
    let mut person = who.linked(app).await?;
    let services: Vec<ServiceId> = if mine { Vec::new() } else { services_here(app, who).await?.into_iter().collect() };
    if !mine && services.is_empty() {
        return who.reply(app, &list("Open incidents", &[], cards::text::NOTHING_CONNECTED)).await;
    }
    let user = person.link().pd_user.clone();
    let assigned = mine.then_some(&user);
    let page = person.call(async |api, auth| api.open_incidents(auth, &services, assigned, INCIDENTS).await).await?;
    let lines: Vec<Line> = page.items.iter().map(|incident| cards::incident_line(&incident.snapshot)).collect();
    let (heading, empty) = if mine {
        ("Open incidents assigned to you", "No open incident is assigned to you.")
    } else {
        ("Open incidents of this channel's services", "There is no open incident.")
    };
    who.reply(app, &list(heading, &lines, empty)).await
}

/// Who is on call for the services of this channel, or for those with the name that was given.
pub(super) async fn oncall(app: &App, who: &Who, argument: &str) -> Result<(), FlowError> {
    let mut person = who.linked(app).await?;
    let wanted: Vec<ServiceId> = if argument.is_empty() {
        services_here(app, who).await?.into_iter().take(SERVICES).collect()
    } else {
        let page = person.call(async |api, auth| api.find_services(auth, argument, 0, 25).await).await?;
        best(&page.items, argument)
    };
    let mut services: Vec<Service> = Vec::new();
    for id in &wanted {
        services.push(person.call(async |api, auth| api.service(auth, id).await).await?);
    }
    let policies: BTreeSet<_> =
        services.iter().filter_map(|service| Some(service.escalation_policy.as_ref()?.id.clone())).collect();
    let policies: Vec<_> = policies.into_iter().collect();
    let oncalls = if policies.is_empty() {
        Vec::new()
    } else {
        person.call(async |api, auth| api.oncalls(auth, &policies).await).await?
    };
    let lines: Vec<Line> = services.iter().map(|service| oncall_line(service, &oncalls)).collect();
    let empty = if argument.is_empty() { cards::text::NOTHING_CONNECTED } else { cards::text::NO_SUCH_SERVICE };
    who.reply(app, &list("On call now", &lines, empty)).await
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
pub(super) async fn connections(app: &App, who: &Who) -> Result<(), FlowError> {
    let line = |connection: Connection| Line {
        about: cards::text::connection_state(&connection),
        name: connection.service_name,
    };
    let lines: Vec<Line> = who.connections(app).await?.into_iter().map(line).collect();
    who.reply(app, &list("Connected PagerDuty services", &lines, cards::text::NOTHING_CONNECTED)).await
}

async fn services_here(app: &App, who: &Who) -> Result<BTreeSet<ServiceId>, FlowError> {
    Ok(who.connections(app).await?.into_iter().map(|connection| connection.service).collect())
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
