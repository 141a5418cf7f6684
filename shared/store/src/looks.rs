//! What is known of several unfinished things, in one consistent read.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::types::KeysAndAttributes;
use domain::behind::{Behind, Subject};
use domain::channel::{Facts, Listed};
use domain::connection::{Connection, ConnectionKey, Installation, LastDelivery};
use domain::ids::ServiceId;
use domain::plan::CardRecord;

use crate::cards::SeenCard;
use crate::incidents::StoredRecord;
use crate::item::{Attributes, data, data_or_skip, key_attributes, key_of, or_skip};
use crate::keys::Key;
use crate::{Error, Store, keys};

/// `BatchGetItem` takes at most so many keys (DynamoDB API reference).
const BATCH: usize = 100;

/// How often the rest is asked for of what DynamoDB did not give at once.
const TRIES: usize = 5;

/// What is known of an unfinished thing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Look {
    pub facts: Facts,
    /// The card as it is stored.
    pub seen: SeenCard,
    /// What became of the connection's newest message.
    pub last: Option<LastDelivery>,
    /// Whether something could not be read that has to be known before anything is done.
    pub unreadable: bool,
}

impl Store {
    /// What is known of each of some unfinished things of one channel, in their order.
    pub async fn look_at(&self, items: &[&Behind]) -> Result<Vec<Look>, Error> {
        let mut wanted: HashSet<Key> = HashSet::new();
        for item in items {
            wanted.insert(keys::installation(&item.marked.team));
            if let Some(connection) = connection_key(item, service_of(item)) {
                wanted.insert(keys::last_delivery(&connection));
                wanted.insert(keys::connection(&connection));
            }
            if let Subject::Incident(incident) = &item.subject {
                wanted.insert(keys::record(&item.account, incident));
            }
            wanted.extend(item.card_key().map(|card| keys::card(&card)));
        }
        let mut known = self.read_all(wanted).await?;
        // The service may be another one than when it was marked, and the card in another team.
        let more: HashSet<Key> = items.iter().flat_map(|item| of_the_present(item, &known)).collect();
        let more: HashSet<Key> = more.into_iter().filter(|key| !known.asked.contains(key)).collect();
        if !more.is_empty() {
            let others = self.read_all(more).await?;
            known.items.extend(others.items);
        }
        Ok(items.iter().map(|item| look(item, &known)).collect())
    }

    pub(crate) async fn read_all(&self, wanted: HashSet<Key>) -> Result<Known, Error> {
        let asked: Vec<Key> = wanted.iter().cloned().collect();
        let mut items = HashMap::new();
        for keys in asked.chunks(BATCH) {
            items.extend(self.read_batch(keys).await?.into_iter().filter_map(|item| Some((key_of(&item)?, item))));
        }
        Ok(Known { asked: wanted, items })
    }

    pub(crate) async fn read_batch(&self, keys: &[Key]) -> Result<Vec<Attributes>, Error> {
        let mut found = Vec::new();
        let mut left: Vec<Attributes> = keys.iter().map(key_attributes).collect();
        for _ in 0..TRIES {
            let wanted = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true).build();
            let wanted = wanted.map_err(|error| Error::unbuilt("BatchGetItem", error))?;
            let answer = self.client.batch_get_item().request_items(&self.table, wanted).send().await;
            let answer = answer.map_err(|error| Error::call("BatchGetItem", error))?;
            found.extend(answer.responses.unwrap_or_default().remove(&self.table).unwrap_or_default());
            left = answer
                .unprocessed_keys
                .unwrap_or_default()
                .remove(&self.table)
                .map(|rest| rest.keys)
                .unwrap_or_default();
            if left.is_empty() {
                return Ok(found);
            }
        }
        Err(Error::Contended { what: "a batch of items".to_owned() })
    }
}

/// Items that were read together.
pub(crate) struct Known {
    asked: HashSet<Key>,
    pub(crate) items: HashMap<Key, Attributes>,
}

fn service_of(item: &Behind) -> Option<&ServiceId> {
    match &item.subject {
        Subject::Incident(_) => item.marked.service.as_ref().map(|service| &service.id),
        Subject::Greeting(service) | Subject::Test(service, _) => Some(service),
        Subject::ChannelLost(..) | Subject::TeamConnected | Subject::TeamDisconnected => None,
    }
}

