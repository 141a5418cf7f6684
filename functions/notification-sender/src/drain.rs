//! One channel: read what is unfinished, plan the next wave, note it, do it, save it, read again.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::behind::{Behind, Subject};
use domain::cause::{Cause, Occasion};
use domain::channel::{Epoch, HoldKind, Move, Parking, State, card_of, due, next_due, plan_channel};
use domain::connection::DeliveryOutcome;
use domain::failure::Class;
use domain::ids::{AccountId, ChannelId};
use domain::incident::Status;
use domain::plan::{CardKey, CardRecord};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use runtime::App;
use store::{Held, Look};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::Limits;
use crate::channel_gone;
use crate::deliver::{Delivered, deliver};
use crate::ended::{Ended, Trouble};
use crate::last_delivery;
use crate::note::{self, Done, Told};
use crate::say::say;

/// How long a channel is worked at before it queues behind the others again.
const SLICE: Duration = Duration::from_secs(2);

/// What is due within this time is waited for; the reconciler wakes the channel for what comes later.
const SOON: Duration = Duration::from_secs(10);

/// So long at a time: what is marked meanwhile must not wait for it.
const GLANCE: Duration = Duration::from_secs(1);

/// A channel that Teams throttles or does not find is looked at so often. A lost one is left to the reconciler.
const MOST_WAIT: Duration = Duration::from_secs(60);

/// With less time than this left, nothing more is saved: a call to the table takes up to 3.5 s.
const SAVE_BUDGET: Duration = Duration::from_secs(5);
const SAVE_PAUSE: Duration = Duration::from_millis(500);

/// How long PagerDuty may take to say what is true of an incident.
const ASK: Duration = Duration::from_secs(5);

/// When to come back to the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// When somebody wakes it.
    Nothing,
    /// At once: there is more to do than one turn allows.
    More,
    /// After this time.
    At(Duration),
}

/// Works at a channel for one turn. `first` is done beside the first call.
pub(crate) async fn drain(
    app: &App,
    account: &AccountId,
    channel: &ChannelId,
    limits: Limits,
    first: impl Future<Output = ()>,
) -> Result<Next, store::Error> {
    let turn_ends = limits.begin.min(Instant::now() + SLICE);
    let (begun, ()) = tokio::join!(app.store.begin_epoch(account, channel), first);
    let (epoch, state) = begun?;
    let listed = async {
        // Whatever brought the first sender here, the reconciler has to find the channel; its full round lists what is missed.
        if epoch == Epoch(1) { app.store.put_channel_of_account(account, channel).await } else { Ok(()) }
    };
    let (mut set, ()) = tokio::try_join!(app.store.behind_set(account, channel), listed)?;
    let state = state.taken_over(&set, app.clock.now());
    let mut worked = false;
    let mut drain = Drain { app, account, channel, epoch, state, limits, soon: BTreeMap::new() };
    loop {
        let now = app.clock.now();
        set.retain(|item| drain.soon.get(&item.subject) != Some(&item.seq));
        let wave: Vec<Behind> = due(&set, &drain.state, now).into_iter().cloned().collect();
        if wave.is_empty() {
            return Ok(drain.next(&set, now));
        }
        // One wave in each turn, however slow the table is, or nothing would ever be done.
        if worked && Instant::now() > turn_ends {
            return Ok(Next::More);
        }
        worked = true;
        match Box::pin(drain.wave(wave)).await? {
            After::Left(left) => set = left,
            After::Wait(left) => return Ok(drain.next(&left, app.clock.now())),
            After::Stop(next) => return Ok(next),
        }
    }
}

struct Drain<'a> {
    app: &'a App,
    account: &'a AccountId,
    channel: &'a ChannelId,
    epoch: Epoch,
    state: State,
    limits: Limits,
    /// What is on its way to being stored, as it was marked when it was looked at.
    soon: BTreeMap<Subject, u64>,
}

/// What follows a wave.
enum After {
    /// The next one: this is left in the channel, as read anew.
    Left(Vec<Behind>),
    /// Nothing for now: the whole channel has to wait.
    Wait(Vec<Behind>),
    /// Nothing that this sender does.
    Stop(Next),
}

/// What came of an item, to be written down.
struct Outcome {
    item: Behind,
    look: Look,
    ended: Ended,
    told: Told,
}

