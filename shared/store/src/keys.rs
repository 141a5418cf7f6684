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
pub struct Key {
    pub pk: String,
    pub sk: String,
}

/// A key of a secondary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexKey {
    pub pk: String,
    pub sk: String,
}

pub const CARD: &str = "CARD#";
pub const CONNECTION: &str = "CONNECTION#";
pub const LINK: &str = "LINK#";
pub const PROVISIONAL: &str = "PROVISIONAL#";
pub const CHANNEL: &str = "CHANNEL#";
pub const DELIVERY: &str = "DELIVERY#";
pub const TEAM: &str = "TEAM#";
pub const SUBSCRIPTION: &str = "SUBSCRIPTION#";
pub const UNREADABLE: &str = "UNREADABLE#";
pub const KEPT: &str = "KEPT#";
pub const KEPT_UNTIL: &str = "KEPTUNTIL#";
pub const RECORD: &str = "RECORD";
pub const ROW: &str = "ROW#";

pub fn incident(account: &AccountId, incident: &IncidentId) -> String {
    format!("INCIDENT#{account}#{incident}")
}

pub fn record(account: &AccountId, id: &IncidentId) -> Key {
    Key { pk: incident(account, id), sk: RECORD.to_owned() }
}

/// Sparse: only open incidents are in it.
pub fn open_incident(account: &AccountId, id: &IncidentId) -> IndexKey {
    IndexKey { pk: open_incidents(account), sk: id.to_string() }
}

pub fn card(CardKey { account, incident: id, channel }: &CardKey) -> Key {
    Key { pk: incident(account, id), sk: format!("{CARD}{channel}") }
}

/// What is unfinished in a channel.
pub fn behind_set(account: &AccountId, channel: &ChannelId) -> String {
    format!("BEHIND#{account}#{channel}")
}

pub fn behind(account: &AccountId, channel: &ChannelId, subject: &Subject) -> Key {
    Key { pk: behind_set(account, channel), sk: subject.clone().into() }
}

/// What a channel's sender leaves for the next one.
pub fn channel_state(account: &AccountId, channel: &ChannelId) -> Key {
    Key { pk: format!("{CHANNEL}{account}#{channel}"), sk: "STATE".to_owned() }
}

/// The channels of an account in which anything has ever been marked.
pub fn channel_of_account(account_id: &AccountId, channel: &ChannelId) -> Key {
    Key { pk: account(account_id).pk, sk: format!("{CHANNEL}{channel}") }
}

/// A storm's rows, and what is left of it when all of them are over.
pub fn storm(account: &AccountId, channel: &ChannelId, storm: &StormId) -> String {
    format!("STORM#{account}#{channel}#{storm}")
}

/// In the order of the incidents' numbers.
pub fn storm_row(pk: String, number: u64, incident: &IncidentId) -> Key {
    Key { pk, sk: format!("{ROW}{number:020}#{incident}") }
}

pub fn storm_summary(pk: String) -> Key {
    Key { pk, sk: "SUMMARY".to_owned() }
}

/// What a tenant was sent in a window.
pub fn tenant_budget(tenant_id: &TenantId, window: TenantWindow) -> Key {
    Key { pk: tenant(tenant_id), sk: format!("BUDGET#{}", window.0) }
}

/// What PagerDuty was asked besides in a minute.
pub fn reads(account_id: &AccountId, minute: i64) -> Key {
    Key { pk: account(account_id).pk, sk: format!("READS#{minute}") }
}

/// The open incidents, as PagerDuty listed them last.
pub fn open_list(account_id: &AccountId) -> Key {
    Key { pk: account(account_id).pk, sk: "OPENLIST".to_owned() }
}

pub fn service(account: &AccountId, service: &ServiceId) -> String {
    format!("SERVICE#{account}#{service}")
}

pub fn connection(key: &ConnectionKey) -> Key {
    Key { pk: service(&key.account, &key.service), sk: format!("{CONNECTION}{}", key.channel) }
}

/// What became of a connection's newest message; apart from the connection, which people change.
pub fn last_delivery(key: &ConnectionKey) -> Key {
    Key { pk: service(&key.account, &key.service), sk: format!("{DELIVERY}{}", key.channel) }
}

/// Points to the service's subscription. In the service's partition, so that two admins at once read the same.
pub fn subscription_of(account: &AccountId, service_id: &ServiceId) -> Key {
    Key { pk: service(account, service_id), sk: "SUBSCRIPTION".to_owned() }
}

pub fn account(account: &AccountId) -> Key {
    Key { pk: format!("ACCOUNT#{account}"), sk: "ACCOUNT".to_owned() }
}

