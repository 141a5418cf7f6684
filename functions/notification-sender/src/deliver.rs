//! One job: ask `domain::plan` for the next step, do it, record it, ask again.

use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::connection::{Connection, ConnectionKey, DeliveryOutcome, Installation};
use domain::failure::Class;
use domain::ids::ActivityId;
use domain::incident::{IncidentRecord, LogEntry, Status};
use domain::job::{CardJob, Occasion};
use domain::plan::{CardKey, CardRecord, PostClaim, Size, Step, Why, plan};
use incidents::place;
use jiff::{SignedDuration, Timestamp};
use runtime::{App, BotError};
use store::{Claim, StoredRecord};
use teams::connector::ConnectorError;
use tokio::time::Instant;

use crate::Limits;
use crate::channel_gone;
use crate::last_delivery;
use crate::note::{self, Done, Told};
use crate::outcome::{Outcome, Scope, backoff};

/// A post that takes longer than this has failed: the connector's own timeout is 10 s.
const POST_LEASE: SignedDuration = SignedDuration::from_secs(20);

/// With less time than this left, nothing more is saved: a call to the table takes up to 3.5 s.
const SAVE_BUDGET: Duration = Duration::from_secs(5);
const SAVE_PAUSE: Duration = Duration::from_millis(500);

/// Post, edit, reply and a repost after a deleted message: more steps than this for one job means that we run in circles.
const MAX_STEPS: usize = 8;

/// Everything that a step needs.
struct Facts {
    stored: StoredRecord,
    card: Option<CardRecord>,
    connection: Option<Connection>,
}

struct Delivery<'a> {
    app: &'a App,
    job: &'a CardJob,
    key: CardKey,
    attempts: u32,
    limits: Limits,
    told: Mutex<Told>,
}

/// Brings one card up to date. `attempts` counts the receives of the queue message and sets the pace of retries.
pub(crate) async fn deliver(app: &App, job: &CardJob, attempts: u32, limits: Limits) -> (Outcome, Told) {
    if app.clock.now() > limits.begin {
        tracing::warn!(incident.id = %job.incident, "no time left in this invocation");
        return (Outcome::later(Scope::Channel, backoff(attempts)), Told::default());
    }
    let delivery = Delivery { app, job, key: job.card(), attempts, limits, told: Mutex::default() };
    let outcome = delivery.run().await;
    let told = delivery.told.into_inner().unwrap_or_else(PoisonError::into_inner);
    note::ended(app, job, attempts, outcome, &told).await;
    (outcome, told)
}

