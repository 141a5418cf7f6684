//! Every key of the table is built here, and only here.
//!
//! Ids never contain `#` (see `domain::ids`), so parts joined by it can be told apart. Every key begins with the account,
//! tenant or team, or with an id that is signed or unguessable, so an unscoped read cannot be written.

use domain::behind::Subject;
use domain::budget::TenantWindow;
use domain::connection::ConnectionKey;
use domain::ids::{
    AccountId, ActivityId, ChannelId, ConversationId, EntraUserId, IncidentId, PdUserId, ServiceId, StormId,
    SubscriptionId, TeamId, TenantId,
};
use domain::plan::CardKey;
use jiff::Timestamp;

use crate::hash::sha256;

/// A primary key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

/// A key of a secondary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexKey {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

pub(crate) const CARD: &str = "CARD#";
pub(crate) const CONNECTION: &str = "CONNECTION#";
pub(crate) const LINK: &str = "LINK#";
pub(crate) const PROVISIONAL: &str = "PROVISIONAL#";
pub(crate) const CHANNEL: &str = "CHANNEL#";
pub(crate) const DELIVERY: &str = "DELIVERY#";
pub(crate) const TEAM: &str = "TEAM#";
pub(crate) const SUBSCRIPTION: &str = "SUBSCRIPTION#";
pub(crate) const UNREADABLE: &str = "UNREADABLE#";
pub(crate) const KEPT: &str = "KEPT#";
pub(crate) const KEPT_UNTIL: &str = "KEPTUNTIL#";
pub(crate) const RECORD: &str = "RECORD";
pub(crate) const ROW: &str = "ROW#";

pub(crate) fn incident(account: &AccountId, incident: &IncidentId) -> String {
    format!("INCIDENT#{account}#{incident}")
}

pub(crate) fn record(account: &AccountId, id: &IncidentId) -> Key {
    Key { pk: incident(account, id), sk: RECORD.to_owned() }
}

/// Sparse: only open incidents are in it.
pub(crate) fn open_incident(account: &AccountId, id: &IncidentId) -> IndexKey {
    IndexKey { pk: open_incidents(account), sk: id.to_string() }
}

pub(crate) fn card(CardKey { account, incident: id, channel }: &CardKey) -> Key {
    Key { pk: incident(account, id), sk: format!("{CARD}{channel}") }
}

/// What is unfinished in a channel.
pub(crate) fn behind_set(account: &AccountId, channel: &ChannelId) -> String {
    format!("BEHIND#{account}#{channel}")
}

pub(crate) fn behind(account: &AccountId, channel: &ChannelId, subject: &Subject) -> Key {
    Key { pk: behind_set(account, channel), sk: subject.clone().into() }
}

/// What a channel's sender leaves for the next one.
pub(crate) fn channel_state(account: &AccountId, channel: &ChannelId) -> Key {
    Key { pk: format!("{CHANNEL}{account}#{channel}"), sk: "STATE".to_owned() }
}

/// The channels of an account in which anything has ever been marked.
pub(crate) fn channel_of_account(account_id: &AccountId, channel: &ChannelId) -> Key {
    Key { pk: account(account_id).pk, sk: format!("{CHANNEL}{channel}") }
}

/// A storm's rows, and what is left of it when all of them are over.
pub(crate) fn storm(account: &AccountId, channel: &ChannelId, storm: &StormId) -> String {
    format!("STORM#{account}#{channel}#{storm}")
}

/// In the order of the incidents' numbers.
pub(crate) fn storm_row(pk: String, number: u64, incident: &IncidentId) -> Key {
    Key { pk, sk: format!("{ROW}{number:020}#{incident}") }
}

pub(crate) fn storm_summary(pk: String) -> Key {
    Key { pk, sk: "SUMMARY".to_owned() }
}

/// What a tenant was sent in a window.
pub(crate) fn tenant_budget(tenant_id: &TenantId, window: TenantWindow) -> Key {
    Key { pk: tenant(tenant_id), sk: format!("BUDGET#{}", window.0) }
}

/// What PagerDuty was asked besides in a minute.
pub(crate) fn reads(account_id: &AccountId, minute: i64) -> Key {
    Key { pk: account(account_id).pk, sk: format!("READS#{minute}") }
}

