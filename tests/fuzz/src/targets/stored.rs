//! What lies in the table, as another version, an operator or a fault has left it: reading it never ends anything.

use std::collections::HashMap;
use std::path::Path;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::{AccountId, ChannelId, EntraUserId, IncidentId, ServiceId, SubscriptionId, TeamId, TenantId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use store::secret_hash;

use crate::engine::outcome;
use crate::stack::{self, Stack};

type Attributes = HashMap<String, AttributeValue>;

/// The attributes that a document stands for.
fn attribute(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(is) => AttributeValue::Bool(*is),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(list) => AttributeValue::L(list.iter().map(attribute).collect()),
        Value::Object(fields) => {
            AttributeValue::M(fields.iter().map(|(name, value)| (name.clone(), attribute(value))).collect())
        }
    }
}

/// Whatever can be read can be written and is the same when it is read again.
fn stays<T: DeserializeOwned + Serialize>(kind: &'static str, value: &AttributeValue) {
    let read: Result<T, _> = serde_dynamo::from_attribute_value(value.clone());
    outcome((kind, read.is_ok()));
    let Ok(read) = read else { return };
    let written = |value: &T| {
        serde_dynamo::to_attribute_value::<_, AttributeValue>(value)
            .unwrap_or_else(|error| panic!("{kind} cannot be written: {error}"))
    };
    let first = written(&read);
    let again: T = serde_dynamo::from_attribute_value(first.clone())
        .unwrap_or_else(|error| panic!("{kind} cannot be read again: {error}"));
    assert_eq!(written(&again), first, "{kind} changes when it is read and written");
}

/// Every kind of value that items hold.
pub(super) fn values(input: &[u8]) {
    let Ok(document) = wire::read(input) else { return };
    let value = attribute(&document);
    stays::<domain::incident::IncidentRecord>("record", &value);
    stays::<domain::plan::CardRecord>("card", &value);
    stays::<domain::channel::State>("channel state", &value);
    stays::<domain::behind::Marked>("behind", &value);
    stays::<domain::behind::Subject>("subject", &value);
    stays::<domain::connection::Connection>("connection", &value);
    stays::<domain::connection::Installation>("installation", &value);
    stays::<domain::connection::Account>("account", &value);
    stays::<domain::connection::Channel>("channel", &value);
    stays::<domain::connection::LastDelivery>("last delivery", &value);
    stays::<domain::ledger::LedgerEntry>("ledger", &value);
    stays::<domain::linking::AccountLink>("link", &value);
    stays::<domain::linking::Ticket>("ticket", &value);
    stays::<domain::linking::AuthorizationKey>("key", &value);
    stays::<domain::linking::WantedAction>("wanted", &value);
    stays::<domain::proof::Standing>("standing", &value);
    stays::<domain::round::Round>("round", &value);
    stays::<domain::news::Reading>("reading", &value);
    stays::<domain::healing::Healing>("healing", &value);
    stays::<domain::storm::Storm>("storm", &value);
    stays::<domain::storm::Row>("row", &value);
    stays::<domain::budget::Budget>("budget", &value);
    stays::<domain::zone::Zone>("zone", &value);
    stays::<domain::details::Details>("details", &value);
    stays::<domain::deed::Deed>("deed", &value);
    stays::<store::Session>("session", &value);
    stays::<store::AuditEntry>("audit", &value);
    stays::<store::PendingAuthorization>("pending authorization", &value);
    stays::<store::PendingLink>("pending link", &value);
    stays::<store::PersonalChat>("chat", &value);
    stays::<store::Attempt>("attempt", &value);
    stays::<store::OpenList>("open list", &value);
}

/// A whole item, as the store reads it.
pub(super) fn items(input: &[u8]) {
    let Ok(Value::Object(mut document)) = wire::read(input) else { return };
    // So that it is found by whoever looks for one of its kind.
    let text = |document: &serde_json::Map<String, Value>, name: &str| {
        document
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty() && text.len() < 1000)
            .map(str::to_owned)
    };
    let (Some(pk), Some(sk)) = (text(&document, "pk"), text(&document, "sk")) else { return };
    for name in ["gsi1pk", "gsi1sk", "gsi2pk", "gsi2sk"] {
        if document.get(name).is_some_and(|value| value.as_str().is_none_or(str::is_empty)) {
            document.remove(name);
        }
    }
    let item: Attributes = document.iter().map(|(name, value)| (name.clone(), attribute(value))).collect();
    stack::with(|stack| stack.wait(put_and_read(stack, item, &pk, &sk)));
}

async fn put_and_read(stack: &Stack, item: Attributes, pk: &str, sk: &str) {
    let app = &stack.inside.app;
    let client = stack.inside.clients.dynamodb.clone();
    let table = &app.config.table;
    let put = client.put_item().table_name(table).set_item(Some(item)).send().await;
    outcome(put.is_ok());
    if put.is_ok() {
        read(stack, pk).await;
        let key = |text: &str| AttributeValue::S(text.to_owned());
        let deleted = client.delete_item().table_name(table).key("pk", key(pk)).key("sk", key(sk)).send().await;
        assert!(deleted.is_ok(), "cannot be deleted");
    }
}

/// Whatever the store can be asked about the ids in the key, and about those of the stack.
async fn read(stack: &Stack, pk: &str) {
    let (app, now) = (&stack.inside.app, stack.now());
    let store = &app.store;
    let parts: Vec<&str> = pk.split('#').collect();
    let part = |index: usize| parts.get(index).copied().unwrap_or("X");
    let account: AccountId = super::id(part(1), "X");
    let (incident, service): (IncidentId, ServiceId) = (super::id(part(2), "X"), super::id(part(2), "X"));
    let channel: ChannelId = super::id(part(2), "X");
    let (team, tenant, user): (TeamId, TenantId, EntraUserId) =
        (super::id(part(1), "X"), super::id(part(1), "X"), super::id(part(2), "X"));
    let subscription: SubscriptionId = super::id(part(1), "X");
    outcome((
        part(0),
        store.incident_with_cards(&account, &incident).await.is_ok(),
        store.behind_set(&account, &channel).await.is_ok(),
        store.connections_of_service(&account, &service).await.is_ok(),
        store.installation(&team).await.is_ok(),
        store.links_of(&tenant, &user).await.is_ok(),
        store.subscription(&subscription).await.is_ok(),
        store.open_incidents(&account).await.is_ok(),
    ));
    let hash = secret_hash(part(1));
    outcome((
        store.ticket(part(1), now).await.is_ok(),
        store.session(part(1), now).await.is_ok(),
        hash == secret_hash(part(1)),
    ));
}

/// Items that the store's own tests keep, of this version, the one before and a later one.
pub(crate) fn kept() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/store/tests/golden");
    let folders = ["before", "newer"].map(|name| std::fs::read_dir(folder.join(name)));
    let files = folders.into_iter().flatten().flatten().filter_map(Result::ok);
    let mut files: Vec<_> = files.map(|file| file.path()).collect();
    files.sort();
    files.iter().filter_map(|file| std::fs::read(file).ok()).collect()
}

/// What these items hold.
pub(crate) fn kept_values() -> Vec<Vec<u8>> {
    let value =
        |item: &Vec<u8>| Some(serde_json::from_slice::<Value>(item).ok()?.get("data")?.to_string().into_bytes());
    kept().iter().filter_map(value).collect()
}