impl Delivery<'_> {
    async fn run(&self) -> Outcome {
        let (app, job) = (self.app, self.job);
        for number in 0..MAX_STEPS {
            if app.clock.now() > self.limits.begin {
                tracing::warn!(incident.id = %job.incident, step = number, "no time left in this invocation");
                return self.later(Scope::Channel);
            }
            let facts = match self.gather().await {
                Ok(Some(facts)) if number == 0 && job.occasion == Occasion::Replayed => {
                    Facts { card: facts.card.map(CardRecord::tried_afresh), ..facts }
                }
                Ok(Some(facts)) => facts,
                Ok(None) => {
                    tracing::warn!(incident.id = %job.incident, "no record of the incident");
                    return Outcome::Done;
                }
                Err(error) => return self.table_failed(&error),
            };
            let now = app.clock.now();
            let step =
                plan(&facts.stored.record, facts.stored.version, facts.card.as_ref(), facts.connection.as_ref(), now);
            let flow = match step {
                Step::Nothing(_) if self.told().says_something() => return Outcome::Done,
                Step::Nothing(why) => {
                    if let Some(parked) = facts.card.and_then(|card| card.parked).filter(|_| why == Why::Parked) {
                        self.told().why = Some(parked.reason);
                    }
                    self.log(match why {
                        Why::UpToDate => Done::UpToDate,
                        Why::StateUnknown => Done::StateUnknown,
                        Why::NotConnected => Done::NotConnected,
                        Why::Filtered => Done::Filtered,
                        Why::DeletedAgain => Done::DeletedAgain,
                        Why::Parked => Done::StillParked,
                    });
                    return Outcome::Done;
                }
                Step::Wait { until } => {
                    return Outcome::later(Scope::Incident, until.duration_since(now).unsigned_abs());
                }
                Step::Post { doubtful, size } => self.post(facts, doubtful, size).await,
                Step::Edit(activity, size) => self.edit(facts, &activity, size).await,
                Step::Reply(activity, news) => self.reply(facts, &activity, &news).await,
            };
            if let Break(outcome) = flow {
                return outcome;
            }
        }
        tracing::error!(incident.id = %job.incident, channel.id = %job.channel, "card does not settle");
        self.later(Scope::Incident)
    }

    async fn gather(&self) -> Result<Option<Facts>, store::Error> {
        let CardKey { account, incident, channel } = &self.key;
        let (stored, card) = tokio::join!(self.app.store.record(account, incident), self.app.store.card(&self.key));
        let Some(stored) = stored? else { return Ok(None) };
        self.told().of(&stored.record);
        let connection = match stored.record.state() {
            Some(state) => {
                let (account, service, channel) = (account.clone(), state.service.id.clone(), channel.clone());
                match self.app.store.connection(&ConnectionKey { account, service, channel }).await {
                    // Whatever it says, a card that is there is kept true.
                    Err(error) if error.is_unreadable() && is_posted(&card) => None,
                    connection => connection?,
                }
            }
            None => None,
        };
        let card = match (card, &connection) {
            (Err(error), connection) if error.is_unreadable() => {
                tracing::error!(incident.id = %incident, channel.id = %channel, error = runtime::chain(&error), "card is made anew");
                connection
                    .as_ref()
                    .map(|here| CardRecord::in_doubt(channel.clone(), here.team.clone(), here.tenant.clone()))
            }
            (card, _) => card?,
        };
        self.told().team = match (&card, &connection) {
            (Some(card), _) => Some(card.team.clone()),
            (None, Some(connection)) => Some(connection.team.clone()),
            (None, None) => None,
        };
        Ok(Some(Facts { stored, card, connection }))
    }

    async fn post(&self, facts: Facts, doubtful: bool, size: Size) -> ControlFlow<Outcome> {
        let Some(connection) = facts.connection else { return Break(Outcome::Done) };
        let channel = &self.key.channel;
        let unposted = facts.card.unwrap_or_else(|| {
            CardRecord::unposted(channel.clone(), connection.team.clone(), connection.tenant.clone())
        });
        let now = self.app.clock.now();
        let Ok(holder) = self.app.random.token() else { return Break(self.later(Scope::Channel)) };
        match self
            .app
            .store
            .claim_post(&self.key, &unposted, &holder, now, POST_LEASE, self.expires(&facts.stored))
            .await
        {
            Ok(Claim::Won) => {}
            Ok(Claim::Lost) => return Break(self.later(Scope::Incident)),
            Err(error) => return Break(self.table_failed(&error)),
        }
        let team = match self.reach(&unposted).await {
            Continue(team) => team,
            Break(outcome) if doubtful => {
                let claim = Some(PostClaim { holder, until: now });
                self.save(&CardRecord { claim, ..unposted }, &facts.stored).await?;
                return Break(outcome);
            }
            Break(outcome) => {
                self.release(&holder).await;
                return Break(outcome);
            }
        };
        let version = facts.stored.version;
        let card = card_of(&facts.stored.record, size);
        let posted = self.app.bot().post(&team, channel, &card).await;
        let now = self.app.clock.now();
        let mut saved = unposted;
        match posted {
            Ok(activity) => {
                self.log(if doubtful { Done::PostedAgain } else { Done::Posted });
                self.told().smaller = size == Size::Smaller;
                saved.possible_doubles += u32::from(doubtful);
                saved.posted_as(activity, version, digest(&card), now);
                saved.mark_announced(&facts.stored.record.log, &facts.stored.record);
                // First of all: until it is written, another sender would post a second card.
                let flow = self.save(&saved, &facts.stored).await;
                self.delivered(Some(&connection), DeliveryOutcome::Posted).await;
                flow
            }
            Err(error) => {
                let claim = PostClaim { holder, until: now };
                self.not_posted(saved, &connection, (&facts.stored, size), claim, doubtful, &error).await
            }
        }
    }

    /// `claim` has run out: kept, it tells the next try that there may be a message already.
    async fn not_posted(
        &self,
        mut card: CardRecord,
        connection: &Connection,
        (stored, size): (&StoredRecord, Size),
        claim: PostClaim,
        doubtful: bool,
        error: &BotError,
    ) -> ControlFlow<Outcome> {
        let unclear = error.class() == Class::Unclear;
        card.possible_doubles += u32::from(unclear && doubtful);
        if unclear || doubtful {
            card.claim = Some(claim.clone());
        }
        if matches!(error, BotError::Teams(ConnectorError::NoId(_))) {
            self.told().failed(error);
            let parked = card.posted_without_id(stored.version, error.reason(), self.app.clock.now());
            if parked {
                self.log(Done::PostedWithoutId);
                self.parked(error);
            }
            self.save(&card, stored).await?;
            self.delivered(Some(connection), DeliveryOutcome::Posted).await;
            return Break(if parked { Outcome::Done } else { self.later(Scope::Incident) });
        }
        let outcome = self.not_taken(error, Some(connection)).await;
        if error.is_for_good() {
            return self.refused(card, (stored, size), error).await;
        }
        if unclear || doubtful {
            self.save(&card, stored).await?;
        } else {
            self.release(&claim.holder).await;
        }
        Break(outcome)
    }

    async fn edit(&self, facts: Facts, activity: &ActivityId, size: Size) -> ControlFlow<Outcome> {
        let Some(mut saved) = facts.card else { return Break(Outcome::Done) };
        let version = facts.stored.version;
        let card = card_of(&facts.stored.record, size);
        let shown = digest(&card);
        if saved.shown.as_deref() != Some(shown.as_str()) {
            let team = self.reach(&saved).await?;
            match self.app.bot().edit(&team, &self.key.channel, activity, &card).await {
                Ok(()) => {
                    self.delivered(facts.connection.as_ref(), DeliveryOutcome::Edited).await;
                    self.log(Done::Edited);
                }
                Err(BotError::Teams(ConnectorError::ActivityGone { .. })) => {
                    // Somebody deleted the message; an incident without a card would be a lost incident.
                    self.log(Done::MessageGone);
                    saved.activity = None;
                    saved.claim = None;
                    return self.save(&saved, &facts.stored).await;
                }
                Err(error) => {
                    let outcome = self.not_taken(&error, facts.connection.as_ref()).await;
                    return if error.is_for_good() {
                        self.refused(saved, (&facts.stored, size), &error).await
                    } else {
                        Break(outcome)
                    };
                }
            }
        }
        self.told().smaller = size == Size::Smaller;
        saved.shows(version, shown);
        self.save(&saved, &facts.stored).await
    }

    async fn reply(&self, facts: Facts, activity: &ActivityId, news: &[LogEntry]) -> ControlFlow<Outcome> {
        let Some(mut saved) = facts.card else { return Break(Outcome::Done) };
        let team = self.reach(&saved).await?;
        match self.app.bot().reply(&team, &self.key.channel, activity, &cards::text::thread_reply(news)).await {
            Ok(_) | Err(BotError::Teams(ConnectorError::NoId(_))) => {
                self.delivered(facts.connection.as_ref(), DeliveryOutcome::Replied).await;
                self.log(Done::Replied);
            }
            // The edited card already tells it; a thread that is gone cannot be told.
            Err(BotError::Teams(ConnectorError::ActivityGone { .. })) => self.log(Done::ThreadGone),
            // The same text would be refused for ever, and nothing after it would be told.
            Err(error) if error.is_for_good() => {
                tracing::error!(incident.id = %self.job.incident, error = runtime::chain(&error), "reply is never taken");
            }
            // It may be there, and nobody wants to be told the same twice; what it says is on the card.
            Err(error) if error.class() == Class::Unclear => {
                tracing::warn!(incident.id = %self.job.incident, error = runtime::chain(&error), "reply without a clear answer");
                self.log(Done::RepliedUnclearly);
            }
            Err(error) => return Break(self.not_taken(&error, facts.connection.as_ref()).await),
        }
        saved.mark_announced(news, &facts.stored.record);
        self.save(&saved, &facts.stored).await
    }

    /// The card's team. It may have left the account a moment ago, or for another one: nothing of the old one is shown there.
    async fn reach(&self, card: &CardRecord) -> ControlFlow<Outcome, Installation> {
        match place::team(self.app, &self.key.account, &card.team).await {
            Ok(Some(team)) => Continue(team),
            Ok(None) => {
                tracing::warn!(team.id = %card.team, "the card's team is not connected to the account");
                self.log(Done::NotConnected);
                Break(Outcome::Done)
            }
            Err(error) => Break(self.table_failed(&error)),
        }
    }

    /// What Teams has taken must be known, or the next try posts or tells it a second time: a table that is away is asked until
    /// the invocation's end.
    async fn save(&self, card: &CardRecord, stored: &StoredRecord) -> ControlFlow<Outcome> {
        loop {
            let Err(error) = self.app.store.save_card(&self.key, card, self.expires(stored)).await else {
                return Continue(());
            };
            let can_help = matches!(error.class(), Class::Retry { .. });
            if !can_help || Instant::now() + SAVE_BUDGET > self.limits.end {
                return Break(self.table_failed(&error));
            }
            tracing::warn!(incident.id = %self.job.incident, error = runtime::chain(&error), "not saved yet");
            tokio::time::sleep(SAVE_PAUSE).await;
        }
    }

    /// When a card may be forgotten; `None` while its incident is open.
    fn expires(&self, stored: &StoredRecord) -> Option<Timestamp> {
        let is_over = stored.record.state().is_some_and(|state| state.status == Status::Resolved);
        is_over.then(|| self.app.kept_until())
    }

    async fn release(&self, holder: &str) {
        if let Err(error) = self.app.store.release_claim(&self.key, holder).await {
            tracing::warn!(error = runtime::chain(&error), "claim runs out by itself");
        }
    }

    /// Teams said no, or nothing.
    async fn not_taken(&self, error: &BotError, connection: Option<&Connection>) -> Outcome {
        tracing::warn!(
            incident.id = %self.job.incident,
            channel.id = %self.job.channel,
            attempts = self.attempts,
            error = runtime::chain(error),
            "Teams did not take it"
        );
        self.told().failed(error);
        channel_gone::not_taken(self.app, connection, error, self.attempts).await
    }

    /// Teams will never take this card. A smaller one is tried next, and after that nothing until the incident changes.
    async fn refused(
        &self,
        mut card: CardRecord,
        (stored, size): (&StoredRecord, Size),
        error: &BotError,
    ) -> ControlFlow<Outcome> {
        self.log(Done::Refused);
        card.refuse(stored.version, size, error.reason(), self.app.clock.now());
        if size == Size::Smaller {
            self.parked(error);
        }
        self.save(&card, stored).await
    }

    fn parked(&self, error: &BotError) {
        self.log(Done::Parked);
        tracing::error!(
            incident.id = %self.job.incident,
            channel.id = %self.job.channel,
            error = runtime::chain(error),
            "card is parked"
        );
    }

    /// Something has arrived in the channel.
    async fn delivered(&self, connection: Option<&Connection>, outcome: DeliveryOutcome) {
        if let Some(connection) = connection {
            channel_gone::is_back(self.app, connection).await;
            last_delivery::note(self.app, connection, outcome, None).await;
        }
    }

    fn table_failed(&self, error: &store::Error) -> Outcome {
        let why =
            if error.is_unreadable() { "an item of the table cannot be read" } else { "the table does not answer" };
        self.told().why = Some(why.to_owned());
        tracing::error!(incident.id = %self.job.incident, error = runtime::chain(error), "table failed");
        Outcome::of_failure(error.class(), self.attempts)
    }

    fn later(&self, scope: Scope) -> Outcome {
        Outcome::later(scope, backoff(self.attempts))
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, done: Done) {
        self.told().done(done);
        let latency = self.app.clock.now().duration_since(self.job.received_at);
        tracing::info!(
            incident.id = %self.job.incident,
            channel.id = %self.job.channel,
            event.id = %self.job.cause,
            outcome = done.name(),
            latency_ms = i64::try_from(latency.as_millis()).unwrap_or(i64::MAX),
            "card"
        );
    }
}

