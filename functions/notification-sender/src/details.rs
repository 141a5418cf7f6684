//! What an incident's card says beyond its state is asked for beside the wave's own writes, and never waited for longer than a second.
//! What is late rides on an edit of its own.

use std::collections::BTreeMap;

use domain::behind::{Behind, Subject};
use domain::channel::Move;
use domain::ids::AccountId;
use domain::plan::{Step, Why};
use domain::round;
use futures_util::future::join_all;
use incidents::details::{self, Asked};
use jiff::{SignedDuration, Timestamp};
use runtime::App;
use store::Look;

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
        // It was late the last time.
        Move::Done(Why::UpToDate) => item.not_before.is_some() && is_posted(look),
        _ => false,
    };
    is_shown && look.facts.record.as_ref().is_some_and(|(record, _)| record.wants_details())
}

fn is_posted(look: &Look) -> bool {
    look.facts.card.as_ref().is_some_and(|card| card.activity.is_some())
}

/// Takes in what PagerDuty said, and gives what was late.
pub(crate) async fn take_in(
    app: &App,
    account: &AccountId,
    planned: &mut [Planned],
    asked: BTreeMap<usize, Asked>,
) -> Vec<Subject> {
    let cause = round::cause(app.clock.now());
    let known = asked.into_iter().map(|(index, asked)| {
        let item = planned.get(index).map(|((item, _), _)| item.clone());
        let cause = &cause;
        async move {
            let item = item?;
            let incident = item.subject.incident()?;
            let Asked::Known(details, at) = asked else { return Some((index, item.subject, asked_in_vain(&asked))) };
            let learned = Box::pin(details::learn(app, account, incident, (*details, at), Some(&item.channel), cause));
            let learned = learned.await.inspect_err(|error| {
                tracing::warn!(incident.id = %incident, error = runtime::chain(error), "details not noted");
            });
            Some((index, item.subject, learned.map_or(Learned::Late, |stored| Learned::Stored(Box::new(stored)))))
        }
    });
    let mut late = Vec::new();
    for (index, subject, learned) in join_all(known).await.into_iter().flatten() {
        match learned {
            Learned::Stored(stored) => {
                if let Some(((_, look), _)) = planned.get_mut(index) {
                    look.facts.record = Some((stored.record, stored.version));
                }
            }
            Learned::Late => late.push(subject),
            Learned::Nothing => {}
        }
    }
    late
}

enum Learned {
    Stored(Box<store::StoredRecord>),
    Late,
    Nothing,
}

fn asked_in_vain(asked: &Asked) -> Learned {
    match asked {
        Asked::Late => Learned::Late,
        Asked::NotGiven | Asked::Known(..) => Learned::Nothing,
    }
}

/// When what was late is asked for again; `None`: not by a sender.
pub(crate) fn again(item: &Behind, now: Timestamp) -> Option<Timestamp> {
    let age = now.duration_since(item.since);
    let at = now.checked_add(age.max(AGAIN)).ok()?;
    (age < GIVE_UP).then_some(at)
}
