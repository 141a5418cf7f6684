//! One channel: read what is unfinished, plan the next wave, note it, do it, save it, read again.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::time::Duration;

use domain::behind::{Behind, Subject};
use domain::budget::Claim;
use domain::cause::{Cause, Occasion};
use domain::channel::{
    Epoch, Facts, HoldKind, Move, Parking, State, card_of, due, next_due, plan_channel, storm_begins,
};
use domain::ids::{AccountId, ChannelId, TeamId, TenantId};
use domain::plan::CardRecord;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use runtime::{App, Metric};
use store::Look;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::Limits;
use crate::channel_gone;
use crate::deliver::{Delivered, Manner, deliver};
use crate::details;
use crate::ended::{Ended, Trouble};
use crate::late;
use crate::note::{Done, Told};
use crate::rows;
use crate::say::say;
use crate::sending::{Heard, Sending};
use crate::settle::{Outcome, keep, settle};
use crate::wave::Wave;

/// How long a channel is worked at before it queues behind the others again.
const SLICE: Duration = Duration::from_secs(2);

/// What is due within this time is waited for; the reconciler wakes the channel for what comes later.
const SOON: Duration = Duration::from_secs(10);

/// So long at a time: what is marked meanwhile must not wait for it.
const GLANCE: Duration = Duration::from_secs(1);

/// A channel that Teams throttles or does not find is looked at so often. A lost one is left to the reconciler.
const MOST_WAIT: Duration = Duration::from_secs(60);

/// How long PagerDuty may take to say what is true of an incident.
const ASK: Duration = Duration::from_secs(5);

/// How many items are written down at the same time.
const AT_ONCE: usize = 32;

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
    let (set, ()) = tokio::try_join!(app.store.behind_set(account, channel), listed)?;
    let state = state.taken_over(&set, app.clock.now());
    let noted = state.clone();
    let mut drain =
        Drain { app, account, channel, epoch, state, noted, limits, soon: BTreeMap::new(), late: BTreeSet::new() };
    // Behind a pointer, or the compiler loses itself in the depth of its type.
    let turn: Pin<Box<dyn Future<Output = Result<Next, store::Error>> + Send + '_>> =
        Box::pin(drain.turn(set, turn_ends));
    let next = turn.await?;
    drain.note_end(next).await
}

pub(crate) struct Drain<'a> {
    pub(crate) app: &'a App,
    pub(crate) account: &'a AccountId,
    pub(crate) channel: &'a ChannelId,
    epoch: Epoch,
    pub(crate) state: State,
    /// The state as the table has it.
    noted: State,
    pub(crate) limits: Limits,
    /// What is on its way to being stored, as it was marked when it was looked at.
    soon: BTreeMap<Subject, u64>,
    /// What is shown without its details, since they are late.
    late: BTreeSet<Subject>,
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

