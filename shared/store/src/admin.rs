//! Setting up: authorizations in progress, keys for admins, sessions of the configuration page, and the audit.

use domain::connection::Account;
use domain::forward::{self, Stored};
use domain::ids::{AccountId, PdUserId, TeamId};
use domain::linking::{AuthorizationKey, Ticket};
use domain::permission::Rank;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::item::{Condition, Item, alive, data_or_skip, is_alive, text};
use crate::table::SK;
use crate::{Error, SecretHash, Store, keys, secret_hash};

/// How long the link of an expired ticket can still be told from a made-up one, and be renewed.
const KEEP_RENEWAL: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A PagerDuty admin has logged in to authorize a team and is asked whether that is meant; known by the browser's secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAuthorization {
    pub ticket: SecretHash,
    pub team: TeamId,
    /// When the bot was added to it.
    pub installed_at: Timestamp,
    /// The account that it would be connected to.
    pub account: Account,
    pub admin: Admin,
    /// Whose personal link was followed, as Teams shows them.
    pub asked_by: String,
    pub created_at: Timestamp,
}

/// A PagerDuty user who sets things up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admin {
    pub user: PdUserId,
    pub name: String,
    pub email: String,
    pub role: String,
    #[serde(deserialize_with = "forward::or_unknown")]
    pub rank: Rank,
}

/// Somebody is logged in to the configuration page; known by the cookie's secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The account that they belong to. Nothing of another account can be seen or changed.
    pub account: AccountId,
    pub admin: Admin,
    pub checked_at: Timestamp,
    /// When they last asked for something, to a minute; of a session that an older version has opened, see
    /// [`Session::last_seen`].
    #[serde(default, deserialize_with = "forward::or_none")]
    pub seen_at: Option<Timestamp>,
    /// When they have to log in again.
    pub expires_at: Timestamp,
}

impl Session {
    /// When the person was last seen. Older versions only note when they asked PagerDuty for the role, which they did for each
    /// minute in which the session was used.
    #[must_use]
    pub fn last_seen(&self) -> Timestamp {
        self.seen_at.unwrap_or(self.checked_at)
    }
}

/// One thing that somebody changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    pub at: Timestamp,
    /// Who, as PagerDuty or Teams shows them.
    pub who: String,
    #[serde(deserialize_with = "forward::or_unknown")]
    pub via: Via,
    /// What they did, as one sentence.
    pub text: String,
}

/// Where a change was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// On the configuration page.
    Page,
    /// By a command in Teams, or by a change in Teams.
    Teams,
    /// By nobody in particular, or in a way that a newer version knows.
    System,
}

impl Stored for Via {
    const UNKNOWN: Self = Self::System;
}

impl Store {
    /// Keeps a ticket's content beyond its end, so that its owner can be sent a new one, once.
    pub async fn put_renewal(&self, secret: &str, ticket: &Ticket) -> Result<(), Error> {
        let expires = ticket.created_at.checked_add(KEEP_RENEWAL).unwrap_or(Timestamp::MAX);
        let key = keys::renewal(secret_hash(secret).as_str());
        self.put(Item::new(key, "ticket_renewal", ticket)?.expires(expires)).await
    }

    /// Takes what is needed to renew an expired ticket: exactly one caller gets it.
    pub async fn take_renewal(&self, secret: &str, now: Timestamp) -> Result<Option<Ticket>, Error> {
        let taken = self.take(&keys::renewal(secret_hash(secret).as_str())).await?;
        Ok(alive(taken, now))
    }

    /// Ends a ticket. `false`: it was over, or ended by somebody else.
    pub async fn end_ticket(&self, hash: &SecretHash, now: Timestamp) -> Result<bool, Error> {
        self.take(&keys::renewal(hash.as_str())).await?;
        Ok(self.take(&keys::ticket(hash.as_str())).await?.is_some_and(|item| is_alive(&item, now)))
    }

    /// Stores an authorization that waits for confirmation, under the browser's secret. A newer one replaces it.
    pub async fn put_pending_authorization(
        &self,
        browser: &str,
        pending: &PendingAuthorization,
        expires: Timestamp,
    ) -> Result<(), Error> {
        let key = keys::pending_authorization(secret_hash(browser).as_str());
        self.put(Item::new(key, "pending_authorization", pending)?.expires(expires)).await
    }

