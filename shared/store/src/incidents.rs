//! Incident records and, beside them in the same partition, their cards.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::{AccountId, IncidentId, ServiceId};
use domain::incident::{IncidentRecord, RecordVersion, Status};
use domain::plan::CardRecord;
use jiff::Timestamp;

use crate::item::{Attributes, Condition, DATA, Item, data, data_or_skip, or_skip, text, version};
use crate::table::{EXPIRES_AT, OPEN_PK, OPEN_SK, PK, SERVICE, SK, STATUS};
use crate::{Error, Store, keys};

/// How often a merge is tried when others change the record at the same time.
const TRIES: usize = 12;

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    pub record: IncidentRecord,
    pub version: RecordVersion,
    /// Whether the incident's state was stored in a shape that this version cannot read: PagerDuty knows it.
    pub gap: bool,
    /// Whether the incident is open and the index of open ones does not have it yet: a version without it has written the record.
    pub unlisted: bool,
}

/// An open incident, as the slim index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenIncident {
    pub id: IncidentId,
    pub service: ServiceId,
    /// `None`: one that this version does not know.
    pub status: Option<Status>,
}

impl StoredRecord {
    pub(crate) fn read(item: &Attributes) -> Result<Self, Error> {
        let record: IncidentRecord = data(item)?;
        let stored = || item.get(DATA)?.as_m().ok()?.get("snapshot").filter(|state| !state.is_null());
        let gap = match record.state() {
            None => stored().is_some(),
            // What people know it by cannot be read, though the rest can.
            Some(state) => state.title.is_empty() && stored().is_some_and(|stored| !has_title(stored)),
        };
        let is_open = record.state().is_some_and(|state| state.status != Status::Resolved);
        let unlisted = is_open && !item.contains_key(OPEN_PK);
        Ok(Self { record, version: RecordVersion(version(item)), gap, unlisted })
    }
}

impl Store {
    /// The newest record of an incident.
    pub async fn record(&self, account: &AccountId, incident: &IncidentId) -> Result<Option<StoredRecord>, Error> {
        let found = self.read(&keys::record(account, incident)).await?;
        found.as_ref().map(StoredRecord::read).transpose()
    }

    /// Everything that is stored of an incident, in one consistent read.
    pub async fn incident(&self, account: &AccountId, incident: &IncidentId) -> Result<IncidentItems, Error> {
        let items = self.partition(&keys::incident(account, incident), None).await?;
        let (records, cards): (Vec<_>, Vec<_>) = items.into_iter().partition(is_record);
        let item = records.into_iter().next();
        let known = item.as_ref().map(StoredRecord::read).map(or_skip).transpose()?.flatten();
        Ok(IncidentItems { item, known, cards: cards.iter().filter_map(data_or_skip).collect() })
    }

    /// Stores what a merge has brought, unless somebody else has stored something since the incident was read: `false`. `expires`:
    /// when the record may be forgotten, if the incident is resolved now.
    pub async fn put_merged(
        &self,
        incident: &IncidentItems,
        merged: &StoredRecord,
        expires: Timestamp,
    ) -> Result<bool, Error> {
        let known = incident.known.as_ref().map(|known| &known.record);
        let new = record_item(merged, incident.item.as_ref(), known, expires)?;
        self.put_if(new, Condition::unchanged(incident.item.as_ref())).await
    }

    /// Merges an observation into the stored record. The version stays if it adds nothing, and nothing is written unless the
    /// record is unlisted. A record that cannot be read is replaced. `expires`: when the record may be forgotten, if the incident
    /// is resolved now.
    ///
    /// # Errors
    /// [`Error::Contended`] if others changed the record every time, else as [`Store::record`].
    pub async fn merge_record(&self, observed: IncidentRecord, expires: Timestamp) -> Result<StoredRecord, Error> {
        for _ in 0..TRIES {
            let known = self.incident(&observed.account, &observed.id).await?;
            match known.merged(observed.clone()) {
                Merged::Nothing(stored) => return Ok(stored),
                Merged::New(stored) if self.put_merged(&known, &stored, expires).await? => return Ok(stored),
                Merged::New(_) => {}
            }
        }
        Err(Error::Contended { what: format!("the record of incident {}", observed.id) })
    }

    /// Gives a record at least this version, though nothing new is known: what was to become this version never came. `None`: there
    /// is no record that can be read.
    pub async fn raise_version(
        &self,
        account: &AccountId,
        incident: &IncidentId,
        wanted: RecordVersion,
        expires: Timestamp,
    ) -> Result<Option<RecordVersion>, Error> {
        for _ in 0..TRIES {
            let items = self.incident(account, incident).await?;
            let Some(known) = &items.known else { return Ok(None) };
            if known.version >= wanted {
                return Ok(Some(known.version));
            }
            let raised = StoredRecord { version: wanted, ..known.clone() };
            if self.put_merged(&items, &raised, expires).await? {
                return Ok(Some(wanted));
            }
        }
        Err(Error::Contended { what: format!("the record of incident {incident}") })
    }