impl Drain<'_> {
    /// When to come back, when nothing is due now.
    fn next(&self, set: &[Behind], now: Timestamp) -> Next {
        if !self.soon.is_empty() {
            return Next::At(GLANCE);
        }
        let Some(at) = next_due(set, &self.state, now) else { return Next::Nothing };
        let wait = at.duration_since(now).max(SignedDuration::ZERO).unsigned_abs();
        match self.state.hold.as_ref().filter(|hold| hold.until >= at).map(|hold| hold.kind) {
            Some(HoldKind::Busy | HoldKind::NotFound) => Next::At(wait.min(MOST_WAIT)),
            Some(HoldKind::Lost) => Next::Nothing,
            None if wait <= SOON => Next::At(wait.min(GLANCE)),
            None => Next::Nothing,
        }
    }

    /// Does what is to be done about these items.
    async fn wave(&mut self, wave: Vec<Behind>) -> Result<After, store::Error> {
        let app = self.app;
        let looks = app.store.look_at(&wave.iter().collect::<Vec<_>>()).await?;
        let now = app.clock.now();
        let looked: Vec<_> = wave.into_iter().zip(looks.iter().map(|look| look.facts.clone())).collect();
        let moves = plan_channel(&looked, &self.state, now);
        let sending = looked.iter().zip(&moves).filter(|(_, planned)| planned.sends()).map(|((item, _), _)| item);
        let sending: Vec<&Behind> = sending.collect();
        if !sending.is_empty() {
            self.state = self.state.clone().with_wave(sending);
            if !app.store.put_state(self.account, self.channel, self.epoch, &self.state).await? {
                tracing::info!(channel.id = %self.channel, "another sender goes on");
                return Ok(After::Stop(Next::Nothing));
            }
        }
        let (held, suspects) = (self.state.hold.clone(), self.state.suspects.clone());
        let outcomes = self.perform(looked.into_iter().map(|(item, _)| item).zip(looks).zip(moves)).await;
        let stays_in_flight = self.land(&outcomes);
        let is_changed = stays_in_flight || held != self.state.hold || suspects != self.state.suspects;
        self.settle(outcomes, is_changed).await
    }

    /// Nothing of the wave is in flight any more but what could not be saved. Whether the table has to hear of it: what is gone or was
    /// tried in vain is told apart from what was left by itself.
    fn land(&mut self, outcomes: &[Outcome]) -> bool {
        let of = |subject: &Subject| outcomes.iter().find(|outcome| &outcome.item.subject == subject);
        let looks_left = self.state.in_flight.iter().filter_map(|flying| of(&flying.subject)).any(|outcome| {
            matches!(outcome.ended, Ended::Untouched | Ended::Soon | Ended::DoneUntil(_) | Ended::Parked)
        });
        self.state.in_flight.retain(|flying| of(&flying.subject).is_some_and(|left| left.ended == Ended::Unsaved));
        looks_left
    }

    /// One after the other, in their order; what came of each is saved while the next one is under way.
    async fn perform(&mut self, planned: impl Iterator<Item = ((Behind, Look), Move)>) -> Vec<Outcome> {
        let mut keeping: JoinSet<Outcome> = JoinSet::new();
        let mut outcomes = Vec::new();
        let before = self.state.hold.clone();
        let mut stopped = false;
        for ((item, look), planned) in planned {
            let span = span_of(&item);
            let sends = planned.sends();
            if sends && (stopped || Instant::now() > self.limits.begin) {
                outcomes.push(Outcome { item, look, ended: Ended::Untouched, told: Told::default() });
                continue;
            }
            if look.unreadable {
                let told = Told::because("an item of the table cannot be read");
                let ended = Ended::Later(item.next_try(self.app.clock.now()));
                outcomes.push(Outcome { item, look, ended, told });
                continue;
            }
            let now = self.app.clock.now();
            let card = card_of(&item, &look.facts, &self.state, now);
            let delivered = match planned {
                Move::Say => {
                    let said = say(self.app, &item, &look.facts, before.as_ref()).instrument(span.clone()).await;
                    Delivered { ended: said.0, told: said.1, card: None }
                }
                Move::Card(_) | Move::Wait(_) | Move::Done(_) => {
                    let until = sends.then_some(self.limits.begin);
                    let delivery = deliver(self.app, &item, &look.facts, card, before.as_ref(), until);
                    Box::pin(delivery.instrument(span.clone())).await
                }
                Move::Ask => {
                    let (ended, told) = Box::pin(self.ask(&item).instrument(span.clone())).await;
                    Delivered { ended, told, card: None }
                }
                Move::Soon => Delivered { ended: Ended::Soon, told: Told::default(), card: None },
                Move::Park(parking) => parked(&item, &look, parking, card),
            };
            if sends && !matches!(delivered.ended, Ended::Channel(_) | Ended::Untouched) {
                self.state.hold = None;
            }
            match &delivered.ended {
                Ended::Channel(Trouble { kind, why, after }) => {
                    let after = SignedDuration::try_from(*after).unwrap_or(SignedDuration::MAX);
                    self.state.wait(*kind, why, after, self.app.clock.now());
                    stopped = true;
                    if *kind == HoldKind::Lost {
                        let home = look.facts.home.as_ref().map_or(&item.marked.team, |home| &home.team);
                        channel_gone::note(self.app, self.account, home, self.channel, why).await;
                    }
                }
                Ended::Soon => _ = self.soon.insert(item.subject.clone(), item.seq),
                Ended::Untouched | Ended::Unsaved => {}
                Ended::Done | Ended::DoneUntil(_) | Ended::Later(_) | Ended::Parked => {
                    self.state.survived(&item.subject)
                }
            }
            let Delivered { ended, told, card } = delivered;
            let (app, limits) = (self.app.clone(), self.limits);
            keeping.spawn(keep(app, Outcome { item, look, ended, told }, card, limits).instrument(span));
        }
        outcomes.extend(keeping.join_all().await);
        outcomes
    }

    /// Writes down what became of each item, beside reading anew what is unfinished.
    async fn settle(&mut self, outcomes: Vec<Outcome>, note_state: bool) -> Result<After, store::Error> {
        let app = self.app;
        let settled = join_all(outcomes.iter().map(|outcome| settle(app, outcome)));
        let noted = async {
            if note_state {
                app.store.put_state(self.account, self.channel, self.epoch, &self.state).await
            } else {
                Ok(true)
            }
        };
        let set = app.store.behind_set(self.account, self.channel);
        let (settled, noted, set) = tokio::join!(settled, noted, set);
        settled.into_iter().collect::<Result<(), _>>()?;
        if !noted? {
            return Ok(After::Stop(Next::Nothing));
        }
        if outcomes.iter().any(|outcome| outcome.ended == Ended::Unsaved) {
            return Ok(After::Stop(Next::More));
        }
        let mut set = set?;
        // As it was read, it may not show yet what was written beside it.
        for Outcome { item, ended, .. } in &outcomes {
            let is_same = |known: &Behind| known.subject == item.subject && known.seq == item.seq;
            match ended {
                Ended::Done | Ended::Parked => set.retain(|known| !is_same(known)),
                Ended::DoneUntil(until) => {
                    set.iter_mut().filter(|known| is_same(known)).for_each(|known| known.not_before = Some(*until));
                }
                Ended::Later(_) | Ended::Channel(_) => {
                    for known in set.iter_mut().filter(|known| is_same(known)) {
                        (known.tried, known.attempts) = (item.seq, item.attempts.saturating_add(1));
                        known.not_before = match ended {
                            Ended::Later(until) => Some(*until),
                            _ => None,
                        };
                    }
                }
                Ended::Soon | Ended::Untouched | Ended::Unsaved => {}
            }
        }
        let waits = outcomes.iter().any(|outcome| matches!(outcome.ended, Ended::Channel(_)));
        Ok(if waits { After::Wait(set) } else { After::Left(set) })
    }

    /// What was to be stored is not there: only PagerDuty can tell what is true.
    async fn ask(&self, item: &Behind) -> (Ended, Told) {
        let app = self.app;
        let Subject::Incident(incident) = &item.subject else { return (Ended::Done, Told::default()) };
        let at = app.clock.now();
        let id =
            item.causes.last().map_or_else(|| domain::round::cause(at).id, |cause| cause.id.numbered(item.wanted.0));
        let cause = Cause { id, occasion: Occasion::Reconciled, at, happened_at: None };
        let asked = tokio::time::timeout(ASK, Box::pin(incidents::refresh(app, self.account, incident, &cause))).await;
        let why = match asked {
            Ok(Ok(_)) => match app.store.raise_version(self.account, incident, item.wanted, app.kept_until()).await {
                Ok(Some(_)) => return (Ended::Untouched, Told::default()),
                Ok(None) => {
                    let mut told = Told::default();
                    told.done(Done::StateUnknown);
                    return (Ended::Done, told);
                }
                Err(error) => runtime::chain(&error),
            },
            Ok(Err(error)) => runtime::chain(&error),
            Err(_) => "PagerDuty does not answer".to_owned(),
        };
        tracing::error!(incident.id = %incident, why, "what is true is not known");
        (Ended::Later(item.next_try(app.clock.now())), Told::because("what has changed is not known yet"))
    }
}

