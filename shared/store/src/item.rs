//! How a value becomes an item and back: key, kind, version, expiry and the value itself under `data`.
//!
//! Items of a newer version are read: `domain::forward` says what an unknown part means, and what this version does not change of
//! an item stays as it is stored ([`Item::over`]).

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Misfit;
use crate::keys::{IndexKey, Key};
use crate::table::{EXPIRES_AT, INDEX, INDEX_PK, INDEX_SK, LONGEST_KEY, OPEN_INDEX, OPEN_PK, OPEN_SK, PK, SK};
use crate::{Error, Store};

pub(crate) type Attributes = HashMap<String, AttributeValue>;

pub(crate) const DATA: &str = "data";
pub(crate) const KIND: &str = "kind";

/// The shape of all items; those of version 1 do not say it. It is for people who look at the table, and for a later version that
/// has to tell them apart: no reader ever refuses a newer one.
pub(crate) const SCHEMA_VERSION: i128 = 2;
pub(crate) const SCHEMA: &str = "schema";
pub(crate) const VERSION: &str = "version";

/// An item on its way into the table.
pub(crate) struct Item {
    attributes: Attributes,
}

impl Item {
    pub(crate) fn new(key: Key, kind: &'static str, data: &impl Serialize) -> Result<Self, Error> {
        let data = written(&key.pk, data)?;
        let mut attributes =
            HashMap::from([(PK.to_owned(), AttributeValue::S(key.pk)), (SK.to_owned(), AttributeValue::S(key.sk))]);
        attributes.insert(KIND.to_owned(), AttributeValue::S(kind.to_owned()));
        attributes.insert(DATA.to_owned(), data);
        Ok(Self { attributes }.number(SCHEMA, SCHEMA_VERSION))
    }

    /// Takes from the stored item each field that is as it was read, so that nothing is lost of what a newer version has written
    /// and this one cannot read.
    pub(crate) fn over(mut self, stored: &Attributes, as_read: &impl Serialize) -> Result<Self, Error> {
        let as_read = written(text(stored, PK).unwrap_or_default(), as_read)?;
        let parts = (stored.get(DATA), as_read, self.attributes.get_mut(DATA));
        if let (Some(AttributeValue::M(stored)), AttributeValue::M(as_read), Some(AttributeValue::M(new))) = parts {
            for (name, value) in stored {
                if as_read.get(name) == new.get(name) {
                    new.insert(name.clone(), value.clone());
                }
            }
        }
        Ok(self)
    }

    /// Takes these attributes from the stored item.
    pub(crate) fn keeping(mut self, stored: &Attributes, names: &[&str]) -> Self {
        for (name, value) in names.iter().filter_map(|name| stored.get_key_value(*name)) {
            self.attributes.insert(name.clone(), value.clone());
        }
        self
    }

    pub(crate) fn indexed(mut self, index: Option<IndexKey>) -> Self {
        if let Some(index) = index {
            self.attributes.insert(INDEX_PK.to_owned(), AttributeValue::S(index.pk));
            self.attributes.insert(INDEX_SK.to_owned(), AttributeValue::S(index.sk));
        }
        self
    }

    pub(crate) fn open(self, index: &IndexKey) -> Self {
        self.text(OPEN_PK, &index.pk).text(OPEN_SK, &index.sk)
    }

    pub(crate) fn version(self, version: u64) -> Self {
        self.number(VERSION, i128::from(version))
    }

    pub(crate) fn expires(self, at: Timestamp) -> Self {
        self.number(EXPIRES_AT, i128::from(at.as_second()))
    }

    /// The same, if it is to expire at all.
    pub(crate) fn may_expire(self, at: Option<Timestamp>) -> Self {
        match at {
            Some(at) => self.expires(at),
            None => self,
        }
    }

    pub(crate) fn number(mut self, name: &str, value: i128) -> Self {
        self.attributes.insert(name.to_owned(), AttributeValue::N(value.to_string()));
        self
    }

    pub(crate) fn text(mut self, name: &str, value: &str) -> Self {
        self.attributes.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
        self
    }

    pub(crate) fn bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.attributes.insert(name.to_owned(), AttributeValue::B(Blob::new(value)));
        self
    }

    pub(crate) fn value(mut self, name: &str, value: &impl Serialize) -> Result<Self, Error> {
        let value = written(text(&self.attributes, PK).unwrap_or_default(), value)?;
        self.attributes.insert(name.to_owned(), value);
        Ok(self)
    }

    pub(crate) fn into_attributes(self) -> Attributes {
        self.attributes
    }
}

/// What a condition is checked against.
#[derive(Default)]
pub(crate) struct Condition {
    expression: String,
    values: Vec<(&'static str, AttributeValue)>,
}

impl Condition {
    pub(crate) fn new(expression: impl Into<String>) -> Self {
        Self { expression: expression.into(), values: Vec::new() }
    }

