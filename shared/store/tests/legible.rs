//! One part of a stored item that cannot be read costs itself: each in turn is made illegible.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod fixtures;
mod support;

use std::collections::HashMap;
use std::fmt::Debug;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::connection::{Account, Channel, ChannelKind, Connection, Filter, Health, Mentions};
use domain::ids::{EventId, IncidentId, PdUserId, ServiceId, SubscriptionId, TeamId, TenantId};
use domain::incident::{
    Actor, Asked, Happening, IncidentEvent, IncidentRecord, Priority, ServiceRef, Snapshot, Status, Urgency,
};
use domain::linking::AccountLink;
use domain::zone::Zone;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use store::Subscription;

use crate::fixtures::{LATER, T0, account, at, channel};
use crate::support::{TABLE, table};

fn service() -> ServiceRef {
    ServiceRef { id: ServiceId::new("PSVC").unwrap(), name: "Payments".to_owned() }
}

fn ada() -> Actor {
    Actor { user: PdUserId::new("PADA").ok(), name: "Ada".to_owned() }
}

fn snapshot() -> Snapshot {
    Snapshot {
        number: 12,
        title: "DB down".to_owned(),
        status: Status::Acknowledged,
        urgency: Urgency::Low,
        priority: Some(Priority { id: "PPRIO".parse().ok(), name: "P1".to_owned() }),
        service: service(),
        escalation_policy: Some("Default".to_owned()),
        assignees: vec![ada(), Actor { user: None, name: "Ben".to_owned() }],
        html_url: "https://acme.pagerduty.com/incidents/PINC".to_owned(),
        created_at: Some(T0),
        merged_into: Some("PINC2".to_owned()),
    }
}

fn incident() -> IncidentId {
    IncidentId::new("PINC").unwrap()
}

fn record() -> IncidentRecord {
    let event = |id: &str, what| IncidentEvent {
        id: EventId::new(id).unwrap(),
        occurred_at: Some(at(2)),
        incident: incident(),
        by: Some(ada()),
        snapshot: Some(snapshot()),
        what: Some(what),
    };
    IncidentRecord::from_event(account(), event("E1", Happening::Acknowledged), T0).merge(IncidentRecord::from_event(
        account(),
        event("E2", Happening::Note { content: "n".to_owned() }),
        T0,
    ))
}

fn subscription() -> Subscription {
    let sealed =
        |key: &str| serde_json::from_value(json!({ "key_id": key, "nonce": "AAAA", "bytes": "AAAA" })).unwrap();
    Subscription {
        id: SubscriptionId::new("PWHS").unwrap(),
        account: account(),
        service: service().id,
        secrets: vec![sealed("k1"), sealed("k2")],
        created_at: T0,
        url: Some("https://bridge.example/".to_owned()),
    }
}

type Path = Vec<String>;

/// The place of everything in a value.
fn places(value: &AttributeValue, at: &Path, found: &mut Vec<Path>) {
    if !at.is_empty() {
        found.push(at.clone());
    }
    let mut within = |name: &str, value: &AttributeValue| {
        places(value, &at.iter().cloned().chain([name.to_owned()]).collect(), found);
    };
    match value {
        AttributeValue::M(fields) => fields.iter().for_each(|(name, value)| within(name, value)),
        AttributeValue::L(list) => list.iter().enumerate().for_each(|(n, value)| within(&n.to_string(), value)),
        _ => {}
    }
}

fn part<'a>(value: &'a mut AttributeValue, path: &[String]) -> &'a mut AttributeValue {
    path.iter().fold(value, |value, name| match value {
        AttributeValue::M(fields) => fields.get_mut(name).unwrap(),
        AttributeValue::L(list) => &mut list[name.parse::<usize>().unwrap()],
        other => panic!("{other:?} has no {name}"),
    })
}

fn odd() -> Vec<AttributeValue> {
    vec![
        AttributeValue::Null(true),
        AttributeValue::Bool(true),
        AttributeValue::N("-1.5E+120".to_owned()),
        AttributeValue::S("\u{fffd}\u{0}".to_owned()),
        AttributeValue::L(vec![AttributeValue::Bool(false)]),
        AttributeValue::M(HashMap::from([("what".to_owned(), AttributeValue::Null(true))])),
    ]
}

/// `needed`: what nothing can be done without; `lost`: whether so much is gone that it is as good as unreadable.
fn costs_itself<T>(whole: &T, needed: &[&str], lost: impl Fn(&T) -> bool)
where
    T: Serialize + DeserializeOwned + Debug + PartialEq,
{
    let value: AttributeValue = serde_dynamo::to_attribute_value(whole).unwrap();
    assert_eq!(&serde_dynamo::from_attribute_value::<_, T>(value.clone()).unwrap(), whole);
    let mut found = Vec::new();
    places(&value, &Vec::new(), &mut found);
    assert!(found.len() >= 3);
    for path in found {
        for odd in odd() {
            let mut spoilt = value.clone();
            *part(&mut spoilt, &path) = odd.clone();
            let place = path.join(".");
            let read = serde_dynamo::from_attribute_value::<_, T>(spoilt).ok().filter(|read| !lost(read));
            if !needed.contains(&place.as_str()) {
                assert!(read.is_some(), "{place} as {odd:?} costs all");
            }
        }
    }
}

