//! One incident's card: ask `domain::plan` for the next step, do it, ask again. Only Teams is spoken to; what came of it is saved
//! by whoever asked.

use std::ops::ControlFlow::{self, Break, Continue};

use domain::behind::Behind;
use domain::channel::{Facts, Hold, claim_of};
use domain::connection::{DeliveryOutcome, Installation, Mentions};
use domain::failure::Class;
use domain::ids::ActivityId;
use domain::incident::{Actor, IncidentRecord, LogEntry, RecordVersion};
use domain::plan::{CardRecord, Doubt, Repeat, Size, Step, Why, plan};
use domain::zone::Zone;
use jiff::Timestamp;
use runtime::{App, BotError};
use teams::connector::ConnectorError;
use tokio::time::Instant;

use crate::ended::{Ended, Trouble};
use crate::mention;
use crate::note::{Done, Told};
use crate::sending::Sending;

/// Post, edit, reply and a repost after a deleted message: more steps than this for one card mean that we run in circles.
const MAX_STEPS: usize = 8;

/// What came of a delivery.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) ended: Ended,
    pub(crate) told: Told,
    /// The card as it is now, if it has changed.
    pub(crate) card: Option<CardRecord>,
}

/// How a card is delivered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner<'a> {
    /// Why the channel had to wait last.
    pub(crate) before: Option<&'a Hold>,
    /// No step is begun after it, and nothing at all is sent without it.
    pub(crate) until: Option<Instant>,
    /// Whether news are not told in the thread.
    pub(crate) quiet: bool,
}

/// Brings one card up to date. `card`: as it has to be taken for.
pub(crate) async fn deliver(
    app: &App,
    sending: &mut Sending,
    item: &Behind,
    facts: &Facts,
    card: Option<CardRecord>,
    manner: Manner<'_>,
) -> Delivered {
    let Some((record, version)) = &facts.record else {
        return Delivered { ended: Ended::Done, told: Told::default(), card: None };
    };
    let was = facts.card.clone();
    let told = Told::of(record, card.as_ref().map_or(&item.marked.team, |card| &card.team));
    let mut delivery = Delivery { app, sending, item, facts, record, version: *version, manner, told, card };
    let ended = delivery.run().await;
    let Delivery { told, card, .. } = delivery;
    Delivered { ended, told, card: card.filter(|card| Some(card) != was.as_ref()) }
}

struct Delivery<'a> {
    app: &'a App,
    sending: &'a mut Sending,
    item: &'a Behind,
    facts: &'a Facts,
    record: &'a IncidentRecord,
    version: RecordVersion,
    manner: Manner<'a>,
    told: Told,
    card: Option<CardRecord>,
}