fn parked(item: &Behind, look: &Look, parking: Parking, card: Option<CardRecord>) -> Delivered {
    let record = look.facts.record.as_ref().map(|(record, _)| record);
    let mut told = record.map(|record| Told::of(record, &item.marked.team)).unwrap_or_default();
    told.done(match parking {
        Parking::Refused => Done::StillParked,
        Parking::Deadly => Done::Parked,
    });
    told.why = Some(match parking {
        Parking::Refused => {
            let reason = look.facts.card.as_ref().and_then(|card| card.parked.as_ref()).map(|parked| &parked.reason);
            reason.cloned().unwrap_or_default()
        }
        Parking::Deadly => "three senders have died while they worked at it".to_owned(),
    });
    if parking == Parking::Deadly {
        tracing::error!(channel.id = %item.channel, subject = String::from(item.subject.clone()), "parked: its senders die");
    }
    // Whoever tries it again has to know that it may be there.
    let card = card.filter(|card| card.doubt.is_some() && Some(card) != look.facts.card.as_ref());
    Delivered { ended: Ended::Parked, told, card }
}

/// What Teams has taken must be known, or the next try posts or tells it a second time: a table that is away is asked until the
/// invocation's end.
async fn keep(app: App, mut outcome: Outcome, card: Option<CardRecord>, limits: Limits) -> Outcome {
    let (Some(card), Some(incident)) = (card, outcome.item.subject.incident()) else { return outcome };
    let key = CardKey {
        account: outcome.item.account.clone(),
        incident: incident.clone(),
        channel: outcome.item.channel.clone(),
    };
    let state = outcome.look.facts.record.as_ref().and_then(|(record, _)| record.state());
    let is_over = card.frozen.is_some() || state.is_some_and(|state| state.status == Status::Resolved);
    let expires = is_over.then(|| app.kept_until());
    loop {
        let Err(error) = app.store.save_card_over(&key, &card, &outcome.look.seen, expires).await else {
            return outcome;
        };
        let can_help = matches!(error.class(), Class::Retry { .. });
        if !can_help || Instant::now() + SAVE_BUDGET > limits.end {
            tracing::error!(error = runtime::chain(&error), "not saved");
            outcome.ended = Ended::Unsaved;
            return outcome;
        }
        tracing::warn!(error = runtime::chain(&error), "not saved yet");
        tokio::time::sleep(SAVE_PAUSE).await;
    }
}

