//! What a delivery leaves behind for people: its line in the ledger, and what it adds to the metrics.

use domain::behind::Behind;
use domain::cause::Occasion;
use domain::channel::Facts;
use domain::connection::DeliveryOutcome;
use domain::failure::Class;
use domain::ids::TeamId;
use domain::incident::{IncidentRecord, ServiceRef};
use domain::ledger::{LedgerEntry, Progress};
use futures_util::future::join_all;
use jiff::Timestamp;
use runtime::{App, BotError, Metric};
use teams::connector::ConnectorError;

use crate::ended::Ended;

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
    /// Whoever has the incident was called by name.
    Called,
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
    /// It is a row of the storm's card now.
    Folded,
    /// Its row shows the change.
    RowChanged,
    /// Its row is not followed any more.
    RowLeft,
    /// Nobody is told of it while it storms; the card shows it.
    Hushed,
    /// It is edited for the last time.
    Frozen,
    StillFrozen,
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
            Self::Called => "called",
            Self::RepliedUnclearly => "replied_unclearly",
            Self::Refused => "refused",
            Self::Parked => "parked",
            Self::StillParked => "still_parked",
            Self::MessageGone => "message_gone",
            Self::DeletedAgain => "deleted_again",
            Self::Folded => "folded",
            Self::RowChanged => "row_changed",
            Self::RowLeft => "row_left",
            Self::Hushed => "hushed",
            Self::Frozen => "frozen",
            Self::StillFrozen => "still_frozen",
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
            Self::Replied | Self::Called => Some((Progress::Replied, None)),
            Self::RepliedUnclearly => {
                Some((Progress::Replied, Some("Teams gave no clear answer, and news are not told twice")))
            }
            Self::Parked | Self::StillParked => Some((Progress::Refused, None)),
            Self::Frozen => Some((Progress::Edited, Some("the card is not kept up to date any more"))),
            Self::StillFrozen => Some((Progress::Dropped, Some("the card is not kept up to date any more"))),
            Self::Folded => Some((Progress::Posted, Some("it is a row of the storm's card"))),
            Self::RowChanged => Some((Progress::Edited, Some("it is a row of the storm's card"))),
            Self::RowLeft => Some((Progress::Dropped, Some("its row is not kept up to date any more"))),
            Self::Hushed => Some((Progress::Coalesced, Some("no replies are written while it storms"))),
            Self::Refused | Self::MessageGone | Self::ThreadGone | Self::DeletedAgain => None,
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
    /// What arrived in the channel last.
    pub(crate) delivered: Option<DeliveryOutcome>,
    /// A smaller card than the incident's own is shown.
    pub(crate) smaller: bool,
    no_token: bool,
    number: Option<u64>,
    service: Option<ServiceRef>,
    team: Option<TeamId>,
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

    /// Nothing but why it does not work.
    pub(crate) fn because(why: &str) -> Self {
        Self { why: Some(why.to_owned()), ..Self::default() }
    }

    /// About an incident's card in a team.
    pub(crate) fn of(record: &IncidentRecord, team: &TeamId) -> Self {
        Self {
            number: record.state().map(|state| state.number),
            service: record.state().map(|state| state.service.clone()),
            team: Some(team.clone()),
            ..Self::default()
        }
    }

    /// About an item's incident in the team where it was marked, as far as the incident is known.
    pub(crate) fn about(item: &Behind, facts: &Facts) -> Self {
        let record = facts.record.as_ref().map(|(record, _)| record);
        record.map(|record| Self::of(record, &item.marked.team)).unwrap_or_default()
    }

    /// Whether a message of its own was posted.
    pub(crate) fn became_card(&self) -> bool {
        self.done.iter().any(|done| matches!(done, Done::Posted | Done::PostedAgain))
    }

    /// Whether Teams did not take something.
    pub(crate) fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }

    /// The same for another cause of the same mark, for which nothing was left to do.
    fn for_another(&self) -> Self {
        let same = match self.done.last() {
            Some(Done::Parked | Done::StillParked) => Done::StillParked,
            Some(Done::NotConnected) => Done::NotConnected,
            Some(Done::Filtered) => Done::Filtered,
            Some(Done::StillFrozen) => Done::StillFrozen,
            _ => Done::UpToDate,
        };
        Self { done: vec![same], refusal: None, smaller: false, ..self.clone() }
    }

    /// How far the delivery has come, and why not farther.
    fn progress(&self) -> (Progress, Option<String>) {
        let first = self.done.iter().find_map(|done| done.progress());
        match first {
            Some((progress @ (Progress::Posted | Progress::Edited), None)) if self.smaller => {
                let code = self.why.as_deref().map_or_else(String::new, |code| format!(" ({code})"));
                (progress, Some(format!("Teams refuses the whole card{code}, so a smaller one is shown")))
            }
            Some((Progress::Refused, _)) => (Progress::Refused, self.why.clone()),
            Some((progress, why)) => (progress, why.map(str::to_owned)),
            None => (Progress::Dropped, self.why.clone().or_else(|| Some("nothing is known of it".to_owned()))),
        }
    }

    /// What the delivery adds to the metrics.
    fn figures(&self, item: &Behind, ended: &Ended, now: Timestamp) -> Vec<(Metric, f64)> {
        let mut figures = Vec::new();
        let mut count = |metric: Metric, times: usize| {
            if times > 0 {
                figures.push(metric.times(times));
            }
        };
        let times = |wanted: &[Done]| self.done.iter().filter(|done| wanted.contains(done)).count();
        let is_told = matches!(ended, Ended::Done | Ended::DoneUntil(_) | Ended::Parked);
        let others = if is_told { item.causes_once().len().saturating_sub(1) } else { 0 };
        count(Metric::CardsPosted, times(&[Done::Posted, Done::PostedAgain, Done::PostedWithoutId]));
        count(Metric::DoubtfulPosts, times(&[Done::PostedAgain]));
        count(Metric::CardsEdited, times(&[Done::Edited, Done::Frozen]));
        count(Metric::RepliesPosted, times(&[Done::Replied, Done::Called, Done::RepliedUnclearly]));
        count(Metric::MarksCoalesced, times(&[Done::UpToDate]) + others);
        let retried = matches!(ended, Ended::Later(_) | Ended::Channel(_));
        count(Metric::DeliveriesRetried, usize::from(retried));
        count(Metric::CardsRefused, times(&[Done::Refused]));
        count(Metric::CardsParked, times(&[Done::Parked]));
        let throttled = matches!(self.refusal, Some(Class::Retry { after: Some(_) }));
        count(Metric::DeliveriesThrottled, usize::from(retried && throttled));
        count(Metric::AppTokenFailures, usize::from(self.no_token));
        let webhook = item.causes.iter().find(|cause| cause.occasion == Occasion::Webhook);
        if let Some(webhook) = webhook.filter(|_| times(&[Done::Posted, Done::PostedAgain, Done::Edited]) > 0) {
            let took = now.duration_since(webhook.at).as_secs_f64() * 1000.0;
            figures.push((Metric::WebhookToCard, took));
        }
        figures
    }
}

