//! The table's keys: no two things may share one, whatever their ids are.

use domain::behind::Subject;
use domain::budget::TenantWindow;
use domain::connection::ConnectionKey;
use domain::ids::{
    AccountId, ActivityId, ChannelId, ConversationId, EntraUserId, IncidentId, PdUserId, ServiceId, StormId,
    SubscriptionId, TeamId, TenantId, TestId,
};
use domain::plan::CardKey;
use jiff::Timestamp;
use store::keys as key;
use store::{LockKey, OnceKey};

use super::Texts;
use crate::engine::outcome;

/// A kind of key with the parts that it is made of.
struct Made {
    kind: &'static str,
    parts: Vec<String>,
    pk: String,
    sk: String,
}

/// Three texts, and three more; then the first three cut elsewhere.
pub(super) fn keys(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut texts = Texts::of(&text);
    let mut three = || [texts.next(), texts.next(), texts.next()].map(str::to_owned);
    let (one, other) = (three(), three());
    let mut all = all(&one);
    outcome(all.len());
    all.extend(self::all(&other));
    for separator in ["#", "/"] {
        all.extend(cut_elsewhere(&one.join(separator), separator).iter().flat_map(self::all));
    }
    all.sort_by(|one, other| (&one.pk, &one.sk).cmp(&(&other.pk, &other.sk)));
    for pair in all.windows(2) {
        let [one, other] = pair else { continue };
        if (&one.pk, &one.sk) == (&other.pk, &other.sk) {
            assert_eq!((one.kind, &one.parts), (other.kind, &other.parts), "share {} {}", one.pk, one.sk);
        }
    }
}

fn cut_elsewhere(joined: &str, separator: &str) -> Vec<[String; 3]> {
    let places: Vec<usize> = joined.match_indices(separator).map(|(at, _)| at).take(10).collect();
    let mut found = Vec::new();
    for (index, first) in places.iter().enumerate() {
        for second in places.iter().skip(index + 1) {
            let parts = [joined.get(..*first), joined.get(first + 1..*second), joined.get(second + 1..)];
            found.push(parts.map(|part| part.unwrap_or_default().to_owned()));
        }
    }
    found
}

/// Every key that these texts can be parts of; none of a text that is no id.
fn all(texts: &[String; 3]) -> Vec<Made> {
    let [a, b, c] = texts.each_ref().map(String::as_str);
    let (Ok(account), Ok(tenant), Ok(app)) = (AccountId::new(a), TenantId::new(a), AccountId::new(a)) else {
        return Vec::new();
    };
    let (Ok(incident), Ok(service), Ok(team), Ok(person)) =
        (IncidentId::new(b), ServiceId::new(b), TeamId::new(b), EntraUserId::new(b))
    else {
        return Vec::new();
    };
    let (Ok(channel), Ok(test), Ok(storm), Ok(other), Ok(pd_user)) =
        (ChannelId::new(c), TestId::new(c), StormId::new(c), AccountId::new(c), PdUserId::new(c))
    else {
        return Vec::new();
    };
    let (Ok(conversation), Ok(activity), Ok(subscription), Ok(first_team)) =
        (ConversationId::new(a), ActivityId::new(b), SubscriptionId::new(a), TeamId::new(a))
    else {
        return Vec::new();
    };
    let connected = ConnectionKey { account: account.clone(), service: service.clone(), channel: channel.clone() };
    let card = CardKey { account: account.clone(), incident: incident.clone(), channel: channel.clone() };
    let mut made = Vec::new();
    let mut add = |kind, parts: &[&str], key: key::Key| {
        let parts = parts.iter().map(|part| (*part).to_owned()).collect();
        made.push(Made { kind, parts, pk: key.pk, sk: key.sk });
    };
    add("record", &[a, b], key::record(&account, &incident));
    add("card", &[a, b, c], key::card(&card));
    add("behind", &[a, c, b], key::behind(&account, &channel, &Subject::Incident(incident.clone())));
    add("greeting", &[a, c, b], key::behind(&account, &channel, &Subject::Greeting(service.clone())));
    add("test", &[a, c, b], key::behind(&account, &channel, &Subject::Test(service.clone(), test)));
    add("lost", &[a, c, b], key::behind(&account, &channel, &Subject::ChannelLost(service.clone(), channel.clone())));
    add("team connected", &[a, c], key::behind(&account, &channel, &Subject::TeamConnected));
    add("channel state", &[a, c], key::channel_state(&account, &channel));
    add("channel of account", &[a, c], key::channel_of_account(&account, &channel));
    add("storm row", &[a, c, b], key::storm_row(key::storm(&account, &channel, &storm), 7, &incident));
    add("storm summary", &[a, c], key::storm_summary(key::storm(&account, &channel, &storm)));
    add("tenant budget", &[a], key::tenant_budget(&tenant, TenantWindow(7)));
    add("reads", &[a], key::reads(&account, 7));
    add("open list", &[a], key::open_list(&account));
    add("connection", &[a, b, c], key::connection(&connected));
    add("last delivery", &[a, b, c], key::last_delivery(&connected));
    add("subscription of service", &[a, b], key::subscription_of(&account, &service));
    add("account", &[a], key::account(&account));
    add("round", &[a], key::round(&account));
    add("reading", &[a], key::reading(&account));
    add("app", &[a], key::account_of_app(app.as_str()));
    add("healing", &[a], key::healing(app.as_str()));
    add("swept", &[a], key::swept(&account, Timestamp::UNIX_EPOCH, 7));
    add("team of account", &[a, b], key::team_of_account(&account, &team));
    add("channel", &[b, c], key::channel(&team, &channel));
    add("installation", &[a], key::installation(&first_team));
    add("subscription", &[a], key::subscription(&subscription));
    add("unreadable", &[a, b], key::unreadable(&subscription, incident.as_str()));
    add("kept are listed", &[a], key::kept_are_listed(&account));
    add("link", &[a, b, c], key::link(&tenant, &person, &other));
    add("wanted", &[a, b, c], key::wanted(&tenant, &person, other.as_str()));
    add("provisional", &[a, b, c], key::provisional(&tenant, &person, other.as_str()));
    add("chat", &[a, b], key::personal_chat(&tenant, &person));
    add("activity", &[a, b], once(OnceKey::Activity(&conversation, &activity)));
    add("welcome", &[b], once(OnceKey::Welcome(&team, Timestamp::UNIX_EPOCH)));
    add("connections", &[a, b], lock(&LockKey::Connections(account.clone(), service)));
    add("reconciler", &[a], lock(&LockKey::Reconciler(account.clone())));
    // Of the indexes as well: they are in tables of their own, but a prefix must not reach into somebody else's.
    let link = key::link_of_account(&account, &tenant, &pd_user);
    assert!(link.sk.starts_with(&key::of_tenant(&tenant)));
    made
}

fn once(key: OnceKey<'_>) -> key::Key {
    key.key()
}

fn lock(key: &LockKey) -> key::Key {
    key.key()
}