    /// Holds while nobody has written the item since it was read; `None`: there was none.
    pub(crate) fn unchanged(stored: Option<&Attributes>) -> Self {
        match stored.map(|stored| stored.get(VERSION)) {
            None => Self::new("attribute_not_exists(pk)"),
            Some(None) => Self::new("attribute_exists(pk) AND attribute_not_exists(version)"),
            Some(Some(version)) => Self { values: vec![(":seen", version.clone())], ..Self::new("version = :seen") },
        }
    }

    pub(crate) fn number(mut self, name: &'static str, value: i128) -> Self {
        self.values.push((name, AttributeValue::N(value.to_string())));
        self
    }

    pub(crate) fn text(mut self, name: &'static str, value: &str) -> Self {
        self.values.push((name, AttributeValue::S(value.to_owned())));
        self
    }

    pub(crate) fn parts(self) -> (String, Option<Attributes>) {
        let values: Attributes = self.values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        (self.expression, (!values.is_empty()).then_some(values))
    }
}

pub(crate) fn key_attributes(key: &Key) -> Attributes {
    HashMap::from([
        (PK.to_owned(), AttributeValue::S(key.pk.clone())),
        (SK.to_owned(), AttributeValue::S(key.sk.clone())),
    ])
}

pub(crate) fn written(pk: &str, value: &impl Serialize) -> Result<AttributeValue, Error> {
    serde_dynamo::to_attribute_value(value)
        .map_err(|error| Error::Unwritable { key: pk.to_owned(), source: Misfit::of(&error) })
}

/// The value of an item.
pub(crate) fn data<T: DeserializeOwned>(attributes: &Attributes) -> Result<T, Error> {
    let value = attributes.get(DATA).cloned().unwrap_or(AttributeValue::Null(true));
    serde_dynamo::from_attribute_value(value).map_err(|error| Error::Unreadable {
        key: format!("{} {}", text(attributes, PK).unwrap_or_default(), text(attributes, SK).unwrap_or_default()),
        source: Misfit::of(&error),
    })
}

/// What an item of an unknown kind is.
pub(crate) fn misfit(item: &Attributes) -> Error {
    let key = format!("{} {}", text(item, PK).unwrap_or_default(), text(item, SK).unwrap_or_default());
    Error::Unreadable { key, source: Misfit::UNKNOWN }
}

/// The values of those items that can be read: one that cannot must not hide the others.
pub(crate) fn readable<T: DeserializeOwned>(items: &[Attributes]) -> Vec<T> {
    items.iter().filter_map(|item| data_or_skip(item)).collect()
}

pub(crate) fn data_or_skip<T: DeserializeOwned>(item: &Attributes) -> Option<T> {
    or_skip(data(item)).ok().flatten()
}

/// `None`, and an error in the log, for an item that cannot be read. The log gets its key and nothing of its content.
pub(crate) fn or_skip<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Error::Unreadable { key, source }) => {
            tracing::error!(item.key = key, misfit = %source, "stored item cannot be read");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The key of an item.
pub(crate) fn key_of(item: &Attributes) -> Option<Key> {
    Some(Key { pk: text(item, PK)?.to_owned(), sk: text(item, SK)?.to_owned() })
}

pub(crate) fn number(attributes: &Attributes, name: &str) -> Option<i64> {
    attributes.get(name)?.as_n().ok()?.parse().ok()
}

pub(crate) fn text<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a str> {
    attributes.get(name)?.as_s().ok().map(String::as_str)
}

pub(crate) fn version(attributes: &Attributes) -> u64 {
    number(attributes, VERSION).and_then(|version| u64::try_from(version).ok()).unwrap_or(0)
}

/// Whether the item's time is not over yet; an item without an expiry lives for ever.
pub(crate) fn is_alive(attributes: &Attributes, now: Timestamp) -> bool {
    number(attributes, EXPIRES_AT).is_none_or(|expires| now.as_second() < expires)
}

/// The value of an item that was read or taken, if its time is not over yet. What lives for a while only and cannot be read is
/// over: the person begins anew.
pub(crate) fn alive<T: DeserializeOwned>(item: Option<Attributes>, now: Timestamp) -> Option<T> {
    data_or_skip(&item.filter(|item| is_alive(item, now))?)
}

impl Store {
    /// One item, as the last write left it.
    pub(crate) async fn read(&self, key: &Key) -> Result<Option<Attributes>, Error> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(key)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| Error::call("GetItem", error))?;
        Ok(answer.item)
    }

    pub(crate) async fn read_data<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, Error> {
        self.read(key).await?.as_ref().map(data).transpose()
    }

    /// The value of an item whose time is not over yet.
    pub(crate) async fn read_alive<T: DeserializeOwned>(&self, key: &Key, now: Timestamp) -> Result<Option<T>, Error> {
        Ok(alive(self.read(key).await?, now))
    }

    /// Writes unless the condition fails; `false`: it failed.
    pub(crate) async fn put_if(&self, item: Item, condition: Condition) -> Result<bool, Error> {
        let (expression, values) = condition.parts();
        let sent = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item.attributes))
            .condition_expression(expression)
            .set_expression_attribute_values(values)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(false)
            }
            Err(error) => Err(Error::call("PutItem", error)),
        }
    }

    pub(crate) async fn put(&self, item: Item) -> Result<(), Error> {
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item.attributes))
            .send()
            .await
            .map(drop)
            .map_err(|error| Error::call("PutItem", error))
    }

    /// Deletes an item and returns it; `None`: it was not there, or the condition failed.
    pub(crate) async fn take_if(&self, key: &Key, condition: Condition) -> Result<Option<Attributes>, Error> {
        let (expression, values) = condition.parts();
        let sent = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(key)))
            .condition_expression(expression)
            .set_expression_attribute_values(values)
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld)
            .send()
            .await;
        match sent {
            Ok(answer) => Ok(answer.attributes),
            Err(error)
                if error.as_service_error().is_some_and(DeleteItemError::is_conditional_check_failed_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(Error::call("DeleteItem", error)),
        }
    }

    pub(crate) async fn take(&self, key: &Key) -> Result<Option<Attributes>, Error> {
        self.take_if(key, Condition::new("attribute_exists(pk)")).await
    }

    /// Every item of a partition whose sort key begins with `prefix`, through all pages.
    pub(crate) async fn partition(&self, pk: &str, prefix: Option<&str>) -> Result<Vec<Attributes>, Error> {
        self.partition_read(pk, prefix, Some).await
    }

    /// The same, each read as it comes, so that of a long partition only what was read is kept.
    pub(crate) async fn partition_read<T>(
        &self,
        pk: &str,
        prefix: Option<&str>,
        read: impl Fn(Attributes) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let query = self.client.query().table_name(&self.table).consistent_read(true);
        all_read(query, (PK, pk), (SK, prefix), read).await
    }

    /// The keys of the same items, and those in the index, without what is in them.
    pub(crate) async fn names(&self, pk: &str, prefix: &str) -> Result<Vec<Attributes>, Error> {
        let query = self.client.query().table_name(&self.table).consistent_read(true);
        let query = query.projection_expression([PK, SK, INDEX_PK, INDEX_SK].join(", "));
        all(query, (PK, pk), (SK, Some(prefix))).await
    }

    /// The same of the index, which may be a moment behind the table.
    pub(crate) async fn index(&self, pk: &str, prefix: Option<&str>) -> Result<Vec<Attributes>, Error> {
        let query = self.client.query().table_name(&self.table).index_name(INDEX);
        all(query, (INDEX_PK, pk), (INDEX_SK, prefix)).await
    }

    /// The slim entries of open incidents, each read as it comes; one that was opened a moment ago may be missing.
    pub(crate) async fn open_index<T>(
        &self,
        pk: &str,
        read: impl Fn(&Attributes) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let query = self.client.query().table_name(&self.table).index_name(OPEN_INDEX);
        all_read(query, (OPEN_PK, pk), (OPEN_SK, None), |item| read(&item)).await
    }

    /// The newest `limit` items of a partition whose sort keys come before `before`; none if no key can be like that, since it
    /// comes out of an address that anybody can write.
    pub(crate) async fn newest(&self, pk: &str, before: Option<&str>, limit: i32) -> Result<Vec<Attributes>, Error> {
        if before.is_some_and(|before| before.is_empty() || before.len() > LONGEST_KEY) {
            return Ok(Vec::new());
        }
        let mut condition = format!("{PK} = :pk");
        let mut values = HashMap::from([(":pk".to_owned(), AttributeValue::S(pk.to_owned()))]);
        if let Some(before) = before {
            condition.push_str(&format!(" AND {SK} < :sk"));
            values.insert(":sk".to_owned(), AttributeValue::S(before.to_owned()));
        }
        let query = self.client.query().table_name(&self.table).consistent_read(true).scan_index_forward(false);
        let page = query.key_condition_expression(condition).set_expression_attribute_values(Some(values)).limit(limit);
        Ok(page.send().await.map_err(|error| Error::call("Query", error))?.items.unwrap_or_default())
    }
}

