//! What a delivery leaves behind for people: its line in the ledger, and what it adds to the metrics.

use domain::failure::Class;
use domain::ids::TeamId;
use domain::incident::{IncidentRecord, ServiceRef};
use domain::job::{CardJob, Occasion};
use domain::ledger::{LedgerEntry, Progress};
use runtime::{App, BotError, MAX_RECEIVES, Metric};
use teams::connector::ConnectorError;

use crate::outcome::Outcome;

/// Something that happened on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    Posted,
    /// Although the first try may have arrived.
    PostedAgain,
    /// Teams took it and did not say as what, so it stays as it is.
    PostedWithoutId,
    Edited,
    Replied,
    /// Without a clear answer: it counts as told.
    RepliedUnclearly,
    /// Teams will never take this card.
    Refused,
    /// And no smaller one.
    Parked,
    /// It was parked before, and nothing has changed since.
    StillParked,
    /// Somebody deleted the message; it is posted anew.
    MessageGone,
    /// Somebody deleted it again, within the hour.
    DeletedAgain,
    ThreadGone,
    UpToDate,
    StateUnknown,
    NotConnected,
    Filtered,
}

impl Done {
    /// For logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::PostedAgain => "posted_again",
            Self::PostedWithoutId => "posted_without_id",
            Self::Edited => "edited",
            Self::Replied => "replied",
            Self::RepliedUnclearly => "replied_unclearly",
            Self::Refused => "refused",
            Self::Parked => "parked",
            Self::StillParked => "still_parked",
            Self::MessageGone => "message_gone",
            Self::DeletedAgain => "deleted_again",
            Self::ThreadGone => "thread_gone",
            Self::UpToDate => "up_to_date",
            Self::StateUnknown => "state_unknown",
            Self::NotConnected => "not_connected",
            Self::Filtered => "filtered",
        }
    }

    /// How far the delivery has come with it, and why, if that needs a word.
    fn progress(self) -> Option<(Progress, Option<&'static str>)> {
        match self {
            Self::Posted => Some((Progress::Posted, None)),
            Self::PostedAgain => Some((Progress::Posted, Some("an earlier try may have left a second message"))),
            Self::PostedWithoutId => {
                Some((Progress::Posted, Some("Teams gave the message no id, so it cannot be brought up to date")))
            }
            Self::Edited => Some((Progress::Edited, None)),
            Self::Replied => Some((Progress::Replied, None)),
            Self::RepliedUnclearly => {
                Some((Progress::Replied, Some("Teams gave no clear answer, and news are not told twice")))
            }
            Self::Parked | Self::StillParked => Some((Progress::Refused, None)),
            Self::DeletedAgain => {
                let why = "somebody deleted the card twice within an hour; the next look after that posts it";
                Some((Progress::Dropped, Some(why)))
            }
            Self::Refused | Self::MessageGone | Self::ThreadGone => None,
            Self::UpToDate => Some((Progress::Coalesced, None)),
            Self::StateUnknown => Some((Progress::Coalesced, Some("the incident itself is not known yet"))),
            Self::NotConnected => Some((Progress::Dropped, Some("the service is not connected to the channel"))),
            Self::Filtered => Some((Progress::Dropped, Some("the connection does not want such incidents"))),
        }
    }
}

/// What a delivery has learned and done so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    done: Vec<Done>,
    /// Why it did not work.
    pub(crate) why: Option<String>,
    refusal: Option<Class>,
    /// A smaller card than the incident's own is shown.
    pub(crate) smaller: bool,
    no_token: bool,
    number: Option<u64>,
    service: Option<ServiceRef>,
    pub(crate) team: Option<TeamId>,
}

impl Told {
    pub(crate) fn done(&mut self, done: Done) {
        self.done.push(done);
    }

    /// Whether the steps so far say how far the delivery has come.
    pub(crate) fn says_something(&self) -> bool {
        self.done.iter().any(|done| done.progress().is_some())
    }

    pub(crate) fn failed(&mut self, error: &BotError) {
        self.why = Some(error.reason().to_owned());
        self.refusal = Some(error.class());
        self.no_token = matches!(error, BotError::Teams(ConnectorError::Token(_) | ConnectorError::Unauthorized(_)));
    }

    pub(crate) fn of(&mut self, record: &IncidentRecord) {
        self.number = record.state().map(|state| state.number);
        self.service = record.state().map(|state| state.service.clone());
    }

    /// The same for a job of the same batch that has nothing of its own to do.
    pub(crate) fn for_another(&self) -> Self {
        let same = match self.done.last() {
            Some(Done::Parked | Done::StillParked) => Done::StillParked,
            Some(Done::DeletedAgain) => Done::DeletedAgain,
            _ => Done::UpToDate,
        };
        Self { done: vec![same], refusal: None, smaller: false, ..self.clone() }
    }

