//! Every key of the table is built here, and only here.
//!
//! Ids never contain `#` (see `domain::ids`), so parts joined by it can be told apart. Every key begins with the account,
//! tenant or team, or with an id that is signed or unguessable, so an unscoped read cannot be written.

use domain::ids::{
    AccountId, ChannelId, EntraUserId, IncidentId, PdUserId, ServiceId, SubscriptionId, TeamId, TenantId,
};

/// A primary key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

/// A key of the one secondary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexKey {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

pub(crate) const CARD: &str = "CARD#";
pub(crate) const CONNECTION: &str = "CONNECTION#";
pub(crate) const LINK: &str = "LINK#";
pub(crate) const RECORD: &str = "RECORD";

pub(crate) fn incident(account: &AccountId, incident: &IncidentId) -> String {
    format!("INCIDENT#{account}#{incident}")
}

pub(crate) fn record(account: &AccountId, id: &IncidentId) -> Key {
    Key { pk: incident(account, id), sk: RECORD.to_owned() }
}

/// Sparse: only open incidents are in it.
pub(crate) fn open_incident(account: &AccountId, id: &IncidentId) -> IndexKey {
    IndexKey { pk: format!("OPEN#{account}"), sk: id.to_string() }
}

pub(crate) fn card(account: &AccountId, id: &IncidentId, channel: &ChannelId) -> Key {
    Key { pk: incident(account, id), sk: format!("{CARD}{channel}") }
}

pub(crate) fn service(account: &AccountId, service: &ServiceId) -> String {
    format!("SERVICE#{account}#{service}")
}

pub(crate) fn connection(account: &AccountId, service_id: &ServiceId, channel: &ChannelId) -> Key {
    Key { pk: service(account, service_id), sk: format!("{CONNECTION}{channel}") }
}

pub(crate) fn connection_in_team(team: &TeamId, channel: &ChannelId, service: &ServiceId) -> IndexKey {
    IndexKey { pk: format!("TEAM#{team}"), sk: format!("{CONNECTION}{channel}#{service}") }
}

pub(crate) fn installation(team: &TeamId) -> Key {
    Key { pk: format!("TEAM#{team}"), sk: "INSTALLATION".to_owned() }
}

pub(crate) fn installation_in_tenant(tenant: &TenantId, team: &TeamId) -> IndexKey {
    IndexKey { pk: format!("TENANT#{tenant}"), sk: format!("TEAM#{team}") }
}

pub(crate) fn subscription(id: &SubscriptionId) -> Key {
    Key { pk: format!("SUBSCRIPTION#{id}"), sk: "SUBSCRIPTION".to_owned() }
}

pub(crate) fn unreadable(id: &SubscriptionId, webhook: &str) -> Key {
    Key { pk: format!("SUBSCRIPTION#{id}"), sk: format!("UNREADABLE#{webhook}") }
}

pub(crate) fn user(tenant: &TenantId, user: &EntraUserId) -> String {
    format!("USER#{tenant}#{user}")
}

pub(crate) fn link(tenant: &TenantId, person: &EntraUserId, account: &AccountId) -> Key {
    Key { pk: user(tenant, person), sk: format!("{LINK}{account}") }
}

pub(crate) fn link_of_pagerduty_user(account: &AccountId, person: &PdUserId) -> IndexKey {
    IndexKey { pk: format!("PDUSER#{account}#{person}"), sk: "LINK".to_owned() }
}

pub(crate) fn personal_chat(tenant: &TenantId, person: &EntraUserId) -> Key {
    Key { pk: user(tenant, person), sk: "CHAT".to_owned() }
}

/// A thing known by the SHA-256 of an unguessable text.
pub(crate) fn ticket(hash: &str) -> Key {
    Key { pk: format!("TICKET#{hash}"), sk: "TICKET".to_owned() }
}

pub(crate) fn attempt(hash: &str) -> Key {
    Key { pk: format!("ATTEMPT#{hash}"), sk: "ATTEMPT".to_owned() }
}

pub(crate) fn pending(hash: &str) -> Key {
    Key { pk: format!("PENDING#{hash}"), sk: "PENDING".to_owned() }
}

pub(crate) fn once(hash: &str) -> Key {
    Key { pk: format!("ONCE#{hash}"), sk: "ONCE".to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Anything that an id may be, with the characters that keys are made of.
    fn id() -> impl Strategy<Value = String> {
        "[A-Z0-9:@=;_.-]{1,12}|CARD|RECORD|CONNECTION|TEAM|LINK"
    }

    fn all_keys(parts: &[String; 3]) -> Vec<Key> {
        let [a, b, c] = parts;
        let account = AccountId::new(a.as_str()).unwrap();
        let incident = IncidentId::new(b.as_str()).unwrap();
        let channel = ChannelId::new(c.as_str()).unwrap();
        let tenant = TenantId::new(a.as_str()).unwrap();
        let user = EntraUserId::new(b.as_str()).unwrap();
        let subscription_id = SubscriptionId::new(a.as_str()).unwrap();
        vec![
            record(&account, &incident),
            card(&account, &incident, &channel),
            connection(&account, &ServiceId::new(b.as_str()).unwrap(), &channel),
            installation(&TeamId::new(a.as_str()).unwrap()),
            subscription(&subscription_id),
            unreadable(&subscription_id, b),
            link(&tenant, &user, &AccountId::new(c.as_str()).unwrap()),
            personal_chat(&tenant, &user),
            ticket(a),
            attempt(a),
            pending(a),
            once(a),
        ]
    }

    proptest! {
        #[test]
        fn no_two_kinds_share_a_key(parts in [id(), id(), id()]) {
            let keys = all_keys(&parts);
            let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
            prop_assert_eq!(distinct.len(), keys.len());
        }

        #[test]
        fn different_parts_give_different_keys(left in [id(), id(), id()], right in [id(), id(), id()]) {
            let (ours, theirs) = (card_of(&left), card_of(&right));
            prop_assert_eq!(ours == theirs, left == right);
        }
    }

    fn card_of([a, b, c]: &[String; 3]) -> Key {
        card(
            &AccountId::new(a.as_str()).unwrap(),
            &IncidentId::new(b.as_str()).unwrap(),
            &ChannelId::new(c.as_str()).unwrap(),
        )
    }
}