async fn all(
    query: QueryFluentBuilder,
    partition: (&str, &str),
    prefix: (&str, Option<&str>),
) -> Result<Vec<Attributes>, Error> {
    all_read(query, partition, prefix, Some).await
}

/// Page by page, so that only what was read of the items is kept.
async fn all_read<T>(
    query: QueryFluentBuilder,
    (pk_name, pk): (&str, &str),
    (sk_name, prefix): (&str, Option<&str>),
    read: impl Fn(Attributes) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let mut condition = format!("{pk_name} = :pk");
    let mut values = HashMap::from([(":pk".to_owned(), AttributeValue::S(pk.to_owned()))]);
    if let Some(prefix) = prefix {
        condition.push_str(&format!(" AND begins_with({sk_name}, :sk)"));
        values.insert(":sk".to_owned(), AttributeValue::S(prefix.to_owned()));
    }
    let mut found = Vec::new();
    let mut start = None;
    loop {
        let page = query
            .clone()
            .key_condition_expression(&condition)
            .set_expression_attribute_values(Some(values.clone()))
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| Error::call("Query", error))?;
        found.extend(page.items.unwrap_or_default().into_iter().filter_map(&read));
        start = page.last_evaluated_key.filter(|key| !key.is_empty());
        if start.is_none() {
            return Ok(found);
        }
    }
}