impl Drain<'_> {
    /// Wave after wave, until nothing is due, the turn is over or another sender has begun.
    async fn turn(&mut self, mut set: Vec<Behind>, turn_ends: Instant) -> Result<Next, store::Error> {
        let rules = &self.app.config.storm;
        let mut worked = false;
        loop {
            let now = self.app.clock.now();
            set.retain(|item| self.soon.get(&item.subject) != Some(&item.seq));
            let due = due(&set, &self.state, rules, now);
            let storm_is_due = self.state.storm_wants(rules, now).is_some_and(|(at, ..)| at <= now);
            if due.first.is_empty() && !storm_is_due {
                return Ok(self.next(&set, now));
            }
            // One wave in each turn, however slow the table is, or nothing would ever be done.
            if worked && Instant::now() > turn_ends {
                return Ok(Next::More);
            }
            worked = true;
            let rest = due.rest;
            let wave: Vec<Behind> = due.first.into_iter().cloned().collect();
            match Box::pin(self.wave(wave)).await? {
                After::Left(left) => set = left,
                After::Wait(left) => return Ok(self.next(&left, self.app.clock.now())),
                After::Stop(next) => return Ok(next),
            }
            // In a storm what comes next can wait for some seconds, in which other channels are served.
            let is_urgent = |item: &Behind| item.marked.rank.is_urgent() || item.own_card;
            if self.state.takes_in() && rest == 0 && !set.iter().any(is_urgent) {
                return Ok(self.next(&set, self.app.clock.now()));
            }
        }
    }

    /// When to come back, when nothing is due now, or what is due can wait.
    fn next(&self, set: &[Behind], now: Timestamp) -> Next {
        if !self.soon.is_empty() {
            return Next::At(GLANCE);
        }
        let wait = |at: Timestamp| at.duration_since(now).max(SignedDuration::ZERO).unsigned_abs();
        let item = next_due(set, &self.state, now);
        let storm = self.state.storm_wants(&self.app.config.storm, now).map(|(at, ..)| at);
        let Some(at) = item.into_iter().chain(storm).min() else { return Next::Nothing };
        match self.state.hold.as_ref().filter(|hold| hold.until >= at).map(|hold| hold.kind) {
            Some(HoldKind::Busy | HoldKind::NotFound) => return Next::At(wait(at).min(MOST_WAIT)),
            Some(HoldKind::Lost) => return Next::Nothing,
            None => {}
        }
        let glance = self.state.taking_in().map_or(GLANCE, |storm| storm.glance().unsigned_abs());
        // What is due already and can wait is looked at with the next glance.
        match wait(at) {
            Duration::ZERO => Next::At(glance),
            wait if wait <= SOON => Next::At(wait.min(glance)),
            _ => Next::Nothing,
        }
    }

    /// Notes what has changed since the last wave noted it, where somebody will ask for it.
    async fn note_end(&mut self, next: Next) -> Result<Next, store::Error> {
        let now = self.app.clock.now();
        let expects = match next {
            // Queues count whole seconds.
            Next::At(wait) => now.checked_add(Duration::from_secs(wait.as_secs_f64().ceil() as u64)).ok(),
            Next::More => Some(now),
            Next::Nothing => None,
        };
        self.state.expect(expects);
        // What was reserved and sent long ago would count as sent just now for whoever goes on at once.
        let goes_on = next != Next::Nothing && self.state.budget != self.noted.budget;
        let has_changed = goes_on || self.state.storms != self.noted.storms;
        if has_changed && !self.note_state().await? {
            return Ok(next);
        }
        // Until now whoever marked something has relied on a sender that comes.
        if next == Next::Nothing && !self.state.storms.is_empty() {
            let set = self.app.store.behind_set(self.account, self.channel).await?;
            return Ok(self.next(&set, self.app.clock.now()));
        }
        Ok(next)
    }

    /// Notes the state for whoever comes next. `false`: another sender goes on.
    async fn note_state(&mut self) -> Result<bool, store::Error> {
        self.note_as(self.state.clone()).await
    }

    async fn note_as(&mut self, state: State) -> Result<bool, store::Error> {
        let noted = self.app.store.put_state(self.account, self.channel, self.epoch, &state).await?;
        if !noted {
            tracing::info!(channel.id = %self.channel, "another sender goes on");
        }
        self.noted = state;
        Ok(noted)
    }

    /// Does what is to be done about these items.
    async fn wave(&mut self, items: Vec<Behind>) -> Result<After, store::Error> {
        let app = self.app;
        let mut looks = app.store.look_at(&items.iter().collect::<Vec<_>>()).await?;
        late::ask(app, self.account, &mut looks).await?;
        let moves = self.plan(&items, &looks);
        let planned = items.into_iter().zip(looks).zip(moves).collect();
        let mut wave = Wave::of(planned, &self.state, &app.config.storm, app.clock.now());
        let sending: Vec<&Behind> =
            wave.others.iter().filter(|(_, planned)| planned.sends()).map(|((item, _), _)| item).collect();
        let storms = wave.storms(&self.state);
        let mut granted = 0;
        let asked;
        if wave.sends > 0 || !storms.is_empty() {
            self.state = self.state.clone().with_wave(sending);
            let mut noted = self.state.clone();
            // Somebody is here, and comes again.
            noted.expect(Some(app.clock.now()));
            noted.budget = noted.budget.with_reserved(wave.sends, app.clock.now());
            for storm in noted.storms.iter_mut().filter(|storm| storms.contains(&storm.id)) {
                (storm.is_counted, storm.message.is_true) = (false, false);
            }
            let tenant = self.tenant_of(&wave).await?;
            let reserved = async {
                match &tenant {
                    Some(tenant) if wave.sends > 0 => {
                        app.store.reserve_for_tenant(tenant, wave.sends, app.clock.now()).await
                    }
                    _ => Ok(wave.sends),
                }
            };
            let asking = details::ask(app, self.account, &wave.others);
            let (reserved, is_mine, answered) = tokio::join!(reserved, self.note_as(noted), asking);
            asked = answered;
            granted = reserved?;
            if !is_mine? {
                return Ok(After::Stop(Next::Nothing));
            }
        } else {
            asked = details::ask(app, self.account, &wave.others).await;
        }
        let details = details::take_in(app, &mut wave.others, asked).await;
        self.late = details.late;
        let (held, suspects, hangs) = (self.state.hold.clone(), self.state.suspects.clone(), self.state.hangs);
        let patience = self.state.patience().unsigned_abs();
        let mut sending = Sending::new(self.state.budget.clone(), granted, patience, hangs > 0);
        let (left_over, urgent, wanted) = (wave.left_over, wave.urgent, wave.sends);
        let mut outcomes = rows::fold(self, wave.folds).await?;
        outcomes.extend(rows::leave(self, wave.leaves).await?);
        let mut others = wave.others;
        let rest = others.split_off(urgent.min(others.len()));
        outcomes.extend(Box::pin(self.perform(others, &mut sending)).await);
        self.count_out(&outcomes);
        rows::show(self, &mut sending).await?;
        let performed = Box::pin(self.perform(rest, &mut sending)).await;
        self.count_out(&performed);
        outcomes.extend(performed);
        self.state.budget = sending.budget.clone();
        let stays_in_flight = self.land(&outcomes);
        let is_changed =
            stays_in_flight || held != self.state.hold || suspects != self.state.suspects || hangs != self.state.hangs;
        let after = Box::pin(self.settle(outcomes, is_changed)).await;
        details.noting.join_all().await;
        let after = after?;
        Ok(match (after, left_over) {
            // The tenant has no room, whatever the channel has.
            (After::Left(_), _) if granted < wanted => After::Stop(Next::At(GLANCE)),
            (After::Left(set), Some(claim)) => self.when_there_is_room(set, claim),
            (after, _) => after,
        })
    }

    /// Plans the items' moves, and begins a storm if they ask for one.
    fn plan(&mut self, items: &[Behind], looks: &[Look]) -> Vec<Move> {
        let (app, now) = (self.app, self.app.clock.now());
        let rules = &app.config.storm;
        let looked: Vec<(Behind, Facts)> =
            items.iter().cloned().zip(looks.iter().map(|look| look.facts.clone())).collect();
        let moves = plan_channel(&looked, &self.state, rules, now);
        let begins = storm_begins(&looked, &moves, &self.state, rules, now);
        let (Some(kind), Some((first, _))) = (begins, looked.first()) else { return moves };
        tracing::warn!(channel.id = %self.channel, ?kind, due = looked.len(), "storm");
        app.metrics.count(Metric::StormsBegun, now);
        self.state.begin_storm(self.epoch, &first.marked.team, kind, now);
        plan_channel(&looked, &self.state, rules, now)
    }

    /// What is left waits until the channel takes more, or is done in the next wave.
    fn when_there_is_room(&self, set: Vec<Behind>, claim: Claim) -> After {
        let now = self.app.clock.now();
        if self.state.budget.allows(claim, now) > 0 {
            return After::Left(set);
        }
        let wait = self.state.budget.next_at(claim, now).duration_since(now).max(SignedDuration::ZERO);
        After::Stop(Next::At(wait.unsigned_abs().min(GLANCE)))
    }

    async fn tenant_of(&self, wave: &Wave) -> Result<Option<TenantId>, store::Error> {
        let looks = wave.others.iter().map(|((_, look), _)| look).chain(wave.folds.iter().map(|(_, look, _)| look));
        let home = looks.filter_map(|look| look.facts.home.as_ref()).next();
        if let Some(home) = home {
            return Ok(Some(home.tenant.clone()));
        }
        let Some(storm) = self.state.storms.last() else { return Ok(None) };
        Ok(self.app.store.installation(&storm.team).await?.map(|home| home.tenant))
    }

    /// Rows that have become cards are counted as rows no more.
    fn count_out(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            let row = outcome.look.facts.card.as_ref().and_then(|card| card.row.as_ref());
            if let (Some(row), Some(incident)) = (row, outcome.item.subject.incident())
                && outcome.told.became_card()
                && outcome.ended != Ended::Unsaved
                && let Some(storm) = self.state.storm_mut(&row.storm)
            {
                let was = rows::counted(&outcome.look, &row.storm);
                storm.becomes_card(was.as_ref(), incident);
            }
        }
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
    async fn perform(&mut self, planned: Vec<((Behind, Look), Move)>, sending: &mut Sending) -> Vec<Outcome> {
        let mut keeping: JoinSet<Outcome> = JoinSet::new();
        let mut outcomes = Vec::new();
        let before = self.state.hold.clone();
        let quiet = self.state.takes_in();
        for ((item, look), planned) in planned {
            let span = span_of(&item);
            let sends = planned.sends();
            // A channel that has to wait since this wave began.
            let stopped = self.state.hold != before && self.state.hold.is_some();
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
                    let said = say(self.app, sending, &item, &look.facts, before.as_ref());
                    let said = Box::pin(said.instrument(span.clone())).await;
                    Delivered { ended: said.0, told: said.1, card: None }
                }
                Move::Done(_) if is_row(&look) => {
                    Delivered { ended: Ended::Done, told: up_to_date(&item, &look), card: None }
                }
                Move::Card(_) | Move::Hush | Move::Wait(_) | Move::Done(_) => {
                    let until = sends.then_some(self.limits.begin);
                    let manner = Manner { before: before.as_ref(), until, quiet };
                    let delivery = deliver(self.app, sending, &item, &look.facts, card, manner);
                    Box::pin(delivery.instrument(span.clone())).await
                }
                Move::Ask => {
                    let (ended, told) = Box::pin(self.ask(&item).instrument(span.clone())).await;
                    Delivered { ended, told, card: None }
                }
                Move::Soon => Delivered { ended: Ended::Soon, told: Told::default(), card: None },
                Move::Park(parking) => parked(&item, &look, parking, card),
                // They are written in one go.
                Move::Fold(_) | Move::Leave(_) => {
                    Delivered { ended: Ended::Untouched, told: Told::default(), card: None }
                }
            };
            if sends && !matches!(delivered.ended, Ended::Channel(_) | Ended::Untouched) {
                self.state.hold = None;
            }
            self.hear(sending);
            match &delivered.ended {
                Ended::Channel(trouble) => {
                    let home = look.facts.home.as_ref().map_or(&item.marked.team, |home| &home.team);
                    self.wait(trouble, home).await;
                }
                Ended::Soon => _ = self.soon.insert(item.subject.clone(), item.seq),
                Ended::Untouched | Ended::Unsaved => {}
                Ended::Done | Ended::DoneUntil(_) | Ended::Later(_) | Ended::Parked => {
                    self.state.survived(&item.subject)
                }
            }
            let Delivered { mut ended, told, card } = delivered;
            if ended == Ended::Done && self.late.contains(&item.subject) {
                ended = details::again(&item, self.app.clock.now()).map_or(Ended::Done, Ended::DoneUntil);
            }
            let (app, limits) = (self.app.clone(), self.limits);
            keeping.spawn(keep(app, Outcome { item, look, ended, told }, card, limits).instrument(span));
        }
        outcomes.extend(keeping.join_all().await);
        outcomes
    }

    /// Notes whether Teams answers.
    pub(crate) fn hear(&mut self, sending: &mut Sending) {
        match sending.take_heard() {
            Heard::NotAsked => {}
            Heard::Answered => self.state.answered(),
            Heard::Hung => self.state.hung(self.app.clock.now()),
        }
    }

    /// Notes that the whole channel has to wait.
    pub(crate) async fn wait(&mut self, Trouble { kind, why, after }: &Trouble, team: &TeamId) {
        let after = after.map(|after| SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX));
        self.state.wait(*kind, why, after, self.app.random.fraction(), self.app.clock.now());
        if *kind == HoldKind::Lost {
            channel_gone::note(self.app, self.account, team, self.channel, why).await;
        }
    }

    /// Writes down what became of each item, beside reading anew what is unfinished.
    async fn settle(&mut self, outcomes: Vec<Outcome>, note_state: bool) -> Result<After, store::Error> {
        let (app, account, channel) = (self.app, self.account, self.channel);
        let settled = async {
            for some in outcomes.chunks(AT_ONCE) {
                join_all(some.iter().map(|outcome| settle(app, outcome)))
                    .await
                    .into_iter()
                    .collect::<Result<(), _>>()?;
            }
            Ok::<(), store::Error>(())
        };
        let state = self.state.clone();
        let noted = async { if note_state { self.note_as(state).await } else { Ok(true) } };
        let set = app.store.behind_set(account, channel);
        let (settled, noted, set) = tokio::join!(settled, noted, set);
        settled?;
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

fn is_row(look: &Look) -> bool {
    look.facts.card.as_ref().is_some_and(|card| card.row.is_some() && card.activity.is_none())
}

fn up_to_date(item: &Behind, look: &Look) -> Told {
    let mut told = Told::about(item, &look.facts);
    told.done(Done::UpToDate);
    told
}

fn parked(item: &Behind, look: &Look, parking: Parking, card: Option<CardRecord>) -> Delivered {
    let mut told = Told::about(item, &look.facts);
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

/// Every line about an item says which event brought it about: the same id is in the webhook's own lines.
fn span_of(item: &Behind) -> tracing::Span {
    let subject = String::from(item.subject.clone());
    match item.causes.last() {
        Some(cause) => tracing::info_span!("unfinished", subject, event.id = %cause.id),
        None => tracing::info_span!("unfinished", subject),
    }
}
