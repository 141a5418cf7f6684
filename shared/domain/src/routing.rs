//! Which channels must hear about an incident.

use std::collections::{BTreeMap, BTreeSet};

use crate::connection::Connection;
use crate::ids::{ChannelId, TeamId};
use crate::incident::{IncidentRecord, RecordVersion};
use crate::plan::CardRecord;

/// Channels, each with its team.
pub type Channels = BTreeMap<ChannelId, TeamId>;

/// The channels whose card may be out of date: those connected to the incident's service whose filter wants it, and those
/// that already show a card that is kept true (the incident may have moved to another service, or have lost its urgency, since).
///
/// A broken connection is no exception: one call per change finds out whether the channel is back, and a channel that is
/// never tried again would lose every incident after it.
#[must_use]
pub fn targets(record: &IncidentRecord, connections: &[Connection], cards: &[CardRecord]) -> Channels {
    let wanting = connections.iter().filter(|c| record.state().is_some_and(|state| c.wants(state)));
    let wanting = wanting.map(|c| (c.channel.clone(), c.team.clone()));
    let followed = cards.iter().filter(|card| card.frozen.is_none());
    wanting.chain(followed.map(|card| (card.channel.clone(), card.team.clone()))).collect()
}

/// The [`targets`] whose card is missing or does not show this version.
#[must_use]
pub fn behind(
    record: &IncidentRecord,
    version: RecordVersion,
    connections: &[Connection],
    cards: &[CardRecord],
) -> Channels {
    let mut channels = targets(record, connections, cards);
    for card in cards.iter().filter(|card| card.frozen.is_none() && !card.is_behind(version)) {
        channels.remove(&card.channel);
    }
    channels
}

/// The channels that are [`behind`], of those that may be posted to: `teams` are the teams that belong to the account. A card
/// is missing only if the incident has changed since the connection was made: connecting a service must not flood the channel
/// with everything that happens to be open.
#[must_use]
pub fn stale_channels(
    record: &IncidentRecord,
    version: RecordVersion,
    connections: &[Connection],
    cards: &[CardRecord],
    teams: &BTreeSet<TeamId>,
) -> Channels {
    let Some(changed_at) = record.snapshot.as_ref().map(|snapshot| snapshot.version.at) else { return Channels::new() };
    let since: Vec<Connection> = connections.iter().filter(|c| changed_at >= c.created_at).cloned().collect();
    let mut stale = behind(record, version, &since, cards);
    stale.retain(|_, team| teams.contains(team));
    stale
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::connection::{Filter, Health};
    use crate::ids::{AccountId, ActivityId, IncidentId, ServiceId, TenantId};
    use crate::incident::{Asked, ServiceRef, Snapshot, Status, Urgency};

    fn channel(name: &str) -> ChannelId {
        ChannelId::new(name).unwrap()
    }

    fn team() -> TeamId {
        TeamId::new("T").unwrap()
    }

    fn connection(service: &str, to: &str, filter: Filter, health: Health) -> Connection {
        Connection {
            account: AccountId::new("A").unwrap(),
            service: ServiceId::new(service).unwrap(),
            service_name: String::new(),
            channel: channel(to),
            team: team(),
            tenant: TenantId::new("X").unwrap(),
            filter,
            zone: crate::zone::Zone::UTC,
            mentions: crate::connection::Mentions::Nobody,
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
        let (at, asked) = (Timestamp::UNIX_EPOCH, Asked::at(Timestamp::UNIX_EPOCH));
        let record = IncidentRecord::from_rest(account.clone(), incident.clone(), at, snapshot, None, asked);
        let broken = Health::Broken { reason: "x".to_owned(), since: Timestamp::UNIX_EPOCH };
        let connections = [
            connection("S1", "all", Filter::All, Health::Healthy),
            connection("S1", "high", Filter::HighUrgency, Health::Healthy),
            connection("S1", "broken", Filter::All, broken),
            connection("S2", "other", Filter::All, Health::Healthy),
        ];
        let card = |name| CardRecord {
            activity: Some(ActivityId::new("1").unwrap()),
            rendered: RecordVersion(2),
            ..CardRecord::unposted(channel(name), team(), TenantId::new("X").unwrap())
        };
        let cards = [card("old"), card("all")];
        let named = |names: &[&str]| names.iter().map(|name| (channel(name), team())).collect::<Channels>();
        assert_eq!(targets(&record, &connections, &cards), named(&["all", "broken", "old"]));
        assert_eq!(behind(&record, RecordVersion(2), &connections, &cards), named(&["broken"]));
        assert_eq!(behind(&record, RecordVersion(3), &connections, &cards), named(&["all", "broken", "old"]));
        let frozen = [CardRecord { frozen: Some(Timestamp::UNIX_EPOCH), ..card("old") }, card("all")];
        assert_eq!(targets(&record, &connections, &frozen), named(&["all", "broken"]));
        let frozen = [CardRecord { frozen: Some(Timestamp::UNIX_EPOCH), ..card("all") }];
        assert_eq!(
            behind(&record, RecordVersion(2), &connections, &frozen),
            named(&["all", "broken"]),
            "connected again"
        );
        let unposted = [CardRecord { activity: None, ..card("old") }];
        assert_eq!(behind(&record, RecordVersion(2), &[], &unposted), named(&["old"]));
        let unknown = IncidentRecord::empty(account, incident);
        assert_eq!(targets(&unknown, &connections, &cards[..1]), named(&["old"]));

        let version = RecordVersion(2);
        let (ours, nobodys) = (BTreeSet::from([team()]), BTreeSet::new());
        let stale =
            |connections: &[Connection], teams| stale_channels(&record, version, connections, &cards[..1], teams);
        assert_eq!(stale(&connections, &ours), named(&["all", "broken"]));
        assert_eq!(stale(&connections, &nobodys), Channels::new(), "no team belongs to the account");
        let later = Timestamp::from_second(1).unwrap();
        let later = connections.map(|known| Connection { created_at: later, ..known });
        assert_eq!(stale(&later, &ours), Channels::new(), "connected after the last change");
    }
}