/// How far the reconciler has come.
pub fn round(account_id: &AccountId) -> Key {
    Key { pk: account(account_id).pk, sk: "ROUND".to_owned() }
}

/// How far PagerDuty's log has been read.
pub fn reading(account_id: &AccountId) -> Key {
    Key { pk: account(account_id).pk, sk: "NEWS".to_owned() }
}

/// The account that a PagerDuty app belongs to.
pub fn account_of_app(client_id: &str) -> Key {
    Key { pk: format!("APP#{client_id}"), sk: "ACCOUNT".to_owned() }
}

/// What a page of a way through the open incidents has shown.
pub fn swept(account_id: &AccountId, began_at: Timestamp, page: u32) -> Key {
    Key { pk: account(account_id).pk, sk: format!("{}{page:06}", swept_by(began_at)) }
}

pub fn swept_by(began_at: Timestamp) -> String {
    format!("SWEPT#{}#", began_at.as_second())
}

/// What the reconciler knows about itself, be the account known or not. A partition of its own: who writes it may not say which
/// account the app belongs to.
pub fn healing(client_id: &str) -> Key {
    Key { pk: format!("HEALING#{client_id}"), sk: "HEALING".to_owned() }
}

pub fn team_of_account(account: &AccountId, team: &TeamId) -> Key {
    Key { pk: format!("ACCOUNT#{account}"), sk: format!("{TEAM}{team}") }
}

/// A moment so that texts are in the order of time: RFC 3339 in UTC with a fixed number of digits.
pub fn in_order(at: Timestamp) -> String {
    format!("{at:.9}")
}

/// In the order of time; `time` is as [`in_order`] writes it.
pub fn audit(account: &AccountId, time: &str, id: &str) -> Key {
    Key { pk: format!("AUDIT#{account}"), sk: format!("{time}#{id}") }
}

/// In the order of time, as the audit; a partition for each UTC day, since there is a line for every webhook.
pub fn ledger(account: &AccountId, day: &str, time: &str, id: &str) -> Key {
    Key { pk: format!("LEDGER#{account}#{day}"), sk: format!("{time}#{id}") }
}

pub fn team(team: &TeamId) -> String {
    format!("TEAM#{team}")
}

pub fn channel(team_id: &TeamId, channel: &ChannelId) -> Key {
    Key { pk: team(team_id), sk: format!("{CHANNEL}{channel}") }
}

pub fn connection_in_team(team: &TeamId, channel: &ChannelId, service: &ServiceId) -> IndexKey {
    IndexKey { pk: self::team(team), sk: format!("{CONNECTION}{channel}#{service}") }
}

pub fn installation(team: &TeamId) -> Key {
    Key { pk: self::team(team), sk: "INSTALLATION".to_owned() }
}

pub fn tenant(tenant: &TenantId) -> String {
    format!("TENANT#{tenant}")
}

pub fn installation_in_tenant(tenant_id: &TenantId, team: &TeamId) -> IndexKey {
    IndexKey { pk: tenant(tenant_id), sk: format!("{TEAM}{team}") }
}

/// All open incidents of an account.
pub fn open_incidents(account: &AccountId) -> String {
    format!("OPEN#{account}")
}

pub fn subscription(id: &SubscriptionId) -> Key {
    Key { pk: format!("SUBSCRIPTION#{id}"), sk: "SUBSCRIPTION".to_owned() }
}

/// All subscriptions of an account can be found, so that none is left over.
pub fn subscription_of_account(account_id: &AccountId, id: &SubscriptionId) -> IndexKey {
    IndexKey { pk: account(account_id).pk, sk: format!("{SUBSCRIPTION}{id}") }
}

/// The same for the same body, however often it is delivered.
pub fn unreadable(id: &SubscriptionId, webhook: &str) -> Key {
    Key { pk: subscription(id).pk, sk: format!("{UNREADABLE}{webhook}") }
}

/// Kept bodies by who has looked at them last: those that an earlier version could not read come before this one's.
pub fn kept(account_id: &AccountId, reader: &str, at: Timestamp) -> IndexKey {
    IndexKey { pk: account(account_id).pk, sk: format!("{KEPT}{reader}#{}", in_order(at)) }
}

/// Kept bodies that are looked at again at a certain time, in the order of these times.
pub fn kept_until(account_id: &AccountId, at: Timestamp) -> IndexKey {
    IndexKey { pk: account(account_id).pk, sk: format!("{KEPT_UNTIL}{}", in_order(at)) }
}

