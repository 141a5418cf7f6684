//! The single table: keys in one file, one method per access pattern, conditional writes for every invariant.
//!
//! [`Error`] is what every method can return: the table did not answer, or an item cannot be read. That somebody else was
//! faster is an outcome and no error.
//!
//! DynamoDB's TTL deletes up to two days late, so it only cleans: what must not be used after its time is checked on read against
//! `now`. Records and cards of resolved incidents are good as long as they are there.
//!
//! An item that cannot be read hides no other one: lists leave it out and say so in the log, with its key.

mod admin;
mod behind;
mod budgets;
mod cards;
mod channels;
mod connections;
mod error;
mod hash;
mod incidents;
mod installations;
mod item;
mod kept;
mod keys;
mod ledger;
mod looks;
mod once;
mod open_list;
mod people;
mod proof;
mod provisional;
mod resealing;
mod rounds;
pub mod seal;
mod storms;
mod subscriptions;
mod table;
mod tickets;
mod tokens;
mod update;

pub use admin::{Admin, AuditEntry, PendingAuthorization, Session, Via};
pub use behind::Held;
pub use cards::{Saved, SeenCard};
pub use channels::Awake;
pub use error::{Error, Misfit};
pub use incidents::{IncidentItems, Merged, OpenIncident, StoredRecord};
pub use kept::{Kept, KeptPage, KeptPlace, NotRead};
pub use keys::{LockKey, OnceKey};
pub use ledger::ledger_day;
pub use looks::Look;
pub use once::Once;
pub use open_list::{OpenList, Turn as ListTurn};
pub use people::{PersonalChat, RefreshLease, StoredLink, Unrefreshed};
pub use proof::Proof;
pub use provisional::{Activated, Provisional};
pub use resealing::{Place, Resealable, ResealablePage};
pub use storms::{FoldedCard, RowsPage, StormKey};
pub use subscriptions::Subscription;
pub use table::create_table;
pub use tickets::{Attempt, Confirm, PendingLink, SecretHash, secret_hash};
pub use tokens::Tokens;

/// A handle on the table. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Store {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

impl Store {
    /// A handle on `table`; opens no connection.
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self { client, table }
    }

    /// Whether the table answers.
    pub async fn reachable(&self) -> Result<(), Error> {
        let probe = keys::Key { pk: "HEALTH".to_owned(), sk: "HEALTH".to_owned() };
        self.read(&probe).await.map(drop)
    }
}
