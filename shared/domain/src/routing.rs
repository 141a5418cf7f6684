//! Which channels must hear about an incident.

use std::collections::BTreeSet;

use crate::connection::{Connection, Health};
use crate::ids::ChannelId;
use crate::incident::IncidentRecord;

/// The channels whose card may be out of date: those connected to the incident's service whose filter wants it, and those
/// that already show a card (the incident may have moved to another service, or have lost its urgency, since).
///
/// A broken connection gets nothing new: Teams has said that the channel is gone.
#[must_use]
pub fn targets(record: &IncidentRecord, connections: &[Connection], with_card: &[ChannelId]) -> BTreeSet<ChannelId> {
    let wanted = record.state().into_iter().flat_map(|state| {
        connections
            .iter()
            .filter(|c| c.service == state.service.id && c.health == Health::Healthy && c.filter.wants(state))
            .map(|c| c.channel.clone())
    });
    wanted.chain(with_card.iter().cloned()).collect()
}