fn connection_key(item: &Behind, service: Option<&ServiceId>) -> Option<ConnectionKey> {
    let service = service?.clone();
    Some(ConnectionKey { account: item.account.clone(), service, channel: item.channel.clone() })
}

fn record_of(item: &Behind, known: &Known) -> Result<Option<StoredRecord>, Error> {
    let Subject::Incident(incident) = &item.subject else { return Ok(None) };
    known.items.get(&keys::record(&item.account, incident)).map(StoredRecord::read).transpose()
}

/// Where the row is of a card that says that it is one.
fn row_key(item: &Behind, card: &CardRecord, record: Option<&StoredRecord>) -> Option<Key> {
    let (row, state) = (card.row.as_ref()?, record?.record.state()?);
    let storm = keys::storm(&item.account, &item.channel, &row.storm);
    Some(keys::storm_row(storm, state.number, &record?.record.id))
}

/// What else has to be known, as it shows.
fn of_the_present(item: &Behind, known: &Known) -> Vec<Key> {
    let Some(card) = item.card_key() else { return Vec::new() };
    let record = record_of(item, known).ok().flatten();
    let service = record.as_ref().and_then(|stored| stored.record.state()).map(|state| &state.service.id);
    let connection = connection_key(item, service);
    let card: Option<CardRecord> = known.items.get(&keys::card(&card)).and_then(|card| data(card).ok());
    let of_connection = connection.iter().flat_map(|key| [keys::connection(key), keys::last_delivery(key)]);
    let row = card.as_ref().and_then(|card| row_key(item, card, record.as_ref()));
    of_connection.chain(card.iter().map(|card| keys::installation(&card.team))).chain(row).collect()
}

fn look(item: &Behind, known: &Known) -> Look {
    let mut unreadable = false;
    let mut read_or = |unread: bool| unreadable |= unread;
    let record = match record_of(item, known) {
        Ok(record) => record,
        // As if it were not there: PagerDuty is asked for it.
        Err(error) => {
            tracing::error!(error = %error, "record cannot be read");
            None
        }
    };
    let service = match (&item.subject, record.as_ref().and_then(|stored| stored.record.state())) {
        (Subject::Incident(_), Some(state)) => Some(&state.service.id),
        _ => service_of(item),
    };
    let connection = connection_key(item, service);
    let seen =
        item.card_key().map(|card| SeenCard::of(known.items.get(&keys::card(&card)).cloned())).unwrap_or_default();
    let posted = seen.card().is_some_and(CardRecord::is_shown);
    let connected = connection.as_ref().and_then(|key| known.items.get(&keys::connection(key)));
    let connected: Option<Connection> = match connected.map(data).map(or_skip).transpose() {
        Ok(Some(Some(connection))) => Some(connection),
        // Whatever it says, a card that is there is kept true.
        Ok(Some(None)) => {
            read_or(!posted);
            None
        }
        Ok(None) | Err(_) => None,
    };
    let card = match (seen.card().cloned(), &connected) {
        (None, Some(here)) if seen.is_unreadable() => {
            tracing::error!(channel.id = %item.channel, "card is made anew");
            Some(CardRecord::in_doubt(item.channel.clone(), here.team.clone(), here.tenant.clone()))
        }
        (card, _) => card,
    };
    let team = card.as_ref().map_or(&item.marked.team, |card| &card.team);
    let home: Option<Installation> = match known.items.get(&keys::installation(team)).map(data).map(or_skip) {
        Some(Ok(Some(home))) => Some(home),
        Some(_) => {
            read_or(true);
            None
        }
        None => None,
    };
    let last = connection.as_ref().and_then(|key| known.items.get(&keys::last_delivery(key)));
    let last = last.and_then(data_or_skip);
    let row = seen.card().and_then(|card| row_key(item, card, record.as_ref()));
    let row = row.and_then(|key| known.items.get(&key)).and_then(data_or_skip);
    let record = record.map(|stored| (stored.record, stored.version));
    Look {
        facts: Facts { record, card, connection: connected, home, row, listed: Listed::Unknown },
        seen,
        last,
        unreadable,
    }
}
