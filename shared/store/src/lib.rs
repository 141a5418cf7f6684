//! The single table: keys in one file, one method per access pattern, conditional writes for every invariant.
//!
//! DynamoDB's TTL deletes up to two days late, so it only cleans: whatever can expire is checked on read against `now`.

mod admin;
mod cards;
mod connections;
mod error;
mod incidents;
mod installations;
mod item;
mod keys;
mod ledger;
mod once;
mod people;
mod rounds;
pub mod seal;
mod subscriptions;
mod table;
mod tickets;
mod tokens;

pub use admin::{Admin, AuditEntry, PendingAuthorization, Session, Via};
pub use cards::{Claim, Saved};
pub use error::{Error, Misfit};
pub use incidents::StoredRecord;
pub use ledger::ledger_day;
pub use once::Once;
pub use people::{PersonalChat, RefreshClaim, StoredLink};
pub use rounds::Round;
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
    ///
    /// # Errors
    /// [`Error::Call`] if it does not.
    pub async fn reachable(&self) -> Result<(), Error> {
        let probe = keys::Key { pk: "HEALTH".to_owned(), sk: "HEALTH".to_owned() };
        self.read(&probe).await.map(drop)
    }
}
