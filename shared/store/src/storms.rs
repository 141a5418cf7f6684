//! The rows of a channel's storms. Only the channel's sender writes them.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, DeleteRequest, Put, PutRequest, TransactWriteItem, WriteRequest,
};
use domain::ids::{AccountId, ChannelId, IncidentId, StormId};
use domain::plan::{CardKey, CardRecord};
use domain::storm::{Row, Storm};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use crate::cards::SeenCard;
use crate::item::{Condition, Item, key_attributes, readable, text};
use crate::table::{LONGEST_KEY, PK, SK};
use crate::{Error, Saved, Store, keys};

/// `BatchWriteItem` takes at most so many (DynamoDB API reference).
const BATCH: usize = 25;

/// How many batches are under way at the same time.
const AT_ONCE: usize = 8;

/// How often the rest is written of what DynamoDB did not write at once.
const TRIES: usize = 5;

/// Which storm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StormKey {
    pub account: AccountId,
    pub channel: ChannelId,
    pub storm: StormId,
}

impl StormKey {
    fn pk(&self) -> String {
        keys::storm(&self.account, &self.channel, &self.storm)
    }
}

/// A card that is a row now.
#[derive(Debug)]
pub struct FoldedCard<'a> {
    pub key: CardKey,
    pub card: CardRecord,
    /// As it was stored.
    pub seen: &'a SeenCard,
    /// When it may be forgotten; `None` while its incident is open.
    pub expires: Option<Timestamp>,
}

/// Some rows of a storm, those of the newest incidents first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowsPage {
    pub rows: Vec<Row>,
    /// Where the next ones begin; `None`: there is no more.
    pub next: Option<String>,
}

impl RowsPage {
    /// Where the rows begin that follow this one in its storm: [`Store::storm_page`] takes it as it takes [`RowsPage::next`].
    #[must_use]
    pub fn after(row: &Row) -> String {
        keys::storm_row(String::new(), row.number, &row.incident).sk
    }
}