    /// How far the delivery has come, and why not farther.
    fn progress(&self, outcome: Outcome) -> (Progress, Option<String>) {
        let first = self.done.iter().find_map(|done| done.progress());
        match (outcome, self.refusal) {
            (Outcome::Later { .. }, _) => (Progress::Waiting, self.why.clone()),
            (Outcome::Done, Some(Class::Gone)) => (Progress::Dropped, self.why.clone()),
            (Outcome::Done, _) => match first {
                Some((progress @ (Progress::Posted | Progress::Edited), None)) if self.smaller => {
                    let code = self.why.as_deref().map_or_else(String::new, |code| format!(" ({code})"));
                    (progress, Some(format!("Teams refuses the whole card{code}, so a smaller one is shown")))
                }
                Some((Progress::Refused, _)) => (Progress::Refused, self.why.clone()),
                Some((progress, why)) => (progress, why.map(str::to_owned)),
                None => (Progress::Dropped, self.why.clone().or_else(|| Some("nothing is known of it".to_owned()))),
            },
        }
    }

    /// What the delivery adds to the metrics.
    fn figures(&self, job: &CardJob, attempts: u32, outcome: Outcome, took_ms: f64) -> Vec<(Metric, f64)> {
        let mut figures = Vec::new();
        let mut count = |metric: Metric, times: usize| {
            if times > 0 {
                figures.push(metric.times(times));
            }
        };
        let times = |wanted: &[Done]| self.done.iter().filter(|done| wanted.contains(done)).count();
        count(Metric::CardsPosted, times(&[Done::Posted, Done::PostedAgain, Done::PostedWithoutId]));
        count(Metric::DoubtfulPosts, times(&[Done::PostedAgain]));
        count(Metric::CardsEdited, times(&[Done::Edited]));
        count(Metric::RepliesPosted, times(&[Done::Replied, Done::RepliedUnclearly]));
        count(Metric::JobsCoalesced, times(&[Done::UpToDate]));
        let retried = matches!(outcome, Outcome::Later { .. });
        count(Metric::DeliveriesRetried, usize::from(retried));
        count(Metric::CardsRefused, times(&[Done::Refused]));
        count(Metric::CardsParked, times(&[Done::Parked]));
        let throttled = matches!(self.refusal, Some(Class::Retry { after: Some(_) }));
        count(Metric::DeliveriesThrottled, usize::from(retried && throttled));
        count(Metric::DeliveriesDead, usize::from(retried && attempts >= MAX_RECEIVES));
        count(Metric::ChannelsLost, usize::from(!retried && self.refusal == Some(Class::Gone)));
        count(Metric::AppTokenFailures, usize::from(self.no_token));
        if job.occasion == Occasion::Webhook && times(&[Done::Posted, Done::PostedAgain, Done::Edited]) > 0 {
            figures.push((Metric::WebhookToCard, took_ms));
        }
        figures
    }
}

