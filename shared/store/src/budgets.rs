//! What a tenant may be sent, which all senders share.

use domain::budget::TenantBudget;
use domain::ids::TenantId;
use jiff::Timestamp;

use crate::item::number;
use crate::update::{Update, i};
use crate::{Error, Store, keys};

/// Until when what was reserved fills it, in milliseconds since 1970.
const FILLED: &str = "filled";

/// How often it is tried when others reserve at the same time.
const TRIES: usize = 8;

impl Store {
    /// Reserves so many requests to Teams, or as many as there is room for now. One call, unless others have reserved a moment ago.
    pub async fn reserve_for_tenant(&self, tenant: &TenantId, wanted: usize, now: Timestamp) -> Result<usize, Error> {
        let key = keys::tenant_budget(tenant);
        let (granted, TenantBudget(filled)) = TenantBudget::of_idle(wanted, now);
        let mut idle = Update::default().set(FILLED, i(filled));
        let (name, value) = (idle.name(FILLED), idle.value("now", i(now.as_millisecond())));
        let idle = idle.if_holds(format!("(attribute_not_exists({name}) OR {name} <= {value})"));
        if self.update(&key, idle).await?.is_some() {
            return Ok(granted);
        }
        for _ in 0..TRIES {
            let known = self.read(&key).await?.as_ref().and_then(|item| number(item, FILLED)).unwrap_or(0);
            let (granted, TenantBudget(filled)) = TenantBudget(known).grant(wanted, now);
            if granted == 0 {
                return Ok(0);
            }
            let update = Update::default().if_equal(FILLED, i(known)).set(FILLED, i(filled));
            if self.update(&key, update).await?.is_some() {
                return Ok(granted);
            }
        }
        // So many others are at work that there is no room.
        Ok(0)
    }
}