/// The open incidents, as PagerDuty listed them last.
pub(crate) fn open_list(account_id: &AccountId) -> Key {
    Key { pk: account(account_id).pk, sk: "OPENLIST".to_owned() }
}

pub(crate) fn service(account: &AccountId, service: &ServiceId) -> String {
    format!("SERVICE#{account}#{service}")
}

pub(crate) fn connection(key: &ConnectionKey) -> Key {
    Key { pk: service(&key.account, &key.service), sk: format!("{CONNECTION}{}", key.channel) }
}

/// What became of a connection's newest message; apart from the connection, which people change.
pub(crate) fn last_delivery(key: &ConnectionKey) -> Key {
    Key { pk: service(&key.account, &key.service), sk: format!("{DELIVERY}{}", key.channel) }
}

/// Points to the service's subscription. In the service's partition, so that two admins at once read the same.
pub(crate) fn subscription_of(account: &AccountId, service_id: &ServiceId) -> Key {
    Key { pk: service(account, service_id), sk: "SUBSCRIPTION".to_owned() }
}

pub(crate) fn account(account: &AccountId) -> Key {
    Key { pk: format!("ACCOUNT#{account}"), sk: "ACCOUNT".to_owned() }
}

/// How far the reconciler has come.
pub(crate) fn round(account_id: &AccountId) -> Key {
    Key { pk: account(account_id).pk, sk: "ROUND".to_owned() }
}

/// How far PagerDuty's log has been read.
pub(crate) fn reading(account_id: &AccountId) -> Key {
    Key { pk: account(account_id).pk, sk: "NEWS".to_owned() }
}

/// The account that a PagerDuty app belongs to.
pub(crate) fn account_of_app(client_id: &str) -> Key {
    Key { pk: format!("APP#{client_id}"), sk: "ACCOUNT".to_owned() }
}

/// What a page of a way through the open incidents has shown.
pub(crate) fn swept(account_id: &AccountId, began_at: Timestamp, page: u32) -> Key {
    Key { pk: account(account_id).pk, sk: format!("{}{page:06}", swept_by(began_at)) }
}

pub(crate) fn swept_by(began_at: Timestamp) -> String {
    format!("SWEPT#{}#", began_at.as_second())
}

/// What the reconciler knows about itself, be the account known or not. A partition of its own: who writes it may not say which
/// account the app belongs to.
pub(crate) fn healing(client_id: &str) -> Key {
    Key { pk: format!("HEALING#{client_id}"), sk: "HEALING".to_owned() }
}

pub(crate) fn team_of_account(account: &AccountId, team: &TeamId) -> Key {
    Key { pk: format!("ACCOUNT#{account}"), sk: format!("{TEAM}{team}") }
}

/// A moment so that texts are in the order of time: RFC 3339 in UTC with a fixed number of digits.
pub(crate) fn in_order(at: Timestamp) -> String {
    format!("{at:.9}")
}

/// In the order of time; `time` is as [`in_order`] writes it.
pub(crate) fn audit(account: &AccountId, time: &str, id: &str) -> Key {
    Key { pk: format!("AUDIT#{account}"), sk: format!("{time}#{id}") }
}

/// In the order of time, as the audit; a partition for each UTC day, since there is a line for every webhook.
pub(crate) fn ledger(account: &AccountId, day: &str, time: &str, id: &str) -> Key {
    Key { pk: format!("LEDGER#{account}#{day}"), sk: format!("{time}#{id}") }
}

pub(crate) fn team(team: &TeamId) -> String {
    format!("TEAM#{team}")
}

pub(crate) fn channel(team_id: &TeamId, channel: &ChannelId) -> Key {
    Key { pk: team(team_id), sk: format!("{CHANNEL}{channel}") }
}

pub(crate) fn connection_in_team(team: &TeamId, channel: &ChannelId, service: &ServiceId) -> IndexKey {
    IndexKey { pk: self::team(team), sk: format!("{CONNECTION}{channel}#{service}") }
}

pub(crate) fn installation(team: &TeamId) -> Key {
    Key { pk: self::team(team), sk: "INSTALLATION".to_owned() }
}

pub(crate) fn tenant(tenant: &TenantId) -> String {
    format!("TENANT#{tenant}")
}

pub(crate) fn installation_in_tenant(tenant_id: &TenantId, team: &TeamId) -> IndexKey {
    IndexKey { pk: tenant(tenant_id), sk: format!("{TEAM}{team}") }
}