    /// The authorization that this browser may confirm.
    pub async fn pending_authorization(
        &self,
        browser: &str,
        now: Timestamp,
    ) -> Result<Option<PendingAuthorization>, Error> {
        self.read_alive(&keys::pending_authorization(secret_hash(browser).as_str()), now).await
    }

    /// Forgets the authorization of this browser.
    pub async fn delete_pending_authorization(&self, browser: &str) -> Result<(), Error> {
        self.take(&keys::pending_authorization(secret_hash(browser).as_str())).await.map(drop)
    }

    /// Stores a key for an admin.
    pub async fn put_authorization_key(&self, secret: &str, key: &AuthorizationKey) -> Result<(), Error> {
        let place = keys::authorization_key(secret_hash(secret).as_str());
        self.put(Item::new(place, "authorization_key", key)?.expires(key.expires_at())).await
    }

    /// What a key is good for, if it can still be used.
    pub async fn authorization_key(&self, secret: &str, now: Timestamp) -> Result<Option<AuthorizationKey>, Error> {
        self.read_alive(&keys::authorization_key(secret_hash(secret).as_str()), now).await
    }

    /// The account that a PagerDuty app belongs to, as its first log-in has shown; `seen` if there was none. It never changes:
    /// an app belongs to one account for good.
    pub async fn account_of_app(&self, client_id: &str, seen: &AccountId) -> Result<AccountId, Error> {
        let key = keys::account_of_app(client_id);
        let item = Item::new(key.clone(), "account_of_app", seen)?;
        if self.put_if(item, Condition::new("attribute_not_exists(pk)")).await? {
            return Ok(seen.clone());
        }
        Ok(self.read_data(&key).await?.unwrap_or_else(|| seen.clone()))
    }

    /// The account that a PagerDuty app belongs to; `None`: nobody has logged in yet.
    pub async fn known_account_of_app(&self, client_id: &str) -> Result<Option<AccountId>, Error> {
        self.read_data(&keys::account_of_app(client_id)).await
    }

    /// Stores a session under the cookie's secret.
    pub async fn put_session(&self, secret: &str, session: &Session) -> Result<(), Error> {
        self.put(session_item(secret, session)?).await
    }

    /// Replaces a session that has not been ended meanwhile. `false`: it has.
    pub async fn update_session(&self, secret: &str, session: &Session) -> Result<bool, Error> {
        self.put_if(session_item(secret, session)?, Condition::new("attribute_exists(pk)")).await
    }

    /// The session of a cookie, if it has not ended.
    pub async fn session(&self, secret: &str, now: Timestamp) -> Result<Option<Session>, Error> {
        self.read_alive(&keys::session(secret_hash(secret).as_str()), now).await
    }

    /// Ends a session.
    pub async fn delete_session(&self, secret: &str) -> Result<(), Error> {
        self.take(&keys::session(secret_hash(secret).as_str())).await.map(drop)
    }

    /// Adds to the audit of an account; `id` tells entries of the same moment apart.
    pub async fn put_audit(
        &self,
        account: &AccountId,
        id: &str,
        entry: &AuditEntry,
        keep: SignedDuration,
    ) -> Result<(), Error> {
        let expires = entry.at.checked_add(keep).unwrap_or(Timestamp::MAX);
        self.put(Item::new(keys::audit(account, &keys::in_order(entry.at), id), "audit", entry)?.expires(expires)).await
    }

    /// The newest entries of an account's audit that come before `before`, newest first, and where the next page begins.
    pub async fn audit(
        &self,
        account: &AccountId,
        before: Option<&str>,
        limit: u16,
        now: Timestamp,
    ) -> Result<(Vec<AuditEntry>, Option<String>), Error> {
        let partition = keys::audit(account, "", "").pk;
        let items = self.newest(&partition, before, i32::from(limit)).await?;
        let next = if items.len() < usize::from(limit) { None } else { items.last().and_then(|item| text(item, SK)) };
        let next = next.map(str::to_owned);
        let entries = items.iter().filter(|item| is_alive(item, now)).filter_map(data_or_skip).collect();
        Ok((entries, next))
    }
}

fn session_item(secret: &str, session: &Session) -> Result<Item, Error> {
    let key = keys::session(secret_hash(secret).as_str());
    Ok(Item::new(key, "session", session)?.expires(session.expires_at))
}
