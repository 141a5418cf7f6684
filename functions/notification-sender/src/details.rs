//! What an incident's card says beyond its state is asked for beside the wave's own writes, and never waited for longer than a second.
//! What is late rides on an edit of its own.

use std::collections::{BTreeMap, BTreeSet};

use domain::behind::{Behind, Subject};
use domain::channel::Move;
use domain::ids::AccountId;
use domain::incident::{IncidentRecord, RecordVersion};
use domain::plan::{Step, Why};
use domain::round;
use futures_util::future::join_all;
use incidents::ObserveError;
use incidents::details::{self, Asked};
use jiff::{SignedDuration, Timestamp};
use runtime::App;
use store::Look;
use tokio::task::JoinSet;

/// How soon what was late is asked for again: after as long as it has been wanted, and not sooner than this.
const AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// For how long it is tried; after that the reconciler does it.
const GIVE_UP: SignedDuration = SignedDuration::from_mins(2);

type Planned = ((Behind, Look), Move);

/// Asks for the details of those that are about to be shown, or were shown without.
pub(crate) async fn ask(app: &App, account: &AccountId, planned: &[Planned]) -> BTreeMap<usize, Asked> {
    let wanted = planned.iter().enumerate().filter(|(_, planned)| wants(planned));
    let asking = wanted.filter_map(|(index, ((item, _), _))| {
        let incident = item.subject.incident()?;
        Some(async move { (index, details::ask(app, account, incident).await) })
    });
    join_all(asking).await.into_iter().collect()
}

fn wants(((item, look), planned): &Planned) -> bool {
    let is_shown = match planned {
        Move::Card(Step::Post { .. } | Step::Edit(..)) => true,
        _ => comes_back(item, look, planned),
    };
    is_shown && look.facts.record.as_ref().is_some_and(|(record, _)| record.wants_details())
}

/// Whether the details were late when it was shown.
fn comes_back(item: &Behind, look: &Look, planned: &Move) -> bool {
    matches!(planned, Move::Done(Why::UpToDate)) && item.not_before.is_some() && is_posted(look)
}

fn is_posted(look: &Look) -> bool {
    look.facts.card.as_ref().is_some_and(|card| card.activity.is_some())
}

/// What came of the questions.
#[derive(Default)]
pub(crate) struct TakenIn {
    /// What is shown without its details, since they are late.
    pub(crate) late: BTreeSet<Subject>,
    /// What is still being noted.
    pub(crate) noting: JoinSet<()>,
}

/// Takes in what PagerDuty said: cards that are about to be shown show it, and it is noted beside.
pub(crate) async fn take_in(app: &App, planned: &mut [Planned], asked: BTreeMap<usize, Asked>) -> TakenIn {
    let cause = round::cause(app.clock.now());
    let mut taken = TakenIn::default();
    show_what_came(app, planned).await;
    for (index, asked) in asked {
        let Some(((item, look), planned)) = planned.get_mut(index) else { continue };
        let Some((record, version)) = look.facts.record.as_mut() else { continue };
        let (details, at) = match asked {
            Asked::Known(details, at) => (*details, at),
            Asked::Late => {
                taken.late.insert(item.subject.clone());
                continue;
            }
            Asked::NotGiven => continue,
        };
        let part = IncidentRecord::from_details(record.account.clone(), record.id.clone(), details, at);
        let merged = record.clone().merge(part.clone());
        if merged.says_the_same(record) {
            continue;
        }
        if let Move::Done(_) = planned {
            // It is shown without them, and an edit of its own brings them.
            match Box::pin(details::learn(app, &part, None, &cause)).await {
                Ok(stored) => (*record, *version) = (stored.record, stored.version),
                Err(error) => {
                    not_noted(&error);
                    taken.late.insert(item.subject.clone());
                }
            }
            continue;
        }
        *record = merged;
        let (app, channel, cause) = (app.clone(), item.channel.clone(), cause.clone());
        taken.noting.spawn(async move {
            let noted = Box::pin(details::learn(&app, &part, Some(&channel), &cause)).await;
            // The next edit asks again.
            noted.err().iter().for_each(not_noted);
        });
    }
    taken
}

/// What was shown without its details while another channel's sender noted them gets an edit.
async fn show_what_came(app: &App, planned: &mut [Planned]) {
    for ((item, look), planned) in planned {
        if !comes_back(item, look, planned) {
            continue;
        }
        let Some((record, version)) = look.facts.record.as_mut().filter(|(record, _)| !record.wants_details()) else {
            continue;
        };
        let next = RecordVersion(version.0.saturating_add(1));
        match app.store.raise_version(&record.account, &record.id, next, app.kept_until()).await {
            Ok(raised) => *version = raised.unwrap_or(*version),
            Err(error) => tracing::warn!(incident.id = %record.id, error = runtime::chain(&error), "details not shown"),
        }
    }
}

fn not_noted(error: &ObserveError) {
    tracing::warn!(error = runtime::chain(error), "details not noted");
}

/// When what was late is asked for again; `None`: not by a sender.
pub(crate) fn again(item: &Behind, now: Timestamp) -> Option<Timestamp> {
    let age = now.duration_since(item.since);
    let at = now.checked_add(age.max(AGAIN)).ok()?;
    (age < GIVE_UP).then_some(at)
}
