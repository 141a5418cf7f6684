//! Account links with their sealed tokens, and personal chats.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::forward;
use domain::ids::{AccountId, ConversationId, EntraUserId, PdUserId, ServiceUrl, TeamsUserId, TenantId};
use domain::linking::{AccountLink, WantedAction};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::item::{Attributes, Condition, DATA, Item, data, key_of, number, or_skip, version, written};
use crate::seal::Sealed;
use crate::table::LONGEST_KEY;
use crate::update::{Update, n};
use crate::{Error, Saved, Store, keys};

/// When a refresher's lease ends, in seconds since 1970; 0: nobody holds it.
const LEASE_UNTIL: &str = "lease_until";
const LEASE_HOLDER: &str = "lease_holder";

/// When a refresh with these tokens was begun of which PagerDuty's answer is not known, in seconds since 1970. It may have used
/// up the refresh token.
const BEGUN_AT: &str = "refresh_begun_at";

/// Which link this is: one that is made anew after its end begins to count its versions anew.
const LINKED_AT: &str = "linked_at";

/// An account link with its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLink {
    pub link: AccountLink,
    /// The tokens; see [`crate::Tokens`].
    pub tokens: Sealed,
    /// Grows with every new pair of tokens.
    pub tokens_version: u64,
}

/// The right to refresh the tokens of a link, which nobody else has until it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshLease {
    link: AccountLink,
    tokens_version: u64,
    holder: String,
    /// When a refresh with the same tokens was begun of which no answer is known: this one included.
    begun_at: i64,
    /// Whether that was an earlier one.
    repeats: bool,
}

impl RefreshLease {
    /// Whether the answer to an earlier refresh with the same tokens was lost, so that their refresh token may be used up.
    #[must_use]
    pub fn repeats(&self) -> bool {
        self.repeats
    }
}

/// What is known of a refresh that brought no tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unrefreshed {
    /// PagerDuty has not done it.
    NotDone,
    /// Its answer is lost: it may have used up the refresh token.
    Unclear,
}

/// The private chat between the bot and a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonalChat {
    pub conversation: ConversationId,
    pub service_url: ServiceUrl,
    /// The person as the bot knows them.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub teams_user: Option<TeamsUserId>,
}

#[derive(Serialize, Deserialize)]
struct LinkData {
    link: AccountLink,
    tokens: Sealed,
}

pub(crate) fn stored(item: &Attributes) -> Result<StoredLink, Error> {
    let LinkData { link, tokens } = data(item)?;
    Ok(StoredLink { link, tokens, tokens_version: version(item) })
}

pub(crate) fn link_item(link: &AccountLink, tokens: &Sealed, version: u64) -> Result<Item, Error> {
    let key = keys::link(&link.tenant, &link.user, &link.account);
    let item = Item::new(key, "account_link", &LinkData { link: link.clone(), tokens: tokens.clone() })?;
    Ok(item
        .indexed(Some(keys::link_of_account(&link.account, &link.tenant, &link.pd_user)))
        .version(version)
        .text(LINKED_AT, &link.linked_at.to_string())
        .number(LEASE_UNTIL, 0))
}

/// Holds while the table has this very link with these very tokens. `and` may say more.
pub(crate) fn unchanged(link: &AccountLink, tokens_version: u64, and: &str) -> Condition {
    Condition::new(format!("version = :version AND {LINKED_AT} = :linked_at{and}"))
        .number(":version", i128::from(tokens_version))
        .text(":linked_at", &link.linked_at.to_string())
}

impl Store {
    /// A person's link to an account.
    pub async fn link(
        &self,
        tenant: &TenantId,
        user: &EntraUserId,
        account: &AccountId,
    ) -> Result<Option<StoredLink>, Error> {
        self.read(&keys::link(tenant, user, account)).await?.as_ref().map(stored).transpose()
    }

    /// Who in a tenant has linked themselves to this user of an account: the one who did it last, if there are several. One made a
    /// moment ago may be missing.
    pub async fn linked_to(
        &self,
        account: &AccountId,
        tenant: &TenantId,
        user: &PdUserId,
    ) -> Result<Option<EntraUserId>, Error> {
        let theirs = self.links_to(account, tenant, user).await?.into_iter();
        Ok(theirs.max_by_key(|link| link.linked_at).map(|link| link.user))
    }

