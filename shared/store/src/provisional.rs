//! Confirmed log-ins whose tokens wait until Teams has named the user (`domain::proof`).
//!
//! They are kept with the Teams user: that user's own activities are the only way to them, whatever somebody else knows.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update as TransactUpdate};
use domain::ids::{EntraUserId, TenantId};
use domain::linking::{AccountLink, Ticket};
use domain::proof::{Standing, TRIES, waits_until};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::item::{Condition, Item, data_or_skip, is_alive, key_attributes, number, or_skip, version};
use crate::keys::Key;
use crate::people::{link_item, stored, unchanged};
use crate::seal::Sealed;
use crate::table::EXPIRES_AT;
use crate::tickets::{SecretHash, delete_alive, failed_conditions};
use crate::update::{Update, n};
use crate::{Confirm, Error, PendingLink, Store, keys, secret_hash};

/// How often a transaction is tried that another one has crossed.
const CROSSED_TRIES: usize = 4;

/// What its standing is, where a condition can see it.
const STANDING: &str = "standing";
const WAITING: &str = "waiting";

/// How many numbers have been written for it.
const SPENT: &str = "spent";

/// A confirmed log-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisional {
    /// Tells it from the person's other ones; no secret.
    pub id: String,
    pub ticket: SecretHash,
    /// The ticket's content: who asked, where to tell, and what they wanted.
    pub asked: Ticket,
    /// The link that it would become.
    pub link: AccountLink,
    /// The tokens, sealed as they will be in the link; gone once it is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Sealed>,
    /// The page's code and number.
    pub proof: Sealed,
    /// Whether the link was opened by the sign-in button of Teams.
    #[serde(default)]
    pub in_teams: bool,
    #[serde(deserialize_with = "domain::forward::or_unknown")]
    pub standing: Standing,
    pub created_at: Timestamp,
}

/// What a proof led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activated {
    /// The accounts are linked.
    Linked(AccountLink),
    /// They were linked by this very log-in a moment ago.
    Before,
    /// The log-in or its ticket is over, or was used by another one.
    Over,
}

/// Which log-in a browser waits for.
#[derive(Serialize, Deserialize)]
struct Waiting {
    tenant: TenantId,
    user: EntraUserId,
    id: String,
}

impl Provisional {
    fn key(&self) -> Key {
        keys::provisional(&self.link.tenant, &self.link.user, &self.id)
    }

    fn item(&self) -> Result<Item, Error> {
        let standing = match self.standing {
            Standing::Waiting => WAITING,
            Standing::Linked => "linked",
            Standing::Over => "over",
        };
        let item = Item::new(self.key(), "provisional_link", self)?.text(STANDING, standing);
        Ok(item.expires(waits_until(&self.asked, self.created_at)))
    }

    fn decided(&self, standing: Standing) -> Result<Item, Error> {
        Self { standing, tokens: None, ..self.clone() }.item()
    }
}

fn still_waiting() -> Condition {
    Condition::new(format!("{STANDING} = :waiting")).text(":waiting", WAITING)
}

impl Store {
    /// Ends the question that a browser was asked and keeps what it was about until Teams has named the user, all or nothing. The
    /// ticket lives as long.
    pub async fn confirm_link(
        &self,
        browser: &str,
        pending: &PendingLink,
        provisional: &Provisional,
        now: Timestamp,
    ) -> Result<Confirm, Error> {
        let hash = secret_hash(browser);
        let until = waits_until(&provisional.asked, provisional.created_at);
        let AccountLink { tenant, user, .. } = &provisional.link;
        let waiting = Waiting { tenant: tenant.clone(), user: user.clone(), id: provisional.id.clone() };
        for _ in 0..CROSSED_TRIES {
            let waiting = Item::new(keys::waiting(hash.as_str()), "waiting_link", &waiting)?.expires(until);
            let sent = self
                .client
                .transact_write_items()
                .transact_items(delete_alive(&self.table, &keys::pending(hash.as_str()), now))
                .transact_items(self.prolong(&keys::ticket(pending.ticket.as_str()), now, until))
                .transact_items(self.put_in(provisional.item()?, Condition::new("attribute_not_exists(pk)")))
                .transact_items(self.put_in(waiting, Condition::default()))
                .send()
                .await;
            match sent {
                Ok(_) => return Ok(Confirm::Waits),
                Err(error) => match failed_conditions(&error) {
                    Some(failed) if failed.contains(&true) => return Ok(Confirm::Expired),
                    Some(_) => {}
                    None => return Err(Error::call("TransactWriteItems", error)),
                },
            }
        }
        Err(Error::Contended { what: "a log-in".to_owned() })
    }

    /// The confirmed log-in that this browser waits for, or waited for lately.
    pub async fn waited_for(&self, browser: &str, now: Timestamp) -> Result<Option<Provisional>, Error> {
        let key = keys::waiting(secret_hash(browser).as_str());
        let Some(Waiting { tenant, user, id }) = self.read_alive(&key, now).await? else { return Ok(None) };
        self.read_alive(&keys::provisional(&tenant, &user, &id), now).await
    }

    /// This browser is busy with something else.
    pub async fn stop_waiting(&self, browser: &str) -> Result<(), Error> {
        self.take(&keys::waiting(secret_hash(browser).as_str())).await.map(drop)
    }