/// Notes how a delivery ended. Bookkeeping that fails is logged and delays nothing.
pub(crate) async fn ended(app: &App, job: &CardJob, attempts: u32, outcome: Outcome, told: &Told) {
    let now = app.clock.now();
    let took_ms = now.duration_since(job.received_at).as_secs_f64() * 1000.0;
    app.metrics.emit(&told.figures(job, attempts, outcome, took_ms), now);
    let (progress, why) = told.progress(outcome);
    let line = LedgerEntry {
        account: job.account.clone(),
        cause: job.cause.clone(),
        occasion: job.occasion,
        incident: job.incident.clone(),
        number: told.number,
        service: told.service.clone(),
        channel: Some(job.channel.clone()),
        team: told.team.clone(),
        received_at: job.received_at,
        happened_at: job.happened_at,
        at: now,
        progress,
        why,
        attempts,
    };
    if let Err(error) = app.store.write_ledger_line(&line, app.config.retention).await {
        tracing::warn!(error = runtime::chain(&error), "ledger line not written");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::ids::{AccountId, CauseId, ChannelId, IncidentId};
    use jiff::Timestamp;

    use super::*;
    use crate::outcome::Scope;

    fn job(occasion: Occasion) -> CardJob {
        CardJob {
            account: AccountId::new("A").unwrap(),
            incident: IncidentId::new("I").unwrap(),
            channel: ChannelId::new("C").unwrap(),
            cause: CauseId::new("E").unwrap(),
            occasion,
            received_at: Timestamp::UNIX_EPOCH,
            happened_at: None,
        }
    }

    const LATER: Outcome = Outcome::Later { scope: Scope::Channel, delay: Duration::from_secs(1) };

    #[test]
    fn what_is_done_first_names_the_line_and_a_failure_names_its_reason() {
        let told = |done: &[Done], refusal: Option<Class>| Told {
            done: done.to_vec(),
            why: refusal.map(|_| "why".to_owned()),
            refusal,
            ..Told::default()
        };
        let retry = Class::Retry { after: None };
        for (told, outcome, expected) in [
            (told(&[Done::Posted, Done::Replied], None), Outcome::Done, Progress::Posted),
            (told(&[Done::MessageGone, Done::Posted], None), Outcome::Done, Progress::Posted),
            (told(&[Done::Edited, Done::Replied], None), Outcome::Done, Progress::Edited),
            (told(&[Done::Replied], None), Outcome::Done, Progress::Replied),
            (told(&[Done::UpToDate], None), Outcome::Done, Progress::Coalesced),
            (told(&[Done::Filtered], None), Outcome::Done, Progress::Dropped),
            (told(&[], Some(Class::Gone)), Outcome::Done, Progress::Dropped),
            (told(&[], None), Outcome::Done, Progress::Dropped),
            (told(&[Done::Edited], Some(retry)), LATER, Progress::Waiting),
            (told(&[Done::Refused], Some(Class::Invalid)), LATER, Progress::Waiting),
            (told(&[Done::Refused, Done::Posted], Some(Class::Invalid)), Outcome::Done, Progress::Posted),
            (told(&[Done::Refused, Done::Parked], Some(Class::Invalid)), Outcome::Done, Progress::Refused),
            (told(&[Done::Parked, Done::Replied], Some(Class::Forbidden)), Outcome::Done, Progress::Refused),
            (told(&[Done::PostedWithoutId, Done::Parked], Some(Class::Unclear)), Outcome::Done, Progress::Posted),
            (told(&[Done::StillParked], None), Outcome::Done, Progress::Refused),
            (told(&[Done::RepliedUnclearly], None), Outcome::Done, Progress::Replied),
            (told(&[Done::MessageGone, Done::DeletedAgain], None), Outcome::Done, Progress::Dropped),
        ] {
            assert_eq!(told.progress(outcome).0, expected, "{told:?}");
        }
    }

    #[test]
    fn a_smaller_card_and_what_was_not_shown_are_told_as_such() {
        let told = |done: &[Done]| Told {
            done: done.to_vec(),
            why: Some("MessageSizeTooBig".to_owned()),
            refusal: Some(Class::Invalid),
            smaller: true,
            ..Told::default()
        };
        let (progress, why) = told(&[Done::Refused, Done::Edited]).progress(Outcome::Done);
        assert_eq!(
            (progress, why.as_deref()),
            (Progress::Edited, Some("Teams refuses the whole card (MessageSizeTooBig), so a smaller one is shown"))
        );
        let code = Some("MessageSizeTooBig".to_owned());
        let parked = told(&[Done::Refused, Done::Parked]);
        assert_eq!(parked.progress(Outcome::Done), (Progress::Refused, code.clone()));
        assert_eq!(parked.for_another().progress(Outcome::Done), (Progress::Refused, code));
        assert_eq!(told(&[Done::Edited]).for_another().progress(Outcome::Done), (Progress::Coalesced, None));
    }

    #[test]
    fn each_end_of_a_delivery_has_its_figures() {
        let names = |done: &[Done], refusal, attempts, outcome, occasion| {
            let told = Told { done: done.to_vec(), refusal, ..Told::default() };
            let figures = told.figures(&job(occasion), attempts, outcome, 812.0);
            figures.into_iter().map(|(metric, value)| (metric.name(), value)).collect::<Vec<_>>()
        };
        use Occasion::{Reconciled, Webhook};
        assert_eq!(
            names(&[Done::PostedAgain, Done::Replied], None, 2, Outcome::Done, Webhook),
            [("CardsPosted", 1.0), ("DoubtfulPosts", 1.0), ("RepliesPosted", 1.0), ("WebhookToCard", 812.0)]
        );
        assert_eq!(names(&[Done::Edited], None, 1, Outcome::Done, Reconciled), [("CardsEdited", 1.0)]);
        assert_eq!(names(&[Done::UpToDate], None, 1, Outcome::Done, Webhook), [("JobsCoalesced", 1.0)]);
        let throttled = Some(Class::Retry { after: Some(Duration::from_secs(9)) });
        assert_eq!(
            names(&[], throttled, 1, LATER, Webhook),
            [("DeliveriesRetried", 1.0), ("DeliveriesThrottled", 1.0)]
        );
        assert_eq!(
            names(&[], Some(Class::Unclear), MAX_RECEIVES, LATER, Webhook),
            [("DeliveriesRetried", 1.0), ("DeliveriesDead", 1.0)]
        );
        assert_eq!(
            names(&[Done::Refused, Done::Refused, Done::Parked], Some(Class::Invalid), 1, Outcome::Done, Webhook),
            [("CardsRefused", 2.0), ("CardsParked", 1.0)]
        );
        assert_eq!(names(&[], Some(Class::Gone), 1, Outcome::Done, Webhook), [("ChannelsLost", 1.0)]);
    }
}
