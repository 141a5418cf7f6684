//! The delivery ledger: one line for each cause and channel, found by day.

use domain::ids::{AccountId, ChannelId};
use domain::ledger::{LedgerEntry, Progress};
use jiff::{SignedDuration, Timestamp};

use crate::hash::short_digest;
use crate::item::{Attributes, Condition, Item, data_or_skip, is_alive, text};
use crate::keys::{Key, in_order};
use crate::table::SK;
use crate::{Error, Store, keys};

/// The line says what was delivered.
const DELIVERED: &str = "delivered";

fn key_of(entry: &LedgerEntry) -> Key {
    let channel = entry.channel.as_ref().map_or("", ChannelId::as_str);
    let id = short_digest(format!("{}#{}#{channel}", entry.cause, entry.incident));
    keys::ledger(&entry.account, &ledger_day(entry.filed_at()), &in_order(entry.filed_at()), &id)
}

/// The UTC day of a moment, as the ledger is divided.
#[must_use]
pub fn ledger_day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

impl Store {
    /// Writes a line, unless there is one already.
    pub async fn open_ledger_line(&self, entry: &LedgerEntry, keep: SignedDuration) -> Result<(), Error> {
        let item = ledger_item(entry, keep)?;
        self.put_if(item, Condition::new("attribute_not_exists(pk)")).await.map(drop)
    }

    /// Writes a line, whatever it said before; but that nothing was left to do is not said in place of what was done.
    pub async fn write_ledger_line(&self, entry: &LedgerEntry, keep: SignedDuration) -> Result<(), Error> {
        let item = ledger_item(entry, keep)?;
        if entry.progress == Progress::Coalesced {
            return self.put_if(item, Condition::new(format!("attribute_not_exists({DELIVERED})"))).await.map(drop);
        }
        let item = if entry.tells_of_delivery() { item.number(DELIVERED, 1) } else { item };
        self.put(item).await
    }

    /// Up to `limit` lines of a UTC day (as in `2026-11-23`) that come before `before`, newest first, each with where the
    /// lines after it begin; and where the next ones begin, if there may be more.
    pub async fn ledger(
        &self,
        account: &AccountId,
        day: &str,
        before: Option<&str>,
        limit: u16,
        now: Timestamp,
    ) -> Result<(Vec<(LedgerEntry, String)>, Option<String>), Error> {
        let partition = keys::ledger(account, day, "", "").pk;
        let items = self.newest(&partition, before, i32::from(limit)).await?;
        let place = |item: &Attributes| text(item, SK).unwrap_or_default().to_owned();
        let lines = items.iter().filter(|item| is_alive(item, now));
        let lines = lines.filter_map(|item| Some((data_or_skip(item)?, place(item)))).collect();
        // Of what was read and not of what is told: a page of which nothing is told does not end the search.
        let next = items.last().filter(|_| items.len() >= usize::from(limit)).map(place);
        Ok((lines, next))
    }
}

fn ledger_item(entry: &LedgerEntry, keep: SignedDuration) -> Result<Item, Error> {
    let expires = entry.received_at.checked_add(keep).unwrap_or(Timestamp::MAX);
    Ok(Item::new(key_of(entry), "ledger_line", entry)?.expires(expires))
}