/// Notes how the work on an item ended: what waits is told by the item itself, and what is done by a line for each of its causes.
/// Bookkeeping that fails is logged and delays nothing.
pub(crate) async fn ended(app: &App, item: &Behind, ended: &Ended, told: &Told) {
    let now = app.clock.now();
    app.metrics.emit(&told.figures(item, ended, now), now);
    match ended {
        Ended::Done | Ended::DoneUntil(_) | Ended::Parked => {}
        // People were shown something, and more is to come.
        Ended::Soon | Ended::Later(_) | Ended::Channel(_) | Ended::Untouched if told.delivered.is_some() => {}
        Ended::Soon | Ended::Later(_) | Ended::Channel(_) | Ended::Untouched | Ended::Unsaved => return,
    }
    let Some(incident) = item.subject.incident() else { return };
    let lines = item.causes_once().into_iter().enumerate().map(|(index, cause)| {
        let (progress, why) = if index == 0 { told.progress() } else { told.for_another().progress() };
        let line = LedgerEntry::marked((&item.account, &item.channel), incident, &item.marked, cause, now);
        LedgerEntry {
            number: told.number.or(line.number),
            service: told.service.clone().or(line.service),
            team: told.team.clone().or(line.team),
            progress,
            why,
            attempts: item.attempts + 1,
            ..line
        }
    });
    join_all(lines.map(async |line| {
        if let Err(error) = app.store.write_ledger_line(&line, app.config.retention).await {
            tracing::warn!(error = runtime::chain(&error), "ledger line not written");
        }
    }))
    .await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::behind::{Marked, Subject};
    use domain::cause::Cause;
    use domain::channel::HoldKind;
    use domain::ids::{AccountId, CauseId, ChannelId, IncidentId};
    use domain::incident::RecordVersion;

    use super::*;
    use crate::ended::Trouble;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn cause(id: &str, occasion: Occasion) -> Cause {
        let at = NOW.checked_sub(jiff::SignedDuration::from_millis(812)).unwrap();
        Cause { id: CauseId::new(id).unwrap(), occasion, at, happened_at: None }
    }

    fn item(causes: Vec<Cause>) -> Behind {
        Behind {
            account: AccountId::new("A").unwrap(),
            channel: ChannelId::new("C").unwrap(),
            subject: Subject::Incident(IncidentId::new("I").unwrap()),
            seq: 1,
            wanted: RecordVersion(1),
            since: NOW,
            marked: Marked {
                team: TeamId::new("T").unwrap(),
                at: NOW,
                rank: domain::behind::Rank::High,
                number: None,
                service: None,
                by: None,
            },
            causes,
            afresh: false,
            freeze: None,
            own_card: false,
            attempts: 0,
            tried: 0,
            not_before: None,
            why: None,
            parked: None,
        }
    }

    fn channel_waits() -> Ended {
        Ended::Channel(Trouble { kind: HoldKind::Busy, why: String::new(), after: None })
    }

    #[test]
    fn what_is_done_first_names_the_line_and_a_failure_names_its_reason() {
        let told = |done: &[Done], refusal: Option<Class>| Told {
            done: done.to_vec(),
            why: refusal.map(|_| "why".to_owned()),
            refusal,
            ..Told::default()
        };
        for (told, expected) in [
            (told(&[Done::Posted, Done::Replied], None), Progress::Posted),
            (told(&[Done::MessageGone, Done::Posted], None), Progress::Posted),
            (told(&[Done::Edited, Done::Replied], None), Progress::Edited),
            (told(&[Done::Replied], None), Progress::Replied),
            (told(&[Done::UpToDate], None), Progress::Coalesced),
            (told(&[Done::Filtered], None), Progress::Dropped),
            (told(&[Done::Frozen], None), Progress::Edited),
            (told(&[Done::StillFrozen], None), Progress::Dropped),
            (told(&[], None), Progress::Dropped),
            (told(&[Done::Refused, Done::Posted], Some(Class::Invalid)), Progress::Posted),
            (told(&[Done::Refused, Done::Parked], Some(Class::Invalid)), Progress::Refused),
            (told(&[Done::Parked, Done::Replied], Some(Class::Forbidden)), Progress::Refused),
            (told(&[Done::PostedWithoutId, Done::Parked], Some(Class::Unclear)), Progress::Posted),
            (told(&[Done::StillParked], None), Progress::Refused),
            (told(&[Done::RepliedUnclearly], None), Progress::Replied),
        ] {
            assert_eq!(told.progress().0, expected, "{told:?}");
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
        let (progress, why) = told(&[Done::Refused, Done::Edited]).progress();
        assert_eq!(
            (progress, why.as_deref()),
            (Progress::Edited, Some("Teams refuses the whole card (MessageSizeTooBig), so a smaller one is shown"))
        );
        let code = Some("MessageSizeTooBig".to_owned());
        let parked = told(&[Done::Refused, Done::Parked]);
        assert_eq!(parked.progress(), (Progress::Refused, code.clone()));
        assert_eq!(parked.for_another().progress(), (Progress::Refused, code));
        assert_eq!(told(&[Done::Edited]).for_another().progress(), (Progress::Coalesced, None));
    }

    #[test]
    fn each_end_of_a_delivery_has_its_figures() {
        use Occasion::{Reconciled, Webhook};
        let names = |done: &[Done], refusal, ended: &Ended, causes| {
            let told = Told { done: done.to_vec(), refusal, ..Told::default() };
            let figures = told.figures(&item(causes), ended, NOW);
            figures.into_iter().map(|(metric, value)| (metric.name(), value)).collect::<Vec<_>>()
        };
        assert_eq!(
            names(&[Done::PostedAgain, Done::Replied], None, &Ended::Done, vec![cause("E", Webhook)]),
            [("CardsPosted", 1.0), ("DoubtfulPosts", 1.0), ("RepliesPosted", 1.0), ("WebhookToCard", 812.0)]
        );
        assert_eq!(names(&[Done::Edited], None, &Ended::Done, vec![cause("R", Reconciled)]), [("CardsEdited", 1.0)]);
        assert_eq!(names(&[Done::UpToDate], None, &Ended::Done, vec![]), [("MarksCoalesced", 1.0)]);
        let three = vec![cause("E", Reconciled), cause("E", Reconciled), cause("F", Reconciled)];
        assert_eq!(
            names(&[Done::Edited], None, &Ended::Done, three),
            [("CardsEdited", 1.0), ("MarksCoalesced", 1.0)],
            "the one that came twice is one"
        );
        let throttled = Some(Class::Retry { after: Some(Duration::from_secs(9)) });
        assert_eq!(
            names(&[], throttled, &channel_waits(), vec![cause("E", Webhook)]),
            [("DeliveriesRetried", 1.0), ("DeliveriesThrottled", 1.0)]
        );
        assert_eq!(
            names(&[Done::Refused, Done::Refused, Done::Parked], Some(Class::Invalid), &Ended::Parked, vec![]),
            [("CardsRefused", 2.0), ("CardsParked", 1.0)]
        );
        assert_eq!(names(&[], None, &Ended::Soon, vec![cause("E", Webhook)]), []);
    }
}