    /// Every open incident of an account. One that was opened a moment ago may be missing, and one whose record was last written by
    /// a version without this index.
    pub async fn open_incidents(&self, account: &AccountId) -> Result<Vec<OpenIncident>, Error> {
        let open = |item: &Attributes| {
            let status = item.get(STATUS).cloned().and_then(|status| serde_dynamo::from_attribute_value(status).ok());
            let id = text(item, OPEN_SK).and_then(|id| id.parse().ok());
            let service = text(item, SERVICE).and_then(|id| id.parse().ok());
            let open = id.zip(service).map(|(id, service)| OpenIncident { id, service, status });
            if open.is_none() {
                tracing::error!(item.key = text(item, PK), "open incident cannot be read");
            }
            open
        };
        self.open_index(&keys::open_incidents(account), open).await
    }

    /// The record and all cards of an incident, in one read; without those that cannot be read.
    pub async fn incident_with_cards(
        &self,
        account: &AccountId,
        incident: &IncidentId,
    ) -> Result<(Option<StoredRecord>, Vec<CardRecord>), Error> {
        let IncidentItems { known, cards, .. } = self.incident(account, incident).await?;
        Ok((known, cards))
    }
}

/// An incident as it was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct IncidentItems {
    item: Option<Attributes>,
    /// The record; `None`: there is none that can be read.
    pub known: Option<StoredRecord>,
    /// The cards that can be read.
    pub cards: Vec<CardRecord>,
}

/// What an observation adds to what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// Nothing, and nothing needs to be stored.
    Nothing(StoredRecord),
    /// This is to be stored now.
    New(StoredRecord),
}

impl Merged {
    /// The record as it is, or is to be stored.
    #[must_use]
    pub fn record(&self) -> &StoredRecord {
        match self {
            Self::Nothing(stored) | Self::New(stored) => stored,
        }
    }
}

impl IncidentItems {
    /// Merges an observation.
    #[must_use]
    pub fn merged(&self, observed: IncidentRecord) -> Merged {
        let merged = match &self.known {
            Some(known) => known.record.clone().merge(observed),
            None => observed,
        };
        let same = self.known.as_ref().filter(|known| known.record == merged);
        self.stored(merged, same)
    }

    /// Merges what was looked for. Most of it is known, and that PagerDuty has said it once more is nothing new.
    #[must_use]
    pub fn merged_if_new(&self, observed: IncidentRecord) -> Merged {
        let same = self.known.as_ref();
        let same = same.filter(|known| known.record.clone().merge(observed.clone()).says_the_same(&known.record));
        match same {
            Some(known) => self.stored(known.record.clone(), Some(known)),
            None => self.merged(observed),
        }
    }

    /// `same`: what is stored, if that is it.
    fn stored(&self, merged: IncidentRecord, same: Option<&StoredRecord>) -> Merged {
        if let Some(known) = same.filter(|known| !known.unlisted) {
            return Merged::Nothing(known.clone());
        }
        // A version that no card shows, also if the record was lost, or has expired before them.
        let shown = self.cards.iter().map(|card| card.newest().0);
        let newest = shown.chain(self.item.as_ref().map(version)).max().unwrap_or(0);
        let version = same.map_or(RecordVersion(newest.saturating_add(1)), |known| known.version);
        let gap = self.known.as_ref().map_or(self.item.is_some(), |known| known.gap);
        Merged::New(StoredRecord { record: merged, version, gap, unlisted: false })
    }
}

fn has_title(snapshot: &AttributeValue) -> bool {
    let title = || snapshot.as_m().ok()?.get("value")?.as_m().ok()?.get("title")?.as_s().ok();
    title().is_some()
}

fn is_record(item: &Attributes) -> bool {
    text(item, SK) == Some(keys::RECORD)
}

/// `item`: what is stored by now; `known`: the record that was read from it.
fn record_item(
    stored: &StoredRecord,
    item: Option<&Attributes>,
    known: Option<&IncidentRecord>,
    expires: Timestamp,
) -> Result<Item, Error> {
    let IncidentRecord { account, id, .. } = &stored.record;
    let mut new = Item::new(keys::record(account, id), "incident_record", &stored.record)?.version(stored.version.0);
    if let (Some(item), Some(known)) = (item, known) {
        new = new.over(item, known)?;
    }
    match (stored.record.state(), item) {
        (Some(state), _) if state.status == Status::Resolved => Ok(new.expires(expires)),
        (Some(state), _) => new
            .open(&keys::open_incident(account, id))
            .text(SERVICE, state.service.id.as_str())
            .value(STATUS, &state.status),
        // What follows from a state that cannot be read stays, so that the reconciler finds an open incident.
        (None, Some(item)) => Ok(new.keeping(item, &[OPEN_PK, OPEN_SK, SERVICE, STATUS, EXPIRES_AT])),
        (None, None) => Ok(new),
    }
}