impl Delivery<'_> {
    async fn run(&mut self) -> Ended {
        let app = self.app;
        for number in 0..MAX_STEPS {
            let now = app.clock.now();
            let connection = self.facts.connection.as_ref();
            let step = plan(self.record, self.version, self.card.as_ref(), connection, self.item.freeze, now);
            match &step {
                Step::Nothing(why) => return self.nothing_left(*why),
                Step::Wait { until } => return self.wait(*until),
                Step::Reply(_, news) if self.manner.quiet => {
                    self.hush(news);
                    continue;
                }
                Step::Call(..) if self.manner.quiet => {
                    self.hush(&[]);
                    continue;
                }
                Step::Post { .. } | Step::Edit(..) | Step::Reply(..) | Step::Call(..) | Step::Freeze(_) => {}
            }
            let in_time = self.manner.until.is_some_and(|until| number == 0 || Instant::now() <= until);
            if !in_time {
                tracing::warn!(channel.id = %self.item.channel, step = number, "no time left in this invocation");
                return Ended::Untouched;
            }
            let home = match self.reach(&step) {
                Some(home) => home,
                None => return Ended::Done,
            };
            let has_room = match number {
                0 => self.sending.may(claim_of(self.item), now),
                _ => self.sending.may_go_on(now),
            };
            if !has_room {
                return Ended::Untouched;
            }
            let flow = match step {
                Step::Post { doubtful, size } => self.post(home, doubtful, size).await,
                Step::Edit(activity, size) => self.edit(home, &activity, size).await,
                Step::Reply(activity, news) => self.reply(home, &activity, &news).await,
                Step::Call(activity, people) => self.call(home, &activity, people).await,
                Step::Freeze(activity) => self.freeze(home, &activity).await,
                Step::Nothing(_) | Step::Wait { .. } => Continue(()),
            };
            if let Break(ended) = flow {
                return ended;
            }
        }
        tracing::error!(channel.id = %self.item.channel, "card does not settle");
        self.later()
    }

    /// Whoever reads the card sees what has happened; the thread would only be noise.
    fn hush(&mut self, news: &[LogEntry]) {
        if let Some(card) = self.card.as_mut() {
            card.mark_announced(news, self.record);
            self.record.state().into_iter().for_each(|state| card.mark_called(state));
        }
        self.log(Done::Hushed);
    }

    fn nothing_left(&mut self, why: Why) -> Ended {
        if !self.told.says_something() {
            self.log(match why {
                Why::UpToDate => Done::UpToDate,
                Why::StateUnknown => Done::StateUnknown,
                Why::NotConnected => Done::NotConnected,
                Why::Filtered => Done::Filtered,
                Why::Frozen => Done::StillFrozen,
                Why::Parked => Done::StillParked,
            });
        }
        match why {
            _ if self.version < self.item.wanted => Ended::Soon,
            Why::Parked => Ended::Parked,
            Why::UpToDate | Why::StateUnknown | Why::NotConnected | Why::Filtered | Why::Frozen => Ended::Done,
        }
    }

    fn wait(&mut self, until: Timestamp) -> Ended {
        if self.version < self.item.wanted {
            return Ended::Soon;
        }
        if self.card.as_ref().is_some_and(|card| card.activity.is_some()) {
            return Ended::DoneUntil(until);
        }
        self.told.why = Some(DELETED_AGAIN.to_owned());
        self.log(Done::DeletedAgain);
        Ended::Later(until)
    }

    /// The card's team. It may have left the account a moment ago, or for another one: nothing of the old one is shown there, and what
    /// is there already only loses its buttons.
    fn reach(&mut self, step: &Step) -> Option<Installation> {
        let home = self.facts.home.clone().filter(|home| match step {
            Step::Freeze(_) => self.card.as_ref().is_some_and(|card| card.tenant == home.tenant),
            _ => home.belongs_to(&self.item.account),
        });
        if home.is_none() {
            tracing::warn!(team.id = %self.item.marked.team, "the card's team is not connected to the account");
            self.log(Done::NotConnected);
        }
        home
    }

    /// In which zone the channel reads its cards.
    fn zone(&self) -> Zone {
        self.facts.connection.as_ref().map(|connection| connection.zone.clone()).unwrap_or_default()
    }

    /// Whoever has the incident while nobody is to be called is not called for it later.
    fn nobody_asked(&self, saved: &mut CardRecord) {
        let asks = self.facts.connection.as_ref().is_some_and(|here| here.mentions == Mentions::Assignees);
        if let (false, Some(state)) = (asks, self.record.state()) {
            saved.mark_called(state);
        }
    }

    fn unposted(&self, home: &Installation) -> CardRecord {
        let unposted = || CardRecord::unposted(self.item.channel.clone(), home.team.clone(), home.tenant.clone());
        self.card.clone().unwrap_or_else(unposted)
    }

    async fn post(&mut self, home: Installation, doubtful: bool, size: Size) -> ControlFlow<Ended> {
        let mut saved = self.unposted(&home);
        let card = card_of(self.record, &self.zone(), size);
        let channel = &self.item.channel;
        let posted = self.sending.call(self.app, |bot| bot.post(&home, channel, &card)).await;
        let now = self.app.clock.now();
        let error = match posted {
            Ok(activity) => {
                self.log(if doubtful { Done::PostedAgain } else { Done::Posted });
                self.told.smaller = size == Size::Smaller;
                self.told.delivered = Some(DeliveryOutcome::Posted);
                saved.possible_doubles += u32::from(doubtful);
                saved.posted_as(activity, self.version, digest(&card), now);
                saved.mark_all_announced(self.record);
                saved.note_hearing(self.facts.connection.as_ref());
                self.nobody_asked(&mut saved);
                self.card = Some(saved);
                return Continue(());
            }
            Err(error) => error,
        };
        self.failed(&error);
        let unclear = error.class() == Class::Unclear;
        saved.possible_doubles += u32::from(unclear && doubtful);
        if unclear || doubtful {
            saved.doubt = Some(Doubt { since: now });
        }
        if matches!(error, BotError::Teams(ConnectorError::NoId(_))) {
            self.told.delivered = Some(DeliveryOutcome::Posted);
            let parked = saved.posted_without_id(self.version, error.reason(), now);
            self.card = Some(saved);
            if !parked {
                return Break(self.later());
            }
            self.log(Done::PostedWithoutId);
            self.parked(&error);
            return Break(Ended::Parked);
        }
        if error.is_for_good() {
            self.refused(saved, size, &error);
            return Continue(());
        }
        if unclear || doubtful {
            self.card = Some(saved);
        }
        Break(self.trouble(&error))
    }

    async fn edit(&mut self, home: Installation, activity: &ActivityId, size: Size) -> ControlFlow<Ended> {
        let mut saved = self.unposted(&home);
        let card = card_of(self.record, &self.zone(), size);
        let shown = digest(&card);
        let again = saved.rendered >= self.version && saved.frozen.is_none();
        if again || saved.shown.as_deref() != Some(shown.as_str()) {
            match self.replace(&home, activity, &card, &mut saved).await {
                Continue(()) => self.log(Done::Edited),
                Break(Replaced::Gone) => return Continue(()),
                Break(Replaced::Refused(error)) => {
                    self.refused(saved, size, &error);
                    return Continue(());
                }
                Break(Replaced::Failed(error)) => return Break(self.trouble(&error)),
            }
        }
        self.told.smaller = size == Size::Smaller;
        self.record.state().into_iter().for_each(|state| saved.forget_called(state));
        self.nobody_asked(&mut saved);
        saved.shows(self.version, shown);
        self.card = Some(saved);
        Continue(())
    }

    async fn freeze(&mut self, home: Installation, activity: &ActivityId) -> ControlFlow<Ended> {
        let mut saved = self.unposted(&home);
        let since = self.item.freeze.unwrap_or_else(|| self.app.clock.now());
        let card = self.last_card(&home, since);
        match self.replace(&home, activity, &card, &mut saved).await {
            Continue(()) => self.log(Done::Frozen),
            Break(Replaced::Gone) => {
                // Nobody wants a card that is not kept true.
                self.log(Done::NotConnected);
                return Break(Ended::Done);
            }
            Break(Replaced::Refused(error)) => {
                tracing::error!(channel.id = %self.item.channel, error = runtime::chain(&error), "last edit is never taken");
            }
            Break(Replaced::Failed(error)) => return Break(self.trouble(&error)),
        }
        saved.freeze(since);
        self.card = Some(saved);
        Continue(())
    }

    /// What is left in the channel. Of what came after the card's connection went, a team that is not the account's any more hears
    /// nothing, and a team of another account nothing at all.
    fn last_card(&self, home: &Installation, since: Timestamp) -> cards::Card {
        let is_theirs = home.belongs_to(&self.item.account);
        if is_theirs || (home.account.is_none() && self.record.is_as_of(since)) {
            let (record, zone) = (self.record, &self.zone());
            return cards::incident(&cards::IncidentView { record, frozen_since: Some(since), zone });
        }
        cards::incident_left(self.record, since)
    }

    /// Replaces the message's content. A message that is gone is noted in `saved`, and an answer that is not clear.
    async fn replace(
        &mut self,
        home: &Installation,
        activity: &ActivityId,
        card: &cards::Card,
        saved: &mut CardRecord,
    ) -> ControlFlow<Replaced> {
        let channel = &self.item.channel;
        let edited = self.sending.call(self.app, |bot| bot.edit(home, channel, activity, card)).await;
        let Err(error) = edited else {
            self.told.delivered = Some(DeliveryOutcome::Edited);
            saved.edited(self.app.clock.now());
            return Continue(());
        };
        if matches!(error, BotError::Teams(ConnectorError::ActivityGone { .. })) {
            // Somebody deleted the message; an incident without a card would be a lost incident.
            self.log(Done::MessageGone);
            saved.deleted();
            self.card = Some(saved.clone());
            return Break(Replaced::Gone);
        }
        self.failed(&error);
        if error.is_for_good() {
            return Break(Replaced::Refused(error));
        }
        if error.class() == Class::Unclear {
            saved.repeat = Some(Repeat::AfterNext);
            self.card = Some(saved.clone());
        }
        Break(Replaced::Failed(error))
    }

    async fn reply(&mut self, home: Installation, activity: &ActivityId, news: &[LogEntry]) -> ControlFlow<Ended> {
        let mut saved = self.unposted(&home);
        let text = cards::text::thread_reply(news);
        let channel = &self.item.channel;
        match self.sending.call(self.app, |bot| bot.reply(&home, channel, activity, &text)).await {
            Ok(_) | Err(BotError::Teams(ConnectorError::NoId(_))) => {
                self.told.delivered = Some(DeliveryOutcome::Replied);
                self.log(Done::Replied);
            }
            // The edited card already tells it; a thread that is gone cannot be told.
            Err(BotError::Teams(ConnectorError::ActivityGone { .. })) => self.log(Done::ThreadGone),
            // The same text would be refused for ever, and nothing after it would be told.
            Err(error) if error.is_for_good() => {
                tracing::error!(channel.id = %self.item.channel, error = runtime::chain(&error), "reply is never taken");
            }
            // It may be there, and nobody wants to be told the same twice; what it says is on the card.
            Err(error) if error.class() == Class::Unclear => {
                tracing::warn!(channel.id = %self.item.channel, error = runtime::chain(&error), "reply without a clear answer");
                self.log(Done::RepliedUnclearly);
            }
            Err(error) => {
                self.failed(&error);
                return Break(self.trouble(&error));
            }
        }
        saved.mark_announced(news, self.record);
        self.card = Some(saved);
        Continue(())
    }

    /// Calls people by name who have got the incident. Somebody who cannot be mentioned is named: Teams refuses a message that mentions
    /// people whom it does not know in the tenant.
    async fn call(&mut self, home: Installation, activity: &ActivityId, people: Vec<Actor>) -> ControlFlow<Ended> {
        let mut saved = self.unposted(&home);
        let Some(state) = self.record.state() else { return Break(Ended::Done) };
        let people = match mention::who_they_are(self.app, &home, &self.item.account, people).await {
            Ok(people) => people,
            Err(error) => {
                tracing::warn!(error = runtime::chain(&error), "who the assignees are in Teams is not known");
                return Break(self.later());
            }
        };
        let call = cards::call(&people, state.number);
        let channel = &self.item.channel;
        let mut said = self.sending.call(self.app, |bot| bot.mention(&home, channel, activity, &call)).await;
        let refused = said.as_ref().is_err_and(|error| error.is_for_good() && !is_thread_gone(error));
        if refused && !call.mentions.is_empty() {
            if !self.sending.may_go_on(self.app.clock.now()) {
                return Break(Ended::Untouched);
            }
            tracing::warn!(channel.id = %self.item.channel, "nobody can be mentioned, so they are named");
            said = self.sending.call(self.app, |bot| bot.reply(&home, channel, activity, &call.plain)).await;
        }
        match said {
            Ok(_) | Err(BotError::Teams(ConnectorError::NoId(_))) => {
                self.told.delivered = Some(DeliveryOutcome::Replied);
                self.log(Done::Called);
            }
            Err(error) if is_thread_gone(&error) => self.log(Done::ThreadGone),
            // Whoever is called twice for the same is woken twice, and the card says whose it is.
            Err(error) if error.is_for_good() || error.class() == Class::Unclear => {
                tracing::warn!(channel.id = %self.item.channel, error = runtime::chain(&error), "nobody was called for sure");
                self.log(Done::Called);
            }
            Err(error) => {
                self.failed(&error);
                return Break(self.trouble(&error));
            }
        }
        saved.mark_called(state);
        self.card = Some(saved);
        Continue(())
    }

    /// Teams said no, or nothing.
    fn failed(&mut self, error: &BotError) {
        tracing::warn!(
            channel.id = %self.item.channel,
            attempts = self.item.attempts + 1,
            error = runtime::chain(error),
            "Teams did not take it"
        );
        self.told.failed(error);
    }

    fn trouble(&self, error: &BotError) -> Ended {
        Trouble::of(error, self.manner.before).map_or_else(|| self.later(), Ended::Channel)
    }

    /// Teams will never take this card. A smaller one is tried next, and after that nothing until the incident changes.
    fn refused(&mut self, mut card: CardRecord, size: Size, error: &BotError) {
        self.log(Done::Refused);
        card.refuse(self.version, size, error.reason(), self.app.clock.now());
        if size == Size::Smaller {
            self.parked(error);
        }
        self.card = Some(card);
    }

    fn parked(&mut self, error: &BotError) {
        self.log(Done::Parked);
        tracing::error!(channel.id = %self.item.channel, error = runtime::chain(error), "card is parked");
    }

    fn later(&self) -> Ended {
        Ended::Later(self.item.next_try(self.app.clock.now()))
    }

    fn log(&mut self, done: Done) {
        self.told.done(done);
        let since = self.item.causes.first().map_or(self.item.since, |cause| cause.at);
        let latency = self.app.clock.now().duration_since(since);
        tracing::info!(
            incident.id = %self.record.id,
            channel.id = %self.item.channel,
            event.id = self.item.causes.last().map(|cause| cause.id.as_str()),
            outcome = done.name(),
            latency_ms = i64::try_from(latency.as_millis()).unwrap_or(i64::MAX),
            "card"
        );
    }
}

fn is_thread_gone(error: &BotError) -> bool {
    matches!(error, BotError::Teams(ConnectorError::ActivityGone { .. }))
}

/// For the page: what waits says why.
const DELETED_AGAIN: &str = "somebody deleted the card twice within an hour";

/// Why a message's content was not replaced.
enum Replaced {
    Gone,
    Refused(BotError),
    Failed(BotError),
}

fn card_of(record: &IncidentRecord, zone: &Zone, size: Size) -> cards::Card {
    match size {
        Size::Whole => cards::incident(&cards::IncidentView { record, frozen_since: None, zone }),
        Size::Smaller => cards::incident_fallback(record),
    }
}

/// Names what a card shows, so that an edit that changes nothing visible is not sent.
fn digest(card: &cards::Card) -> String {
    runtime::digest(&serde_json::to_vec(card).unwrap_or_default())
}