/// The item itself, its lines in the ledger, the connection's newest message, the figures.
async fn settle(app: &App, outcome: &Outcome) -> Result<(), store::Error> {
    let Outcome { item, look, ended, told } = outcome;
    let why = told.why.as_deref().unwrap_or_default();
    let item_settled = async {
        match ended {
            Ended::Done => app.store.finish_behind(item).await.map(drop),
            Ended::DoneUntil(until) => app.store.postpone_behind(item, *until).await,
            Ended::Later(until) => app.store.hold_behind(item, &Held::Until(Some(*until)), why).await,
            Ended::Channel(_) => app.store.hold_behind(item, &Held::Until(None), why).await,
            Ended::Parked => app.store.hold_behind(item, &Held::Parked, why).await,
            Ended::Soon | Ended::Untouched | Ended::Unsaved => Ok(()),
        }
    };
    let delivery = async {
        let Some(connection) = &look.facts.connection else { return };
        if let Some(delivered) = told.delivered {
            channel_gone::is_back(app, connection).await;
            last_delivery::note(app, connection, look.last.as_ref(), delivered, None).await;
        } else if told.is_refused() {
            let reason = Some(why.to_owned());
            last_delivery::note(app, connection, look.last.as_ref(), DeliveryOutcome::Refused, reason).await;
        }
    };
    let (settled, (), ()) = tokio::join!(item_settled, delivery, note::ended(app, item, ended, told));
    settled
}

/// Every line about an item says which event brought it about: the same id is in the webhook's own lines.
fn span_of(item: &Behind) -> tracing::Span {
    let subject = String::from(item.subject.clone());
    match item.causes.last() {
        Some(cause) => tracing::info_span!("unfinished", subject, event.id = %cause.id),
        None => tracing::info_span!("unfinished", subject),
    }
}
