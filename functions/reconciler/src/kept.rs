//! Webhooks that were kept because nobody could read them: a newer version looks once more, and what was of the future is looked at
//! when its time has come.
//!
//! They were verified when they came. Bodies are never logged.

use domain::cause::{Cause, Occasion};
use domain::healing::Ended;
use domain::ids::{AccountId, IncidentId};
use domain::incident::{IncidentEvent, is_future};
use domain::round;
use incidents::{ObserveError, RefreshError, What, observe, refresh};
use jiff::{SignedDuration, Timestamp};
use pagerduty::webhook::{self, Received};
use runtime::App;
use store::{Kept, KeptPlace};

use crate::rate::Rate;

/// When one is looked at again that could not be finished. Meanwhile others have their turn.
const AGAIN_IN: SignedDuration = SignedDuration::from_mins(5);

/// What came of a look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Looked {
    /// Read at last, and observed.
    pub(crate) read: usize,
    /// Looked at, and nothing is left to do for this version.
    pub(crate) done: usize,
    /// Could not be finished, or have another shape.
    pub(crate) skipped: usize,
    /// Whether the next run goes on.
    pub(crate) more: bool,
}

impl Looked {
    pub(crate) fn ended(self) -> Ended {
        if self.skipped > 0 || self.more { Ended::Partly } else { Ended::Well }
    }
}

/// What becomes of a kept body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It is read: nobody needs it any more.
    Read,
    /// Its time is over, or there is nothing in it that is not known anyway.
    Forget,
    /// This version cannot read it either.
    Leave,
    /// It is looked at again at that time.
    Later(Timestamp),
}

/// Something did not answer.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Observe(#[from] ObserveError),
    #[error(transparent)]
    Refresh(#[from] RefreshError),
}

/// Looks at the first page of those that are worth another look. One that cannot be finished keeps no other one from being looked at.
///
/// Each may be asked for at PagerDuty.
pub(crate) async fn look_again(
    app: &App,
    account: &AccountId,
    deadline: Timestamp,
    rate: &mut Rate,
) -> Result<Looked, store::Error> {
    if let Err(error) = list_old_ones(app, account, deadline).await {
        tracing::warn!(error = runtime::chain(&error), "not all webhooks are listed that an earlier version has kept");
    }
    let reader = webhook::reader();
    let page = app.store.kept_to_look_at(account, &reader, app.clock.now()).await?;
    let mut looked = Looked { more: page.more, ..Looked::default() };
    for place in page.odd {
        // The log has its key already.
        looked.skipped += 1;
        settle(app, account, &place, Next::Leave, &reader).await;
    }
    for kept in page.found {
        if app.clock.now() > deadline || !rate.take() {
            looked.more = true;
            break;
        }
        let next = match Box::pin(look(app, account, &kept)).await {
            Ok(next) => next,
            Err(error) => {
                let error = runtime::chain(&error);
                tracing::warn!(error, kept = %kept.place, "kept webhook is looked at again later");
                looked.skipped += 1;
                settle(app, account, &kept.place, Next::Later(again(app)), &reader).await;
                continue;
            }
        };
        if !settle(app, account, &kept.place, next, &reader).await {
            looked.skipped += 1;
        } else if next == Next::Read {
            tracing::info!(kept = %kept.place, "kept webhook is read");
            looked.read += 1;
        } else {
            looked.done += 1;
        }
    }
    Ok(looked)
}

/// Notes what has become of one, so that the next run has others. `false`: not noted, and it is looked at once more, which is harmless.
async fn settle(app: &App, account: &AccountId, place: &KeptPlace, next: Next, reader: &str) -> bool {
    let settled = match next {
        Next::Read | Next::Forget => app.store.forget_kept(place).await,
        Next::Leave => app.store.note_look(account, place, reader, app.clock.now()).await,
        Next::Later(at) => app.store.put_off_look(account, place, at).await,
    };
    settled
        .inspect_err(
            |error| tracing::warn!(error = runtime::chain(error), kept = %place, "look at a kept webhook not noted"),
        )
        .is_ok()
}

async fn look(app: &App, account: &AccountId, kept: &Kept) -> Result<Next, LookError> {
    if kept.is_over {
        return Ok(Next::Forget);
    }
    let read = webhook::parse(&kept.body);
    if let Ok(Received::Incident(event)) = read {
        return take_in(app, account, kept, event).await;
    }
    if let Some(incident) = webhook::incident_in(&kept.body).filter(|_| !kept.asked) {
        ask(app, account, &incident).await?;
    }
    match read {
        // Services are looked at by the reconciler itself, and an old name must not come back.
        Ok(Received::Service(_) | Received::Ping | Received::Unknown { .. } | Received::Incident(_)) => {
            Ok(Next::Forget)
        }
        Err(_) => Ok(Next::Leave),
    }
}

/// What can be read is observed as if it came now, at the time that it tells. Whatever makes it doubtful is asked of PagerDuty.
async fn take_in(app: &App, account: &AccountId, kept: &Kept, event: IncidentEvent) -> Result<Next, LookError> {
    let incident = event.incident.clone();
    if let Some(at) = event.occurred_at.filter(|at| is_future(*at, app.clock.now())) {
        if !kept.asked {
            ask(app, account, &incident).await?;
        }
        return Ok(Next::Later(at));
    }
    // What was of the future when it came has no time: it must not undo what has happened since.
    let event = IncidentEvent { occurred_at: event.occurred_at.filter(|at| !is_future(*at, kept.at)), ..event };
    let cause = Cause {
        id: event.id.clone().into(),
        occasion: Occasion::Reconciled,
        at: kept.at,
        happened_at: event.occurred_at,
    };
    let observed = Box::pin(observe(app, account, What::Event(event), &cause)).await?;
    if observed.doubtful {
        ask(app, account, &incident).await?;
    }
    Ok(Next::Read)
}

/// That PagerDuty does not know the incident is an answer, too.
async fn ask(app: &App, account: &AccountId, incident: &IncidentId) -> Result<(), LookError> {
    Box::pin(refresh(app, account, incident, &round::cause(app.clock.now()))).await?;
    Ok(())
}

fn again(app: &App) -> Timestamp {
    app.clock.now().checked_add(AGAIN_IN).unwrap_or(Timestamp::MAX)
}

/// Bodies that were kept before there was a list of them are put on it, once.
async fn list_old_ones(app: &App, account: &AccountId, deadline: Timestamp) -> Result<(), store::Error> {
    if app.store.kept_are_listed(account).await? {
        return Ok(());
    }
    let mut listed = 0;
    for subscription in app.store.subscriptions_of_account(account).await? {
        if app.clock.now() > deadline {
            return Ok(());
        }
        listed += app.store.list_kept_of(account, &subscription.id).await?;
    }
    if listed > 0 {
        tracing::info!(listed, "webhooks that an earlier version has kept are listed");
    }
    app.store.note_kept_are_listed(account, app.clock.now()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_makes_it_partial() {
        for (looked, expected) in [
            (Looked::default(), Ended::Well),
            (Looked { read: 1, done: 2, ..Looked::default() }, Ended::Well),
            (Looked { skipped: 1, ..Looked::default() }, Ended::Partly),
            (Looked { more: true, ..Looked::default() }, Ended::Partly),
        ] {
            assert_eq!(looked.ended(), expected, "{looked:?}");
        }
    }
}