/// All open incidents of an account.
pub(crate) fn open_incidents(account: &AccountId) -> String {
    format!("OPEN#{account}")
}

pub(crate) fn subscription(id: &SubscriptionId) -> Key {
    Key { pk: format!("SUBSCRIPTION#{id}"), sk: "SUBSCRIPTION".to_owned() }
}

/// All subscriptions of an account can be found, so that none is left over.
pub(crate) fn subscription_of_account(account_id: &AccountId, id: &SubscriptionId) -> IndexKey {
    IndexKey { pk: account(account_id).pk, sk: format!("{SUBSCRIPTION}{id}") }
}

/// The same for the same body, however often it is delivered.
pub(crate) fn unreadable(id: &SubscriptionId, webhook: &str) -> Key {
    Key { pk: subscription(id).pk, sk: format!("{UNREADABLE}{webhook}") }
}

/// Kept bodies by who has looked at them last: those that an earlier version could not read come before this one's.
pub(crate) fn kept(account_id: &AccountId, reader: &str, at: Timestamp) -> IndexKey {
    IndexKey { pk: account(account_id).pk, sk: format!("{KEPT}{reader}#{}", in_order(at)) }
}

/// Kept bodies that are looked at again at a certain time, in the order of these times.
pub(crate) fn kept_until(account_id: &AccountId, at: Timestamp) -> IndexKey {
    IndexKey { pk: account(account_id).pk, sk: format!("{KEPT_UNTIL}{}", in_order(at)) }
}

/// That the bodies are in the index that were kept before there was one.
pub(crate) fn kept_are_listed(account_id: &AccountId) -> Key {
    Key { pk: account(account_id).pk, sk: "KEPT".to_owned() }
}

pub(crate) fn user(tenant: &TenantId, user: &EntraUserId) -> String {
    format!("USER#{tenant}#{user}")
}

pub(crate) fn link(tenant: &TenantId, person: &EntraUserId, account: &AccountId) -> Key {
    Key { pk: user(tenant, person), sk: format!("{LINK}{account}") }
}

/// All links of an account, and among them those of a tenant, can be found: they end when the account is disconnected.
pub(crate) fn link_of_account(account: &AccountId, tenant: &TenantId, person: &PdUserId) -> IndexKey {
    IndexKey { pk: links_of_account(account), sk: format!("{}{person}", of_tenant(tenant)) }
}

pub(crate) fn links_of_account(account: &AccountId) -> String {
    format!("LINKS#{account}")
}

pub(crate) fn of_tenant(tenant: &TenantId) -> String {
    format!("{tenant}#")
}

pub(crate) fn wanted(tenant: &TenantId, person: &EntraUserId, id: &str) -> Key {
    Key { pk: user(tenant, person), sk: format!("WANTED#{id}") }
}