    /// All links of a tenant's people to this user of an account. One made a moment ago may be missing.
    async fn links_to(
        &self,
        account: &AccountId,
        tenant: &TenantId,
        user: &PdUserId,
    ) -> Result<Vec<AccountLink>, Error> {
        let key = keys::link_of_account(account, tenant, user);
        let found = self.index(&key.pk, Some(&key.sk)).await?;
        let links = found.iter().filter_map(|item| or_skip(stored(item)).ok().flatten()).map(|stored| stored.link);
        // The key of one user may begin with that of another.
        Ok(links.filter(|link| &link.pd_user == user && &link.tenant == tenant).collect())
    }

    /// The links of a tenant's other people to the PagerDuty user of `link`. One made a moment ago may be missing.
    pub async fn links_beside(&self, link: &AccountLink, tenant: &TenantId) -> Result<Vec<AccountLink>, Error> {
        let mut others = self.links_to(&link.account, tenant, &link.pd_user).await?;
        others.retain(|other| (&other.tenant, &other.user) != (&link.tenant, &link.user));
        Ok(others)
    }

    /// All links of a person.
    pub async fn links_of(&self, tenant: &TenantId, user: &EntraUserId) -> Result<Vec<StoredLink>, Error> {
        let items = self.partition(&keys::user(tenant, user), Some(keys::LINK)).await?;
        Ok(items.iter().filter_map(|item| or_skip(stored(item)).ok().flatten()).collect())
    }

    /// Deletes all links of a person, tokens included, and names those that can be read.
    pub async fn delete_links(&self, tenant: &TenantId, user: &EntraUserId) -> Result<Vec<AccountLink>, Error> {
        let mut deleted = Vec::new();
        for key in self.partition(&keys::user(tenant, user), Some(keys::LINK)).await?.iter().filter_map(key_of) {
            if let Some(item) = self.take(&key).await? {
                deleted.extend(or_skip(stored(&item))?.map(|known| known.link));
            }
        }
        Ok(deleted)
    }