impl Store {
    /// Writes the cards that say that they are rows, and after them the rows: a card whose row is not as new is folded again, and no
    /// row is without its card. `kept`: when a row that is over may be forgotten.
    pub async fn fold(
        &self,
        storm: &StormKey,
        rows: &[Row],
        cards: &[FoldedCard<'_>],
        kept: Timestamp,
    ) -> Result<(), Error> {
        let row = |row: &Row| {
            let key = keys::storm_row(storm.pk(), row.number, &row.incident);
            Ok(Item::new(key, "storm_row", row)?.may_expire((!row.is_open()).then_some(kept)))
        };
        let card =
            |FoldedCard { key, card, seen, expires }: &FoldedCard<'_>| Self::card_item(key, card, seen, *expires);
        self.write_all(cards.iter().map(card).collect::<Result<_, Error>>()?).await?;
        self.write_all(rows.iter().map(row).collect::<Result<_, Error>>()?).await
    }

    async fn write_all(&self, items: Vec<Item>) -> Result<(), Error> {
        let put = |item: Item| {
            let put = PutRequest::builder().set_item(Some(item.into_attributes())).build();
            let put = put.map_err(|error| Error::unbuilt("BatchWriteItem", error))?;
            Ok(WriteRequest::builder().put_request(put).build())
        };
        self.write_requests(items.into_iter().map(put).collect::<Result<_, Error>>()?).await
    }

    async fn write_requests(&self, requests: Vec<WriteRequest>) -> Result<(), Error> {
        let batches: Vec<Vec<WriteRequest>> = requests.chunks(BATCH).map(<[_]>::to_vec).collect();
        let writes = batches.into_iter().map(|batch| self.write_batch(batch));
        stream::iter(writes).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn write_batch(&self, mut left: Vec<WriteRequest>) -> Result<(), Error> {
        for _ in 0..TRIES {
            let sent = self.client.batch_write_item().request_items(&self.table, left).send().await;
            let sent = sent.map_err(|error| Error::call("BatchWriteItem", error))?;
            left = sent.unprocessed_items.unwrap_or_default().remove(&self.table).unwrap_or_default();
            if left.is_empty() {
                return Ok(());
            }
        }
        Err(Error::Contended { what: "a batch of rows".to_owned() })
    }

    /// Takes away the rows of incidents that are not followed any more.
    pub async fn take_rows(&self, storm: &StormKey, rows: &[(u64, IncidentId)]) -> Result<(), Error> {
        let delete = |(number, incident): &(u64, IncidentId)| {
            let key = keys::storm_row(storm.pk(), *number, incident);
            let delete = DeleteRequest::builder().set_key(Some(key_attributes(&key))).build();
            let delete = delete.map_err(|error| Error::unbuilt("BatchWriteItem", error))?;
            Ok(WriteRequest::builder().delete_request(delete).build())
        };
        self.write_requests(rows.iter().map(delete).collect::<Result<_, Error>>()?).await
    }

    /// Saves the card of what was a row until now, and takes the row away, both or none.
    pub async fn save_card_of_row(
        &self,
        key: &CardKey,
        card: &CardRecord,
        seen: &SeenCard,
        (storm, number): (&StormId, u64),
    ) -> Result<Saved, Error> {
        let (expression, values) = Condition::unchanged(seen.item.as_ref()).parts();
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(Self::card_item(key, card, seen, None)?.into_attributes()))
            .condition_expression(expression)
            .set_expression_attribute_values(values)
            .build()
            .map_err(|error| Error::unbuilt("TransactWriteItems", error))?;
        let row = keys::storm_row(keys::storm(&key.account, &key.channel, storm), number, &key.incident);
        let delete = Delete::builder().table_name(&self.table).set_key(Some(key_attributes(&row))).build();
        let delete = delete.map_err(|error| Error::unbuilt("TransactWriteItems", error))?;
        let sent = self
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().put(put).build())
            .transact_items(TransactWriteItem::builder().delete(delete).build())
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Saved::Yes),
            Err(error)
                if error.as_service_error().is_some_and(TransactWriteItemsError::is_transaction_canceled_exception) =>
            {
                // The SDK repeats a call whose answer was lost; what is there then is what this one has written. The row first: a
                // sender that dies in between finds a row that is to be a card, as before.
                self.take_rows(
                    &StormKey { account: key.account.clone(), channel: key.channel.clone(), storm: storm.clone() },
                    &[(number, key.incident.clone())],
                )
                .await?;
                self.save_card(key, card, None).await
            }
            Err(error) => Err(Error::call("TransactWriteItems", error)),
        }
    }

    /// All rows of a storm, in no particular order.
    pub async fn storm_rows(&self, storm: &StormKey) -> Result<Vec<Row>, Error> {
        Ok(readable(&self.partition(&storm.pk(), Some(keys::ROW)).await?))
    }

    /// Some rows of a storm; `after`: where the page before ended, or a row ([`RowsPage::after`]). A text that is neither begins
    /// anew.
    pub async fn storm_page(&self, storm: &StormKey, after: Option<&str>, limit: i32) -> Result<RowsPage, Error> {
        let pk = storm.pk();
        let after = after.filter(|after| after.starts_with(keys::ROW) && after.len() <= LONGEST_KEY);
        let start = after.map(|sk| {
            let text = |text: &str| AttributeValue::S(text.to_owned());
            HashMap::from([(PK.to_owned(), text(&pk)), (SK.to_owned(), text(sk))])
        });
        let values = [(":pk", pk.as_str()), (":sk", keys::ROW)];
        let values = values.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
        let query = self.client.query().table_name(&self.table).consistent_read(true).scan_index_forward(false);
        let page = query
            .key_condition_expression(format!("{PK} = :pk AND begins_with({SK}, :sk)"))
            .set_expression_attribute_values(Some(HashMap::from(values)))
            .set_exclusive_start_key(start)
            .limit(limit)
            .send()
            .await
            .map_err(|error| Error::call("Query", error))?;
        let next = page.last_evaluated_key.as_ref().filter(|key| !key.is_empty()).and_then(|key| text(key, SK));
        let next = next.map(str::to_owned);
        Ok(RowsPage { rows: readable(&page.items.unwrap_or_default()), next })
    }

    /// Keeps what a storm's card says after all of its rows are over.
    pub async fn put_closed_storm(&self, key: &StormKey, storm: &Storm, expires: Timestamp) -> Result<(), Error> {
        self.put(Item::new(keys::storm_summary(key.pk()), "storm", storm)?.expires(expires)).await
    }

    /// A storm of which all rows are over.
    pub async fn closed_storm(&self, key: &StormKey) -> Result<Option<Storm>, Error> {
        self.read_data(&keys::storm_summary(key.pk())).await
    }
}
