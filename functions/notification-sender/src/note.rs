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
    Edited,
    Replied,
    /// Somebody deleted the message; it is posted anew.
    MessageGone,
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
            Self::Edited => "edited",
            Self::Replied => "replied",
            Self::MessageGone => "message_gone",
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
            Self::Edited => Some((Progress::Edited, None)),
            Self::Replied => Some((Progress::Replied, None)),
            Self::MessageGone | Self::ThreadGone => None,
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
    no_token: bool,
    number: Option<u64>,
    service: Option<ServiceRef>,
    pub(crate) team: Option<TeamId>,
}

impl Told {
    pub(crate) fn done(&mut self, done: Done) {
        self.done.push(done);
    }

    pub(crate) fn failed(&mut self, error: &BotError) {
        self.why = Some(error.reason().to_owned());
        self.refusal = Some(error.class());
        self.no_token = matches!(error, BotError::Teams(ConnectorError::Token(_)));
    }

    pub(crate) fn of(&mut self, record: &IncidentRecord) {
        self.number = record.state().map(|state| state.number);
        self.service = record.state().map(|state| state.service.clone());
    }

    /// The same for a job of the same batch that has nothing of its own to do.
    pub(crate) fn for_another(&self) -> Self {
        Self { done: vec![Done::UpToDate], refusal: None, ..self.clone() }
    }

    /// How far the delivery has come, and why not farther.
    fn progress(&self, outcome: Outcome) -> (Progress, Option<String>) {
        let first = self.done.iter().find_map(|done| done.progress());
        match (outcome, self.refusal) {
            (Outcome::Later { .. }, Some(Class::Invalid)) => (Progress::Refused, self.why.clone()),
            (Outcome::Later { .. }, _) => (Progress::Waiting, self.why.clone()),
            (Outcome::Done, Some(Class::Gone)) => (Progress::Dropped, self.why.clone()),
            (Outcome::Done, _) => match first {
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
        count(Metric::CardsPosted, times(&[Done::Posted, Done::PostedAgain]));
        count(Metric::DoubtfulPosts, times(&[Done::PostedAgain]));
        count(Metric::CardsEdited, times(&[Done::Edited]));
        count(Metric::RepliesPosted, times(&[Done::Replied]));
        count(Metric::JobsCoalesced, times(&[Done::UpToDate]));
        let retried = matches!(outcome, Outcome::Later { .. });
        count(Metric::DeliveriesRetried, usize::from(retried));
        count(Metric::CardsRefused, usize::from(retried && self.refusal == Some(Class::Invalid)));
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
            (told(&[], Some(Class::Invalid)), LATER, Progress::Refused),
        ] {
            assert_eq!(told.progress(outcome).0, expected, "{told:?}");
        }
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
            names(&[], Some(Class::Invalid), MAX_RECEIVES, LATER, Webhook),
            [("DeliveriesRetried", 1.0), ("CardsRefused", 1.0), ("DeliveriesDead", 1.0)]
        );
        assert_eq!(names(&[], Some(Class::Gone), 1, Outcome::Done, Webhook), [("ChannelsLost", 1.0)]);
    }
}
