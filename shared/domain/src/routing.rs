//! Which channels must hear about an incident.

use std::collections::BTreeSet;

use crate::connection::Connection;
use crate::ids::{ChannelId, TeamId};
use crate::incident::{IncidentRecord, RecordVersion};
use crate::plan::CardRecord;

/// The channels whose card may be out of date: those connected to the incident's service whose filter wants it, and those
/// that already show a card (the incident may have moved to another service, or have lost its urgency, since).
///
/// A broken connection is no exception: one call per change finds out whether the channel is back, and a channel that is
/// never tried again would lose every incident after it.
#[must_use]
pub fn targets(record: &IncidentRecord, connections: &[Connection], with_card: &[ChannelId]) -> BTreeSet<ChannelId> {
    let wanted = record
        .state()
        .into_iter()
        .flat_map(|state| connections.iter().filter(|c| c.wants(state)).map(|c| c.channel.clone()));
    wanted.chain(with_card.iter().cloned()).collect()
}

/// The channels whose card is missing or does not show the newest record, of those that may be posted to: `teams` are the
/// teams that belong to the account. A card is missing only if the incident has changed since the connection was made:
/// connecting a service must not flood the channel with everything that happens to be open.
#[must_use]
pub fn stale_channels(
    record: &IncidentRecord,
    version: RecordVersion,
    connections: &[Connection],
    cards: &[CardRecord],
    teams: &BTreeSet<TeamId>,
) -> BTreeSet<ChannelId> {
    let Some(snapshot) = &record.snapshot else { return BTreeSet::new() };
    let missing = connections
        .iter()
        .filter(|c| c.wants(&snapshot.value) && teams.contains(&c.team))
        .filter(|c| !cards.iter().any(|card| card.channel == c.channel))
        .filter(|c| snapshot.version.at >= c.created_at)
        .map(|c| c.channel.clone());
    let behind = cards
        .iter()
        .filter(|card| teams.contains(&card.team) && (card.activity.is_none() || card.rendered < version))
        .map(|card| card.channel.clone());
    missing.chain(behind).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::connection::{Filter, Health};
    use crate::ids::{AccountId, IncidentId, ServiceId, TeamId, TenantId};
    use crate::incident::{ServiceRef, Snapshot, Status, Urgency};

    fn channel(name: &str) -> ChannelId {
        ChannelId::new(name).unwrap()
    }

    fn connection(service: &str, to: &str, filter: Filter, health: Health) -> Connection {
        Connection {
            account: AccountId::new("A").unwrap(),
            service: ServiceId::new(service).unwrap(),
            service_name: String::new(),
            channel: channel(to),
            team: TeamId::new("T").unwrap(),
            tenant: TenantId::new("X").unwrap(),
            filter,
            health,
            created_at: Timestamp::UNIX_EPOCH,
            created_by: None,
        }
    }

    #[test]
    fn the_services_channels_and_those_that_show_a_card() {
        let snapshot = Snapshot {
            number: 1,
            title: String::new(),
            status: Status::Triggered,
            urgency: Urgency::Low,
            priority: None,
            service: ServiceRef { id: ServiceId::new("S1").unwrap(), name: String::new() },
            escalation_policy: None,
            assignees: Vec::new(),
            html_url: String::new(),
            created_at: None,
            merged_into: None,
        };
        let (account, incident) = (AccountId::new("A").unwrap(), IncidentId::new("I").unwrap());
        let record =
            IncidentRecord::from_rest(account.clone(), incident.clone(), Timestamp::UNIX_EPOCH, snapshot, None);
        let broken = Health::Broken { reason: "x".to_owned(), since: Timestamp::UNIX_EPOCH };
        let connections = [
            connection("S1", "all", Filter::All, Health::Healthy),
            connection("S1", "high", Filter::HighUrgency, Health::Healthy),
            connection("S1", "broken", Filter::All, broken),
            connection("S2", "other", Filter::All, Health::Healthy),
        ];
        let found = targets(&record, &connections, &[channel("old"), channel("all")]);
        assert_eq!(found, BTreeSet::from([channel("all"), channel("broken"), channel("old")]));
        let unknown = IncidentRecord::empty(account, incident);
        assert_eq!(targets(&unknown, &connections, &[channel("old")]), BTreeSet::from([channel("old")]));
    }
}
