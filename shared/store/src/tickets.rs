//! Linking in progress: tickets, log-ins at PagerDuty, and log-ins that wait for the person's confirmation.
//!
//! The secrets in links and cookies are stored as SHA-256 only, so reading the table gives nobody a working link.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, Delete, TransactWriteItem};
use domain::linking::{AccountLink, TICKET_LIFETIME, Ticket};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::hash::sha256;
use crate::item::{Condition, Item, key_attributes};
use crate::keys::Key;
use crate::seal::Sealed;
use crate::table::EXPIRES_AT;
use crate::{Error, Store, keys};

/// Which call took a log-in.
const TAKEN_BY: &str = "taken_by";

/// SHA-256 of a secret, as 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretHash(String);

impl SecretHash {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is stored instead of a secret.
#[must_use]
pub fn secret_hash(secret: &str) -> SecretHash {
    SecretHash(sha256(secret))
}

/// A log-in at PagerDuty that has begun; known by its `state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The ticket that it is for; `None`: an admin logs in to the configuration page.
    pub ticket: Option<SecretHash>,
    /// The PKCE verifier, sealed with the state.
    pub verifier: Sealed,
    pub browser: SecretHash,
    /// Whether the link was opened by the sign-in button of Teams.
    #[serde(default)]
    pub in_teams: bool,
    pub created_at: Timestamp,
}

/// A finished log-in that waits for the person's confirmation; known by the browser's secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingLink {
    pub ticket: SecretHash,
    pub link: AccountLink,
    /// The tokens, sealed as they will be in the link.
    pub tokens: Sealed,
    pub browser: SecretHash,
    /// Whether the link was opened by the sign-in button of Teams.
    #[serde(default)]
    pub in_teams: bool,
    pub created_at: Timestamp,
}

/// What a confirmation led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirm {
    /// The log-in waits for Teams' proof.
    Waits,
    /// The log-in or its ticket is over, or was used.
    Expired,
}

fn end(created_at: Timestamp) -> Timestamp {
    created_at.checked_add(TICKET_LIFETIME).unwrap_or(Timestamp::MAX)
}

impl Store {
    /// Stores a ticket under its secret.
    pub async fn put_ticket(&self, secret: &str, ticket: &Ticket) -> Result<(), Error> {
        let item = Item::new(keys::ticket(&secret_hash(secret).0), "ticket", ticket)?.expires(ticket.expires_at());
        self.put(item).await
    }

    /// The ticket with this secret, if it can still be used.
    pub async fn ticket(&self, secret: &str, now: Timestamp) -> Result<Option<Ticket>, Error> {
        self.ticket_by_hash(&secret_hash(secret), now).await
    }

    /// The ticket whose secret has this hash, if it can still be used.
    pub async fn ticket_by_hash(&self, hash: &SecretHash, now: Timestamp) -> Result<Option<Ticket>, Error> {
        self.read_alive(&keys::ticket(&hash.0), now).await
    }

    /// Stores a log-in under its state.
    pub async fn put_attempt(&self, state: &str, attempt: &Attempt) -> Result<(), Error> {
        let key = keys::attempt(&secret_hash(state).0);
        self.put(Item::new(key, "attempt", attempt)?.expires(end(attempt.created_at))).await
    }

    /// Takes the log-in with this state: exactly one caller gets it. It is marked and not deleted (its expiry does that),
    /// since a deletion whose answer is lost could not be told from somebody else's. `call` is a name that no other call has.
    pub async fn take_attempt(&self, state: &str, call: &str, now: Timestamp) -> Result<Option<Attempt>, Error> {
        let key = keys::attempt(&secret_hash(state).0);
        let Some(attempt) = self.read_alive::<Attempt>(&key, now).await? else { return Ok(None) };
        let taken = Item::new(key, "attempt", &attempt)?.expires(end(attempt.created_at)).text(TAKEN_BY, call);
        let free = format!("attribute_exists(pk) AND (attribute_not_exists({TAKEN_BY}) OR {TAKEN_BY} = :me)");
        Ok(self.put_if(taken, Condition::new(free).text(":me", call)).await?.then_some(attempt))
    }

    /// Stores a log-in that waits for confirmation, under the browser's secret. A newer one replaces it.
    pub async fn put_pending(&self, browser: &str, pending: &PendingLink) -> Result<(), Error> {
        let key = keys::pending(&secret_hash(browser).0);
        self.put(Item::new(key, "pending_link", pending)?.expires(end(pending.created_at))).await
    }

    /// The log-in that this browser may confirm.
    pub async fn pending(&self, browser: &str, now: Timestamp) -> Result<Option<PendingLink>, Error> {
        self.read_alive(&keys::pending(&secret_hash(browser).0), now).await
    }

    /// Forgets the log-in of this browser.
    pub async fn delete_pending(&self, browser: &str) -> Result<(), Error> {
        self.take(&keys::pending(&secret_hash(browser).0)).await.map(drop)
    }
}

/// Ends what has not ended yet, as a part of a transaction.
pub(crate) fn delete_alive(table: &str, key: &Key, now: Timestamp) -> TransactWriteItem {
    let alive = Condition::new(format!("{EXPIRES_AT} > :now")).number(":now", i128::from(now.as_second()));
    let (expression, values) = alive.parts();
    let delete = Delete::builder()
        .table_name(table)
        .set_key(Some(key_attributes(key)))
        .condition_expression(expression)
        .set_expression_attribute_values(values)
        .build();
    TransactWriteItem::builder().set_delete(delete.ok()).build()
}

/// Which parts of a transaction failed for their condition; `None`: the transaction failed for another reason.
pub(crate) fn failed_conditions(error: &SdkError<TransactWriteItemsError>) -> Option<Vec<bool>> {
    match error.as_service_error()? {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            Some(cancelled.cancellation_reasons().iter().map(has_failed).collect())
        }
        _ => None,
    }
}

fn has_failed(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}