/// That the bodies are in the index that were kept before there was one.
pub fn kept_are_listed(account_id: &AccountId) -> Key {
    Key { pk: account(account_id).pk, sk: "KEPT".to_owned() }
}

pub fn user(tenant: &TenantId, user: &EntraUserId) -> String {
    format!("USER#{tenant}#{user}")
}

pub fn link(tenant: &TenantId, person: &EntraUserId, account: &AccountId) -> Key {
    Key { pk: user(tenant, person), sk: format!("{LINK}{account}") }
}

/// All links of an account, and among them those of a tenant, can be found: they end when the account is disconnected.
pub fn link_of_account(account: &AccountId, tenant: &TenantId, person: &PdUserId) -> IndexKey {
    IndexKey { pk: links_of_account(account), sk: format!("{}{person}", of_tenant(tenant)) }
}

pub fn links_of_account(account: &AccountId) -> String {
    format!("LINKS#{account}")
}

pub fn of_tenant(tenant: &TenantId) -> String {
    format!("{tenant}#")
}

pub fn wanted(tenant: &TenantId, person: &EntraUserId, id: &str) -> Key {
    Key { pk: user(tenant, person), sk: format!("WANTED#{id}") }
}

/// A confirmed log-in that waits until Teams has named the user.
pub fn provisional(tenant: &TenantId, person: &EntraUserId, id: &str) -> Key {
    Key { pk: user(tenant, person), sk: format!("{PROVISIONAL}{id}") }
}

pub fn personal_chat(tenant: &TenantId, person: &EntraUserId) -> Key {
    Key { pk: user(tenant, person), sk: "CHAT".to_owned() }
}

/// A thing known by the SHA-256 of an unguessable text.
pub fn ticket(hash: &str) -> Key {
    Key { pk: format!("TICKET#{hash}"), sk: "TICKET".to_owned() }
}

pub fn attempt(hash: &str) -> Key {
    Key { pk: format!("ATTEMPT#{hash}"), sk: "ATTEMPT".to_owned() }
}

pub fn pending(hash: &str) -> Key {
    Key { pk: format!("PENDING#{hash}"), sk: "PENDING".to_owned() }
}

pub fn pending_authorization(hash: &str) -> Key {
    Key { pk: format!("PENDING#{hash}"), sk: "AUTHORIZATION".to_owned() }
}

/// Which confirmed log-in a browser waits for.
pub fn waiting(hash: &str) -> Key {
    Key { pk: format!("PENDING#{hash}"), sk: "WAITING".to_owned() }
}

/// What can be renewed once when the ticket is over.
pub fn renewal(hash: &str) -> Key {
    Key { pk: format!("TICKET#{hash}"), sk: "RENEWAL".to_owned() }
}

pub fn authorization_key(hash: &str) -> Key {
    Key { pk: format!("AUTHKEY#{hash}"), sk: "AUTHKEY".to_owned() }
}

pub fn session(hash: &str) -> Key {
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
    pub fn key(self) -> Key {
        once(&match self {
            Self::Activity(conversation, activity) => {
                format!("activity/{}/{}", part(conversation.as_str()), part(activity.as_str()))
            }
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
    pub fn key(&self) -> Key {
        once(&match self {
            Self::Connections(account, service) => {
                format!("connections/{}/{}", part(account.as_str()), part(service.as_str()))
            }
            Self::Reconciler(account) => format!("reconciler/{account}"),
        })
    }
}

/// An id as a part of a name: whatever it holds, where it ends can be told. One without a slash is as it is.
fn part(id: &str) -> String {
    id.replace('/', "#")
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

    #[test]
    fn what_is_done_once_is_known_by_all_of_its_ids() {
        let key = |conversation: &str, activity: &str| {
            let conversation = ConversationId::new(conversation).unwrap();
            OnceKey::Activity(&conversation, &ActivityId::new(activity).unwrap()).key()
        };
        let lock = |account: &str, service: &str| {
            LockKey::Connections(AccountId::new(account).unwrap(), ServiceId::new(service).unwrap()).key()
        };
        assert_ne!(key("a/b", "c"), key("a", "b/c"));
        assert_ne!(lock("a/b", "c"), lock("a", "b/c"));
        // As the version before names it.
        assert_eq!(key("19:x@thread.tacv2", "17"), once("activity/19:x@thread.tacv2/17"));
    }

    fn card_key([a, b, c]: &[String; 3]) -> CardKey {
        CardKey {
            account: AccountId::new(a.as_str()).unwrap(),
            incident: IncidentId::new(b.as_str()).unwrap(),
            channel: ChannelId::new(c.as_str()).unwrap(),
        }
    }
}
