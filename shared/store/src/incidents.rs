//! Incident records and, beside them in the same partition, their cards.

use domain::ids::{AccountId, IncidentId};
use domain::incident::{IncidentRecord, RecordVersion, Status};
use domain::plan::CardRecord;

use crate::item::{Condition, Item, data, text, version};
use crate::table::SK;
use crate::{Error, Store, keys};

/// How often a merge is tried when others change the record at the same time.
const TRIES: usize = 12;

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    pub record: IncidentRecord,
    pub version: RecordVersion,
}

impl Store {
    /// The newest record of an incident.
    pub async fn record(&self, account: &AccountId, incident: &IncidentId) -> Result<Option<StoredRecord>, Error> {
        let found = self.read(&keys::record(account, incident)).await?;
        found.map(|item| Ok(StoredRecord { record: data(&item)?, version: RecordVersion(version(&item)) })).transpose()
    }

    /// Merges an observation into the stored record. Nothing is written, and the version stays, if it adds nothing.
    ///
    /// # Errors
    /// [`Error::Contended`] if others changed the record every time, else as [`Store::record`].
    pub async fn merge_record(&self, observed: IncidentRecord) -> Result<StoredRecord, Error> {
        for _ in 0..TRIES {
            let known = self.record(&observed.account, &observed.id).await?;
            let (merged, expected) = match known {
                Some(known) => {
                    let merged = known.record.clone().merge(observed.clone());
                    if merged == known.record {
                        return Ok(known);
                    }
                    (merged, known.version.0)
                }
                None => (observed.clone(), 0),
            };
            let stored = StoredRecord { record: merged, version: RecordVersion(expected + 1) };
            if self.put_record(&stored, expected).await? {
                return Ok(stored);
            }
        }
        Err(Error::Contended { what: format!("the record of incident {}", observed.id) })
    }

    async fn put_record(&self, stored: &StoredRecord, expected: u64) -> Result<bool, Error> {
        let IncidentRecord { account, id, .. } = &stored.record;
        let open = stored.record.state().is_some_and(|state| state.status != Status::Resolved);
        let item = Item::new(keys::record(account, id), "incident_record", &stored.record)?
            .indexed(open.then(|| keys::open_incident(account, id)))
            .version(stored.version.0);
        let condition = if expected == 0 {
            Condition::new("attribute_not_exists(pk)")
        } else {
            Condition::new("version = :expected").number(":expected", i128::from(expected))
        };
        self.put_if(item, condition).await
    }

    /// Every open incident of an account; one that was opened a moment ago may be missing.
    pub async fn open_incidents(&self, account: &AccountId) -> Result<Vec<IncidentRecord>, Error> {
        self.index(&keys::open_incidents(account), None).await?.iter().map(data).collect()
    }

    /// The record and all cards of an incident, in one read.
    pub async fn incident_with_cards(
        &self,
        account: &AccountId,
        incident: &IncidentId,
    ) -> Result<(Option<StoredRecord>, Vec<CardRecord>), Error> {
        let (mut record, mut cards) = (None, Vec::new());
        for item in self.partition(&keys::incident(account, incident), None).await? {
            if text(&item, SK) == Some(keys::RECORD) {
                record = Some(StoredRecord { record: data(&item)?, version: RecordVersion(version(&item)) });
            } else {
                cards.push(data(&item)?);
            }
        }
        Ok((record, cards))
    }
}
