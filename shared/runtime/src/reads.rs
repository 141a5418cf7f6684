//! How often PagerDuty may be asked for what is nice to know: 960 requests a minute are all that it takes, and what people do comes
//! first.

use std::sync::Arc;

use domain::ids::AccountId;
use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::App;

/// How many requests a process reserves at a time, so that not each question is a write to the table.
const BLOCK: usize = 10;

/// How many a process takes of a minute at most: whoever heals leaves room for what happens now.
const MOST: usize = 200;

/// What this process may still ask for, shared by all clones of an [`App`].
#[derive(Debug, Clone, Default)]
pub struct Reads(Arc<Mutex<Reserved>>);

#[derive(Debug, Default)]
struct Reserved {
    minute: i64,
    left: usize,
    taken: usize,
}

impl Reads {
    /// Whether so many requests may be made now. When the table does not say, they may not: they are not worth a risk.
    pub async fn take(&self, app: &App, account: &AccountId, wanted: usize) -> bool {
        let now: Timestamp = app.clock.now();
        let minute = now.as_second().div_euclid(60);
        let mut reserved = self.0.lock().await;
        if reserved.minute != minute {
            *reserved = Reserved { minute, left: 0, taken: 0 };
        }
        if reserved.taken + wanted > MOST {
            return false;
        }
        if reserved.left < wanted {
            match app.store.reserve_reads(account, BLOCK.max(wanted), now).await {
                Ok(true) => reserved.left += BLOCK.max(wanted),
                Ok(false) => return false,
                Err(error) => {
                    tracing::warn!(error = crate::chain(&error), "reads not reserved");
                    return false;
                }
            }
        }
        reserved.left -= wanted;
        reserved.taken += wanted;
        true
    }
}