    /// The confirmed log-ins of this user, decided or not, the newest first.
    pub async fn provisionals_of(
        &self,
        tenant: &TenantId,
        user: &EntraUserId,
        now: Timestamp,
    ) -> Result<Vec<Provisional>, Error> {
        let items = self.partition(&keys::user(tenant, user), Some(keys::PROVISIONAL)).await?;
        let mut known: Vec<Provisional> =
            items.iter().filter(|item| is_alive(item, now)).filter_map(data_or_skip).collect();
        known.sort_by_key(|known| std::cmp::Reverse(known.created_at));
        Ok(known)
    }

    /// Counts a number that was written for this log-in, before it is looked at: so that many at the same time are no more than
    /// [`TRIES`]. Gives how many are left after it; `None`: it may not be looked at.
    pub async fn spend_try(&self, provisional: &Provisional) -> Result<Option<u8>, Error> {
        let mut update = Update::default().add_one(SPENT);
        let (spent, most) = (update.name(SPENT), update.value("most", n(TRIES)));
        let update = update
            .if_equal(STANDING, aws_sdk_dynamodb::types::AttributeValue::S(WAITING.to_owned()))
            .if_holds(format!("(attribute_not_exists({spent}) OR {spent} < {most})"));
        let Some(item) = self.update(&provisional.key(), update).await? else { return Ok(None) };
        let spent = number(&item, SPENT).and_then(|spent| u8::try_from(spent).ok()).unwrap_or(TRIES);
        Ok(Some(TRIES.saturating_sub(spent)))
    }

    /// Makes exactly the link that the person was shown: log-in and ticket end and the link begins, all or nothing. The caller
    /// has checked the proof.
    pub async fn activate(&self, provisional: &Provisional, now: Timestamp) -> Result<Activated, Error> {
        let Some(tokens) = &provisional.tokens else { return Ok(Activated::Over) };
        let link = AccountLink { linked_at: now, ..provisional.link.clone() };
        let AccountLink { tenant, user, account, .. } = &link;
        for _ in 0..CROSSED_TRIES {
            let item = self.read(&keys::link(tenant, user, account)).await?;
            let known = item.as_ref().map(stored).map(or_skip).transpose()?.flatten();
            // Continues the count of a link that is replaced, so that a refresher of its old tokens notices.
            let made = link_item(&link, tokens, item.as_ref().map_or(0, version) + 1)?;
            let as_read = match &known {
                Some(known) => unchanged(&known.link, known.tokens_version, ""),
                None => Condition::unchanged(item.as_ref()),
            };
            let sent = self
                .client
                .transact_write_items()
                .transact_items(self.put_in(provisional.decided(Standing::Linked)?, still_waiting()))
                .transact_items(delete_alive(&self.table, &keys::ticket(provisional.ticket.as_str()), now))
                .transact_items(self.put_in(made, as_read))
                .send()
                .await;
            match sent {
                Ok(_) => return Ok(Activated::Linked(link)),
                Err(error) => match failed_conditions(&error) {
                    Some(failed) if failed.iter().take(2).any(|failed| *failed) => {
                        let known: Option<Provisional> = self.read_alive(&provisional.key(), now).await?;
                        let linked = known.is_some_and(|known| known.standing == Standing::Linked);
                        return Ok(if linked { Activated::Before } else { Activated::Over });
                    }
                    // The link has changed since it was read: log-in and ticket are as good as before.
                    Some(_) => {}
                    None => return Err(Error::call("TransactWriteItems", error)),
                },
            }
        }
        Err(Error::Contended { what: "an account link".to_owned() })
    }

    /// Counts one number less: it was the right one, and could not be used.
    pub async fn return_try(&self, provisional: &Provisional) -> Result<(), Error> {
        let mut update = Update::default();
        let (spent, none) = (update.name(SPENT), update.value("none", n(0)));
        let update = update
            .take_one(SPENT)
            .if_equal(STANDING, aws_sdk_dynamodb::types::AttributeValue::S(WAITING.to_owned()))
            .if_holds(format!("{spent} > {none}"));
        self.update(&provisional.key(), update).await.map(drop)
    }

    /// Nothing comes of this log-in any more, nor of its ticket and the other log-ins with it; their tokens are forgotten.
    pub async fn give_up(&self, provisional: &Provisional) -> Result<(), Error> {
        // First, so that none of the others becomes a link meanwhile.
        self.take(&keys::ticket(provisional.ticket.as_str())).await?;
        let AccountLink { tenant, user, .. } = &provisional.link;
        for known in self.provisionals_of(tenant, user, provisional.created_at).await? {
            if known.ticket == provisional.ticket && known.standing == Standing::Waiting {
                self.put_if(known.decided(Standing::Over)?, still_waiting()).await?;
            }
        }
        Ok(())
    }

    fn prolong(&self, key: &Key, now: Timestamp, until: Timestamp) -> TransactWriteItem {
        let alive = Condition::new(format!("{EXPIRES_AT} > :now"))
            .number(":now", i128::from(now.as_second()))
            .number(":until", i128::from(until.as_second()));
        let (expression, values) = alive.parts();
        let update = TransactUpdate::builder()
            .table_name(&self.table)
            .set_key(Some(key_attributes(key)))
            .update_expression(format!("SET {EXPIRES_AT} = :until"))
            .condition_expression(expression)
            .set_expression_attribute_values(values)
            .build();
        TransactWriteItem::builder().set_update(update.ok()).build()
    }

    fn put_in(&self, item: Item, condition: Condition) -> TransactWriteItem {
        let (expression, values) = condition.parts();
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item.into_attributes()))
            .set_condition_expression((!expression.is_empty()).then_some(expression))
            .set_expression_attribute_values(values)
            .build();
        TransactWriteItem::builder().set_put(put.ok()).build()
    }
}
