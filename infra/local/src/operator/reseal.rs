//! Sealing anew, with the current keys, what older keys have sealed, so that `infra/secrets drop-old-keys` can forget them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use runtime::{App, SecretValues};
use store::seal::{KeyRing, SealError, Sealed};
use store::{Resealable, StoredLink, Subscription};

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Resealed {
    /// For the person at the terminal.
    pub text: String,
    /// Whether nothing is left that an older key has sealed.
    pub is_complete: bool,
}

/// Of account links, or of subscriptions.
#[derive(Debug, Default)]
struct Counts {
    current: usize,
    /// How many older keys have sealed, by the id of the oldest.
    old: BTreeMap<String, usize>,
    resealed: usize,
    /// Somebody else wrote them at the same time.
    changed: usize,
    /// Their keys are not there, or they were tampered with.
    lost: BTreeMap<String, usize>,
}

/// Seals everything anew. `check`: only counts. Can be stopped and run again at any time: an item changes only if it is as it was
/// read.
///
/// # Errors
/// The table or the secret cannot be read.
pub async fn reseal(app: &App, check: bool) -> anyhow::Result<Resealed> {
    let values = app.secrets.values(app.clock.now()).await.context("the secret cannot be read")?;
    let (mut links, mut subscriptions, mut unreadable) = (Counts::default(), Counts::default(), 0);
    let mut from = None;
    loop {
        let page = app.store.resealable(from).await.context("the table cannot be read")?;
        unreadable += page.unreadable;
        for one in &page.found {
            match one {
                Resealable::Link(link) => {
                    links.add(app, &values, one, std::slice::from_ref(&link.tokens), check).await?
                }
                Resealable::Subscription(known) => subscriptions.add(app, &values, one, &known.secrets, check).await?,
            }
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    let mut text = format!("{}\n{}", links.told("account links"), subscriptions.told("webhook subscriptions"));
    if unreadable > 0 {
        _ = write!(text, "\n{unreadable} items cannot be read; the log above names them");
    }
    Ok(Resealed { text, is_complete: unreadable == 0 && links.is_complete() && subscriptions.is_complete() })
}

impl Counts {
    async fn add(
        &mut self,
        app: &App,
        values: &SecretValues,
        one: &Resealable,
        sealed: &[Sealed],
        check: bool,
    ) -> anyhow::Result<()> {
        let ring = match one {
            Resealable::Link(_) => values.token_keys()?,
            Resealable::Subscription(_) => values.webhook_keys()?,
        };
        let Some(old) = sealed.iter().find(|sealed| !ring.is_current(sealed)).map(|sealed| sealed.key_id().to_owned())
        else {
            self.current += 1;
            return Ok(());
        };
        if check {
            *self.old.entry(old).or_default() += 1;
            return Ok(());
        }
        let done = match one {
            Resealable::Link(link) => reseal_link(app, ring, link).await,
            Resealable::Subscription(known) => reseal_subscription(app, ring, known).await,
        };
        match done {
            Ok(true) => self.resealed += 1,
            Ok(false) => self.changed += 1,
            Err(error) if error.is::<SealError>() => *self.lost.entry(old).or_default() += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.old.is_empty() && self.lost.is_empty() && self.changed == 0
    }

    fn told(&self, what: &str) -> String {
        let mut text = format!("{what}: {} with the current key", self.current + self.resealed);
        if self.resealed > 0 {
            _ = write!(text, ", {} of them sealed anew", self.resealed);
        }
        if self.changed > 0 {
            _ = write!(text, ", {} changed at the same time: run it again", self.changed);
        }
        for (key, count) in &self.old {
            _ = write!(text, ", {count} with the older key {key}");
        }
        for (key, count) in &self.lost {
            _ = write!(text, ", {count} cannot be opened: their key {key} is gone, or is another one by now");
        }
        text
    }
}

async fn reseal_link(app: &App, ring: &KeyRing, stored: &StoredLink) -> anyhow::Result<bool> {
    let tokens = store::Tokens::open(ring, &stored.tokens, &stored.link)?;
    let sealed = tokens.seal(ring, &stored.link, app.random.bytes()?)?;
    Ok(app.store.reseal_tokens(stored, &sealed, app.clock.now()).await?)
}

async fn reseal_subscription(app: &App, ring: &KeyRing, known: &Subscription) -> anyhow::Result<bool> {
    let mut secrets = Vec::new();
    for sealed in &known.secrets {
        let resealed = ring.reseal(sealed, known.id.as_str(), app.random.bytes()?)?;
        secrets.push(resealed.unwrap_or_else(|| sealed.clone()));
    }
    Ok(app.store.reseal_subscription(known, &secrets).await?)
}