/// A confirmed log-in that waits until Teams has named the user.
pub(crate) fn provisional(tenant: &TenantId, person: &EntraUserId, id: &str) -> Key {
    Key { pk: user(tenant, person), sk: format!("{PROVISIONAL}{id}") }
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

pub(crate) fn pending_authorization(hash: &str) -> Key {
    Key { pk: format!("PENDING#{hash}"), sk: "AUTHORIZATION".to_owned() }
}

/// Which confirmed log-in a browser waits for.
pub(crate) fn waiting(hash: &str) -> Key {
    Key { pk: format!("PENDING#{hash}"), sk: "WAITING".to_owned() }
}

/// What can be renewed once when the ticket is over.
pub(crate) fn renewal(hash: &str) -> Key {
    Key { pk: format!("TICKET#{hash}"), sk: "RENEWAL".to_owned() }
}

pub(crate) fn authorization_key(hash: &str) -> Key {
    Key { pk: format!("AUTHKEY#{hash}"), sk: "AUTHKEY".to_owned() }
}

pub(crate) fn session(hash: &str) -> Key {
    Key { pk: format!("SESSION#{hash}"), sk: "SESSION".to_owned() }
}

/// What is done once, however often it is asked for.
#[derive(Debug, Clone, Copy)]
pub enum OnceKey<'a> {
    /// Acting on an activity, which Teams may send again.
    Activity(&'a ConversationId, &'a ActivityId),
    /// A deed of this name on an incident; the digest tells whose it is, and what was typed.
    Deed(&'a IncidentId, &'a str, &'a str),
    /// The incident of a form that a person has opened, by their digest.
    Form(&'a str),
    /// The welcome after an installation.
    Welcome(&'a TeamId, Timestamp),
}

impl OnceKey<'_> {
    pub(crate) fn key(self) -> Key {
        once(&match self {
            Self::Activity(conversation, activity) => format!("activity/{conversation}/{activity}"),
            Self::Deed(incident, name, digest) => format!("{name}/{incident}/{digest}"),
            Self::Form(digest) => format!("form/{digest}"),
            Self::Welcome(team, installed_at) => format!("welcome/{team}/{installed_at}"),
        })
    }
}

/// What only one at a time may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockKey {
    /// Changing the connections of a service, and with them its subscription.
    Connections(AccountId, ServiceId),
    /// Reconciling an account.
    Reconciler(AccountId),
}

impl LockKey {
    pub(crate) fn key(&self) -> Key {
        once(&match self {
            Self::Connections(account, service) => format!("connections/{account}/{service}"),
            Self::Reconciler(account) => format!("reconciler/{account}"),
        })
    }
}

/// Names hold what no id may, so they are known by their SHA-256.
fn once(name: &str) -> Key {
    Key { pk: format!("ONCE#{}", sha256(name)), sk: "ONCE".to_owned() }
}

#[cfg(test)]
mod tests {
    use domain::ids::TestId;
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
        let (service, team) = (ServiceId::new(b.as_str()).unwrap(), TeamId::new(b.as_str()).unwrap());
        let connected = ConnectionKey { account: account.clone(), service: service.clone(), channel: channel.clone() };
        let conversation = ConversationId::new(a.as_str()).unwrap();
        let activity = ActivityId::new(b.as_str()).unwrap();
        vec![
            record(&account, &incident),
            card(&card_key(parts)),
            connection(&connected),
            installation(&TeamId::new(a.as_str()).unwrap()),
            super::channel(&TeamId::new(a.as_str()).unwrap(), &channel),
            last_delivery(&connected),
            behind(&account, &channel, &Subject::Incident(incident.clone())),
            behind(&account, &channel, &Subject::Greeting(service.clone())),
            behind(&account, &channel, &Subject::Test(service.clone(), TestId::new(a.as_str()).unwrap())),
            channel_state(&account, &channel),
            channel_of_account(&account, &channel),
            storm_row(storm(&account, &channel, &StormId::begun_in(7)), 7, &incident),
            storm_summary(storm(&account, &channel, &StormId::begun_in(7))),
            tenant_budget(&tenant, TenantWindow(7)),
            reads(&account, 7),
            open_list(&account),
            subscription_of(&account, &service),
            super::account(&account),
            account_of_app(a),
            healing(a),
            round(&account),
            swept(&account, Timestamp::UNIX_EPOCH, 7),
            reading(&account),
            kept_are_listed(&account),
            team_of_account(&account, &team),
            audit(&account, b, c),
            ledger(&account, b, c, a),
            wanted(&tenant, &user, c),
            pending_authorization(a),
            renewal(a),
            authorization_key(a),
            session(a),
            subscription(&subscription_id),
            unreadable(&subscription_id, b),
            link(&tenant, &user, &AccountId::new(c.as_str()).unwrap()),
            personal_chat(&tenant, &user),
            provisional(&tenant, &user, c),
            waiting(a),
            ticket(a),
            attempt(a),
            pending(a),
            OnceKey::Activity(&conversation, &activity).key(),
            OnceKey::Deed(&incident, b, a).key(),
            OnceKey::Form(a).key(),
            OnceKey::Welcome(&team, Timestamp::UNIX_EPOCH).key(),
            LockKey::Connections(account.clone(), service).key(),
            LockKey::Reconciler(account).key(),
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
            let (ours, theirs) = (card(&card_key(&left)), card(&card_key(&right)));
            prop_assert_eq!(ours == theirs, left == right);
        }
    }

    fn card_key([a, b, c]: &[String; 3]) -> CardKey {
        CardKey {
            account: AccountId::new(a.as_str()).unwrap(),
            incident: IncidentId::new(b.as_str()).unwrap(),
            channel: ChannelId::new(c.as_str()).unwrap(),
        }
    }
}