    /// Deletes the links of a tenant to an account, tokens included, and counts them.
    pub async fn delete_links_to(&self, account: &AccountId, tenant: &TenantId) -> Result<usize, Error> {
        let mut deleted = 0;
        let items = self.index(&keys::links_of_account(account), Some(&keys::of_tenant(tenant))).await?;
        for key in items.iter().filter_map(key_of) {
            if self.take(&key).await?.is_some() {
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    /// Claims the right to refresh the tokens whose version the caller has seen, and notes that it begins: if nothing else is heard
    /// of it, its answer is lost. `None`: somebody else refreshes them, or has.
    pub async fn claim_refresh(
        &self,
        link: &AccountLink,
        tokens_version: u64,
        holder: &str,
        now: Timestamp,
        lease: SignedDuration,
    ) -> Result<Option<RefreshLease>, Error> {
        let Some(item) = self.read(&keys::link(&link.tenant, &link.user, &link.account)).await? else {
            return Ok(None);
        };
        let known = stored(&item)?;
        let leased_until = number(&item, LEASE_UNTIL).unwrap_or(0);
        if known.link.linked_at != link.linked_at
            || known.tokens_version != tokens_version
            || leased_until > now.as_second()
        {
            return Ok(None);
        }
        let until = now.checked_add(lease).unwrap_or(Timestamp::MAX).as_second();
        // A lease that ran out says the same: nobody has told its end.
        let earlier = number(&item, BEGUN_AT).or(Some(leased_until)).filter(|begun| *begun > 0);
        let (begun_at, repeats) = (earlier.unwrap_or(now.as_second()), earlier.is_some());
        let claimed = link_item(&known.link, &known.tokens, tokens_version)?
            .number(LEASE_UNTIL, i128::from(until))
            .number(BEGUN_AT, i128::from(begun_at))
            .text(LEASE_HOLDER, holder);
        // The holder's own name: the SDK repeats a request whose answer was lost.
        let condition = unchanged(link, tokens_version, " AND (lease_until = :seen OR lease_holder = :holder)")
            .number(":seen", i128::from(leased_until))
            .text(":holder", holder);
        let won = self.put_if(claimed, condition).await?;
        let holder = holder.to_owned();
        Ok(won.then(|| RefreshLease { link: link.clone(), tokens_version, holder, begun_at, repeats }))
    }

    /// Stores a new pair of tokens and ends the lease. A lease that ended before still serves while nobody else holds one
    /// and the version is the one that was refreshed: the old pair is used up. A link that has ended meanwhile stays ended.
    pub async fn save_tokens(&self, lease: &RefreshLease, tokens: &Sealed) -> Result<Saved, Error> {
        let RefreshLease { link, tokens_version, holder, .. } = lease;
        let item = link_item(link, tokens, tokens_version + 1)?;
        let condition = unchanged(link, *tokens_version, " AND (lease_holder = :holder OR lease_until = :free)")
            .number(":free", 0)
            .text(":holder", holder);
        Ok(if self.put_if(item, condition).await? { Saved::Yes } else { Saved::Overtaken })
    }

    /// Stores the same tokens, sealed anew. `false`: they have changed meanwhile, or somebody refreshes them, who seals anew.
    pub async fn reseal_tokens(&self, stored: &StoredLink, sealed: &Sealed, now: Timestamp) -> Result<bool, Error> {
        let StoredLink { link, tokens_version, .. } = stored;
        let key = keys::link(&link.tenant, &link.user, &link.account);
        let mut update = Update::default();
        let path = format!("{}.{}", update.name(DATA), update.name("tokens"));
        let sealed = update.value("sealed", written(&key.pk, sealed)?);
        let linked_at = AttributeValue::S(link.linked_at.to_string());
        let now = update.value("now", n(now.as_second()));
        let idle = format!("{} < {now}", update.name(LEASE_UNTIL));
        // As a lease that has run out may still be saved, it is left as one that nobody holds. That its refresh was begun stays noted.
        let update = update.set_to(format!("{path} = {sealed}")).set(LEASE_UNTIL, n(0)).if_holds(idle);
        let update = update.if_equal("version", n(*tokens_version)).if_equal(LINKED_AT, linked_at);
        Ok(self.update(&key, update).await?.is_some())
    }

    /// Ends the lease without new tokens.
    pub async fn release_refresh(&self, lease: &RefreshLease, ended: Unrefreshed) -> Result<(), Error> {
        let RefreshLease { link, holder, begun_at, repeats, .. } = lease;
        let Some(known) = self.link(&link.tenant, &link.user, &link.account).await? else { return Ok(()) };
        let mut item = link_item(&known.link, &known.tokens, known.tokens_version)?;
        if *repeats || ended == Unrefreshed::Unclear {
            item = item.number(BEGUN_AT, i128::from(*begun_at));
        }
        let mine = Condition::new("lease_holder = :holder").text(":holder", holder);
        self.put_if(item, mine).await.map(drop)
    }

    /// Remembers a person's private chat.
    pub async fn put_personal_chat(
        &self,
        tenant: &TenantId,
        user: &EntraUserId,
        chat: &PersonalChat,
    ) -> Result<(), Error> {
        if self.personal_chat(tenant, user).await?.as_ref() == Some(chat) {
            return Ok(());
        }
        self.put(Item::new(keys::personal_chat(tenant, user), "personal_chat", chat)?).await
    }

    /// Forgets a person's private chat: they removed the app from it.
    pub async fn delete_personal_chat(&self, tenant: &TenantId, user: &EntraUserId) -> Result<(), Error> {
        self.take(&keys::personal_chat(tenant, user)).await.map(drop)
    }

    /// Keeps what a person wanted to do, until `expires`, under an id that a button can carry.
    pub async fn put_wanted(
        &self,
        (tenant, user): (&TenantId, &EntraUserId),
        id: &str,
        wanted: &WantedAction,
        expires: Timestamp,
    ) -> Result<(), Error> {
        self.put(Item::new(keys::wanted(tenant, user, id), "wanted_action", wanted)?.expires(expires)).await
    }

    /// What this very person wanted to do, if it is still of interest.
    pub async fn wanted(
        &self,
        tenant: &TenantId,
        user: &EntraUserId,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<WantedAction>, Error> {
        let key = keys::wanted(tenant, user, id);
        // A button says the id, and anybody can forge one.
        if key.sk.len() > LONGEST_KEY { Ok(None) } else { self.read_alive(&key, now).await }
    }

    /// A person's private chat, if there has been one; one that cannot be read is noted anew with the next message.
    pub async fn personal_chat(&self, tenant: &TenantId, user: &EntraUserId) -> Result<Option<PersonalChat>, Error> {
        Ok(or_skip(self.read_data(&keys::personal_chat(tenant, user)).await)?.flatten())
    }
}
