//! What a tenant may be sent, and what PagerDuty may be asked besides, which all processes share.

use domain::budget::{IN_TENANT_WINDOW, TenantWindow};
use domain::ids::{AccountId, TenantId};
use jiff::{SignedDuration, Timestamp};

use crate::item::number;
use crate::table::EXPIRES_AT;
use crate::update::{Update, n};
use crate::{Error, Store, keys};

const COUNT: &str = "count";

/// How often it is tried with less when there is not so much room.
const TRIES: usize = 4;

/// A window is of no use after half a second.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// Requests a minute for what is nice to know, of the 960 that PagerDuty takes (REST docs, "Rate limits").
const READS_A_MINUTE: usize = 400;

impl Store {
    /// Reserves so many requests to PagerDuty for what is nice to know. `false`: this minute's are used up.
    pub async fn reserve_reads(&self, account: &AccountId, wanted: usize, now: Timestamp) -> Result<bool, Error> {
        let Some(most) = READS_A_MINUTE.checked_sub(wanted) else { return Ok(false) };
        let key = keys::reads(account, now.as_second().div_euclid(60));
        let expires = now.checked_add(KEPT).unwrap_or(Timestamp::MAX).as_second();
        let mut update = Update::default().add(COUNT, wanted as u64).set(EXPIRES_AT, n(expires));
        let (count, most) = (update.name(COUNT), update.value("most", n(most as u64)));
        let update = update.if_holds(format!("(attribute_not_exists({count}) OR {count} <= {most})"));
        Ok(self.update(&key, update).await?.is_some())
    }

    /// Reserves so many requests to Teams, or as many as there is room for now. One call, unless room is short.
    pub async fn reserve_for_tenant(&self, tenant: &TenantId, wanted: usize, now: Timestamp) -> Result<usize, Error> {
        let key = keys::tenant_budget(tenant, TenantWindow::at(now));
        let expires = now.checked_add(KEPT).unwrap_or(Timestamp::MAX).as_second();
        let mut wanted = wanted.min(IN_TENANT_WINDOW);
        for _ in 0..TRIES {
            let mut update = Update::default().add(COUNT, wanted as u64).set(EXPIRES_AT, n(expires));
            let (count, most) = (update.name(COUNT), update.value("most", n((IN_TENANT_WINDOW - wanted) as u64)));
            let update = update.if_holds(format!("(attribute_not_exists({count}) OR {count} <= {most})"));
            if self.update(&key, update).await?.is_some() {
                return Ok(wanted);
            }
            let counted = self.read(&key).await?.as_ref().and_then(|item| number(item, COUNT)).unwrap_or(0);
            wanted = wanted.min(IN_TENANT_WINDOW.saturating_sub(usize::try_from(counted).unwrap_or(usize::MAX)));
            if wanted == 0 {
                return Ok(0);
            }
        }
        // So many others are at work that there is no room.
        Ok(0)
    }
}