#[test]
fn a_part_of_an_item_costs_itself() {
    let ids = |names: &[&'static str]| names.to_vec();
    let snapshot_gone = |record: &IncidentRecord| record.snapshot.is_none();
    // Without these there is no state, which is a gap and is asked for.
    let state = ["snapshot", "snapshot.version", "snapshot.version.at", "snapshot.version.by", "snapshot.value"];
    let state =
        [&state[..], &["snapshot.value.status", "snapshot.value.service", "snapshot.value.service.id"]].concat();
    costs_itself(&record(), &[&ids(&["account", "id"])[..], &state].concat(), snapshot_gone);
    costs_itself(&record(), &["account", "id"], |_| false);

    let connection = Connection {
        account: account(),
        service: service().id,
        service_name: "Payments".to_owned(),
        channel: channel(),
        team: TeamId::new("19:team@thread.tacv2").unwrap(),
        tenant: TenantId::new("tenant-1").unwrap(),
        filter: Filter::default(),
        zone: Zone::named("Asia/Tokyo").unwrap(),
        mentions: Mentions::default(),
        health: Health::Broken { reason: "ChannelDeleted".to_owned(), since: T0 },
        created_at: T0,
        created_by: Some("Ada".to_owned()),
    };
    costs_itself(&connection, &ids(&["account", "service", "channel", "team", "tenant"]), |_| false);

    let known = Channel {
        id: channel(),
        team: connection.team.clone(),
        name: Some("Payments".to_owned()),
        kind: ChannelKind::Private,
        deleted: false,
    };
    costs_itself(&known, &ids(&["id", "team"]), |_| false);

    let of_app = Account { id: account(), subdomain: "acme".to_owned(), web: "https://acme.pagerduty.com".to_owned() };
    costs_itself(&of_app, &ids(&["id"]), |_| false);

    let link = AccountLink {
        tenant: connection.tenant.clone(),
        user: "entra-1".parse().unwrap(),
        teams_name: "Ada".to_owned(),
        account: account(),
        pd_user: "PADA".parse().unwrap(),
        pd_name: "Ada".to_owned(),
        pd_email: "ada@acme.example".to_owned(),
        linked_at: T0,
    };
    costs_itself(&link, &ids(&["tenant", "user", "account", "pd_user", "linked_at"]), |_| false);

    costs_itself(&subscription(), &ids(&["id", "account", "service", "secrets"]), |read| read.secrets.is_empty());
}

#[test]
fn a_subscription_of_which_no_secret_can_be_read_is_none() {
    let with = |secrets: serde_json::Value| {
        let mut subscription = serde_json::to_value(subscription()).unwrap();
        subscription["secrets"] = secrets;
        serde_json::from_value::<Subscription>(subscription).map(|read| read.secrets.len()).ok()
    };
    let whole = json!({ "key_id": "k", "nonce": "AAAA", "bytes": "AAAA" });
    for (secrets, expected) in [
        (json!([whole, 7]), Some(1)),
        (json!([{ "key_id": null }, whole, null]), Some(1)),
        (json!([{ "key_id": "k", "nonce": 7, "bytes": "AAAA" }]), None),
        (json!("k"), None),
        (json!([]), Some(0)),
    ] {
        assert_eq!(with(secrets.clone()), expected, "{secrets}");
    }
}

/// As a process of another version, or a hand, has left it.
#[tokio::test]
async fn a_title_that_cannot_be_read_is_asked_for_and_hides_no_state() {
    let (store, client) = table().await;
    store.merge_record(record(), LATER).await.unwrap();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let get = client.get_item().table_name(TABLE).key("pk", text("INCIDENT#PACCT#PINC")).key("sk", text("RECORD"));
    let mut item = get.send().await.unwrap().item.unwrap();
    for field in ["title", "number"] {
        let path = ["snapshot", "value", field].map(str::to_owned);
        *part(item.get_mut("data").unwrap(), &path) = AttributeValue::Bool(true);
    }
    client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();

    let stored = store.record(&account(), &incident()).await.unwrap().unwrap();
    let expected = Snapshot { number: 0, title: String::new(), ..snapshot() };
    assert_eq!((stored.record.state(), stored.gap), (Some(&expected), true));
    let asked = IncidentRecord::from_rest(
        account(),
        incident(),
        at(2),
        snapshot(),
        None,
        Asked { knowing: Some(at(2)), ..Asked::at(at(9)) },
    );
    store.merge_record(asked, LATER).await.unwrap();
    let stored = store.record(&account(), &incident()).await.unwrap().unwrap();
    assert_eq!((stored.record.state(), stored.gap), (Some(&snapshot()), false));
}
