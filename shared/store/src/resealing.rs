//! Everything that can be sealed anew, found in the whole table.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::{Attributes, KIND, data, misfit, or_skip, text};
use crate::people::stored;
use crate::{Error, Store, StoredLink, Subscription};

/// What is sealed for as long as it is used. What waits for a confirmation is over within minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resealable {
    Link(StoredLink),
    Subscription(Subscription),
}

/// A part of the table.
#[derive(Debug)]
pub struct ResealablePage {
    pub found: Vec<Resealable>,
    /// Items that would belong to `found` if they could be read; the log names them.
    pub unreadable: usize,
    /// Where the next part begins; `None`: this is the last one.
    pub next: Option<Place>,
}

/// A place in the table.
#[derive(Debug, Clone)]
pub struct Place(Attributes);

impl Store {
    /// The next part of everything that can be sealed anew. For the operator's command alone: it reads the whole table, and no
    /// function's role may.
    pub async fn resealable(&self, from: Option<Place>) -> Result<ResealablePage, Error> {
        let kinds = [(":link", LINK), (":subscription", SUBSCRIPTION)];
        let values = kinds.map(|(name, kind)| (name.to_owned(), AttributeValue::S(kind.to_owned())));
        let answer = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .filter_expression("#kind IN (:link, :subscription)")
            .expression_attribute_names("#kind", KIND)
            .set_expression_attribute_values(Some(HashMap::from(values)))
            .set_exclusive_start_key(from.map(|Place(key)| key))
            .send()
            .await
            .map_err(|error| Error::call("Scan", error))?;
        let (mut found, mut unreadable) = (Vec::new(), 0);
        for item in answer.items.unwrap_or_default() {
            match or_skip(resealable(&item))? {
                Some(one) => found.push(one),
                None => unreadable += 1,
            }
        }
        Ok(ResealablePage { found, unreadable, next: answer.last_evaluated_key.map(Place) })
    }
}

const LINK: &str = "account_link";
const SUBSCRIPTION: &str = "subscription";

fn resealable(item: &Attributes) -> Result<Resealable, Error> {
    match text(item, KIND) {
        Some(LINK) => stored(item).map(Resealable::Link),
        Some(SUBSCRIPTION) => data(item).map(Resealable::Subscription),
        _ => Err(misfit(item)),
    }
}