fn is_posted(card: &Result<Option<CardRecord>, store::Error>) -> bool {
    card.as_ref().is_ok_and(|card| card.as_ref().is_some_and(|card| card.activity.is_some()))
}

fn card_of(record: &IncidentRecord, size: Size) -> cards::Card {
    match size {
        Size::Whole => cards::incident(&cards::IncidentView { record, can_act: true }),
        Size::Smaller => cards::incident_fallback(record),
    }
}

/// Names what a card shows, so that an edit that changes nothing visible is not sent.
fn digest(card: &cards::Card) -> String {
    runtime::digest(&serde_json::to_vec(card).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use domain::ids::{AccountId, CauseId, ChannelId, IncidentId};
    use runtime::{Clock, Config};

    use super::*;

    #[tokio::test]
    async fn without_time_left_nothing_is_begun_and_the_channel_waits() {
        let aws = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        aws.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", aws.local_addr().unwrap());
        let config = Config::from_env(&|name| match name {
            "AWS_ENDPOINT_URL" | "PAGERBRIDGE_PUBLIC_URL" | "PAGERBRIDGE_QUEUE_URL" => Some(endpoint.clone()),
            "PAGERBRIDGE_TABLE"
            | "PAGERBRIDGE_SECRET_ID"
            | "TEAMS_APP_ID"
            | "TEAMS_TENANT_ID"
            | "PAGERDUTY_CLIENT_ID"
            | "PAGERDUTY_SUBDOMAIN"
            | "AWS_REGION"
            | "AWS_ACCESS_KEY_ID"
            | "AWS_SECRET_ACCESS_KEY" => Some("x".to_owned()),
            _ => None,
        });
        let deadline = Timestamp::UNIX_EPOCH;
        let app = App::new(config.unwrap(), Clock::manual(deadline + SignedDuration::from_secs(1))).unwrap();
        let job = CardJob {
            account: AccountId::new("A").unwrap(),
            incident: IncidentId::new("I").unwrap(),
            channel: ChannelId::new("19:c@thread.tacv2").unwrap(),
            cause: CauseId::new("E").unwrap(),
            occasion: domain::job::Occasion::Webhook,
            received_at: deadline,
            happened_at: None,
        };
        let (outcome, _) = deliver(&app, &job, 3, Limits { begin: deadline, end: Instant::now() }).await;
        assert_eq!(outcome, Outcome::Later { scope: Scope::Channel, delay: std::time::Duration::from_secs(4) });
        assert_eq!(aws.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "the table is not even asked");
    }
}
