//! What to do about one card, given the newest state of everything.
//!
//! The sender asks [`plan`], does that one step and asks again until there is nothing left. So a step that failed is simply
//! planned again, and a thousand events for one incident become one edit.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::connection::{Connection, Mentions};
use crate::forward;
use crate::ids::{AccountId, ActivityId, ChannelId, EventId, IncidentId, PdUserId, TeamId, TenantId};
use crate::incident::{Actor, IncidentRecord, LogEntry, RecordVersion, Snapshot, Status};
use crate::storm::Folded;
use crate::twins::Told;

/// A card that people keep deleting is posted anew at most this often.
const REPOST_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// What is found in PagerDuty's log later than this is not told any more: the card shows it.
const NEWS_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The log has whole seconds: what it says may be so much later.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// Which card.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardKey {
    pub account: AccountId,
    pub incident: IncidentId,
    pub channel: ChannelId,
}

/// One incident's card in one channel, as far as we know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardRecord {
    pub channel: ChannelId,
    pub team: TeamId,
    pub tenant: TenantId,
    /// The living message; `None` until a post has been confirmed. Read strictly: a card whose message is not known would be
    /// posted a second time.
    #[serde(deserialize_with = "Option::deserialize")]
    pub activity: Option<ActivityId>,
    /// Which version of the record it shows.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub rendered: RecordVersion,
    /// Digest of the card's content as shown, so that a change that nobody would see costs no edit.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub shown: Option<String>,
    /// Log entries that need no reply any more.
    #[serde(default, deserialize_with = "forward::known_ones")]
    pub announced: BTreeSet<EventId>,
    /// When the newest announced status change happened; an older one that arrives late is not announced.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub announced_status_at: Option<Timestamp>,
    /// Since when its channel hears of the service: what is found to have happened before is not told. `None`: see its connection.
    #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
    pub hears_since: Option<Timestamp>,
    /// Who was called by name, of those who have the incident.
    #[serde(default, deserialize_with = "forward::known_ones", skip_serializing_if = "BTreeSet::is_empty")]
    pub called: BTreeSet<PdUserId>,
    /// A post ended without a clear answer. Stored under the name that earlier versions know.
    #[serde(rename = "claim")]
    pub doubt: Option<Doubt>,
    /// How many posts without a clear answer were repeated: each may have left a second message.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub possible_doubles: u32,
    /// Which version's whole card Teams refuses for good: that version is shown smaller.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub refused: Option<RecordVersion>,
    #[serde(default, deserialize_with = "forward::or_none")]
    pub parked: Option<Parked>,
    /// When it was last posted anew because somebody had deleted it.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub reposted_at: Option<Timestamp>,
    /// How many posts Teams took without giving them an id, since the last one with an id.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub without_id: u32,
    /// What is left to do after an edit without a clear answer.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub repeat: Option<Repeat>,
    /// Since when it is not kept true any more: its connection is gone.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub frozen: Option<Timestamp>,
    /// It is no message of its own but a row of a storm's card.
    #[serde(default, deserialize_with = "forward::or_none")]
    pub row: Option<Folded>,
}

/// An edit without a clear answer may take effect late, after the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// The next edit that Teams takes is to be repeated a while later.
    AfterNext,
    /// Then.
    At(Timestamp),
}

/// How long after a success it is repeated: Teams gives up a request sooner.
const REPEAT_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// Nothing more is tried for this version: Teams takes the smaller card neither, or makes messages that cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Teams' error code.
    pub reason: String,
    pub at: Timestamp,
    pub version: RecordVersion,
}

/// How much of the incident the card shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    Whole,
    /// Title, status and link: Teams refuses the whole one.
    Smaller,
}

/// There may be a message already. What cannot be read of it makes no difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    #[serde(default, rename = "until", deserialize_with = "forward::or_default")]
    pub since: Timestamp,
}

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Create the card's message.
    Post {
        /// An earlier try got no clear answer, so this may make a second message.
        doubtful: bool,
        size: Size,
    },
    /// Replace the message's content by the newest state.
    Edit(ActivityId, Size),
    /// Tell the thread about these log entries, in one message.
    Reply(ActivityId, Vec<LogEntry>),
    /// Call these people by name in the thread: the incident is theirs now.
    Call(ActivityId, Vec<Actor>),
    /// Replace it one last time: the card is not kept true any more.
    Freeze(ActivityId),
    /// Look again then.
    Wait { until: Timestamp },
    /// Nothing to do.
    Nothing(Why),
}

/// Why there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The card shows the newest state.
    UpToDate,
    /// No whole state of the incident is known yet; the event that brings it marks the card again.
    StateUnknown,
    /// The service is not connected to this channel.
    NotConnected,
    /// The connection does not want such incidents.
    Filtered,
    /// Teams will not take it; a newer version or a Replay is tried again.
    Parked,
    /// The card is not kept true any more.
    Frozen,
}

impl CardRecord {
    /// A card that has not been posted.
    #[must_use]
    pub fn unposted(channel: ChannelId, team: TeamId, tenant: TenantId) -> Self {
        Self {
            channel,
            team,
            tenant,
            activity: None,
            rendered: RecordVersion(0),
            shown: None,
            announced: BTreeSet::new(),
            announced_status_at: None,
            hears_since: None,
            called: BTreeSet::new(),
            doubt: None,
            possible_doubles: 0,
            refused: None,
            parked: None,
            reposted_at: None,
            without_id: 0,
            repeat: None,
            frozen: None,
            row: None,
        }
    }

    /// A card of which nothing can be read: whether it was posted is not known, so a post may make a second message.
    #[must_use]
    pub fn in_doubt(channel: ChannelId, team: TeamId, tenant: TenantId) -> Self {
        Self { doubt: Some(Doubt { since: Timestamp::MIN }), ..Self::unposted(channel, team, tenant) }
    }

    /// Whether it is not posted, or does not show this version, and looking at it can help.
    #[must_use]
    pub fn is_behind(&self, version: RecordVersion) -> bool {
        (!self.is_shown() || self.rendered < version) && !self.is_parked(version) && self.frozen.is_none()
    }

    /// Whether the channel sees the incident: as a card, or as a row of a storm's.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.activity.is_some() || self.row.is_some()
    }

    /// Whether nothing of it has ever been shown, and nothing may have been.
    #[must_use]
    pub fn is_new(&self) -> bool {
        let was_tried = self.shown.is_some() || self.doubt.is_some() || self.parked.is_some() || self.without_id > 0;
        !self.is_shown() && !was_tried && self.frozen.is_none()
    }

    /// Until when it is not posted anew, since people keep deleting it.
    pub(crate) fn rests_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.reposted_at.and_then(|at| at.checked_add(REPOST_EVERY).ok()).filter(|until| *until > now)
    }

    fn is_parked(&self, version: RecordVersion) -> bool {
        self.parked.as_ref().is_some_and(|parked| parked.version >= version)
    }

    /// As if Teams had never refused it and nobody had deleted it: somebody wants it tried again. The same wish can come a second
    /// time, so posts without an id are forgotten only where they have ended the tries.
    #[must_use]
    pub fn tried_afresh(self) -> Self {
        let without_id = if self.parked.is_some() { 0 } else { self.without_id };
        let is_smaller = self.refused == Some(self.rendered);
        let (rendered, shown) = if is_smaller { (RecordVersion(0), None) } else { (self.rendered, self.shown) };
        Self { refused: None, parked: None, reposted_at: None, without_id, rendered, shown, ..self }
    }

    /// The newest version that it says anything about.
    #[must_use]
    pub fn newest(&self) -> RecordVersion {
        let parked = self.parked.as_ref().map(|parked| parked.version);
        self.rendered.max(self.refused.unwrap_or_default()).max(parked.unwrap_or_default())
    }

    /// Notes that Teams does not take this version's card of this size.
    pub fn refuse(&mut self, version: RecordVersion, size: Size, reason: &str, now: Timestamp) {
        self.refused = Some(version);
        if size == Size::Smaller {
            self.parked = Some(Parked { reason: reason.to_owned(), at: now, version });
        }
    }

    /// Notes the message that shows this version now.
    pub fn posted_as(&mut self, activity: ActivityId, version: RecordVersion, shown: String, now: Timestamp) {
        if self.shown.is_some() {
            self.reposted_at = Some(now);
        }
        self.activity = Some(activity);
        self.row = None;
        self.doubt = None;
        self.repeat = None;
        self.without_id = 0;
        self.shows(version, shown);
    }

    /// Notes a post that Teams took without giving it an id, so that it cannot be edited. One such post of a card is repeated,
    /// and no other one. Whether the card is parked with it.
    pub fn posted_without_id(&mut self, version: RecordVersion, reason: &str, now: Timestamp) -> bool {
        self.without_id += 1;
        let enough = self.without_id > 1;
        if enough {
            self.doubt = None;
            self.parked = Some(Parked { reason: reason.to_owned(), at: now, version });
        }
        enough
    }

    /// Notes that the message shows this version now.
    pub fn shows(&mut self, version: RecordVersion, shown: String) {
        self.rendered = version;
        self.shown = Some(shown);
        self.parked = None;
        self.frozen = None;
    }

    /// Notes that Teams has taken an edit.
    pub fn edited(&mut self, now: Timestamp) {
        self.repeat = match self.repeat {
            Some(Repeat::AfterNext) => Some(Repeat::At(now.checked_add(REPEAT_AFTER).unwrap_or(Timestamp::MAX))),
            Some(Repeat::At(then)) if then > now => self.repeat,
            Some(Repeat::At(_)) | None => None,
        };
    }

    /// Notes that it is a row of a storm now, which shows this version.
    pub fn folded(&mut self, row: Folded, version: RecordVersion) {
        self.row = Some(row);
        self.rendered = version;
        self.parked = None;
        self.frozen = None;
    }

    /// Notes that its row has left the storm: nothing shows it any more.
    pub fn unfolded(&mut self, since: Timestamp) {
        self.row = None;
        self.freeze(since);
    }

    /// Notes that it shows for the last time what it shows now.
    pub fn freeze(&mut self, since: Timestamp) {
        self.frozen = Some(since);
        // Whatever it shows, it is another card when it is kept true again.
        self.shown = None;
        self.hears_since = None;
        self.repeat = None;
    }

    /// Notes that somebody has deleted its message.
    pub fn deleted(&mut self) {
        self.activity = None;
        self.doubt = None;
        self.repeat = None;
    }

    /// Whom its channel wants called by name who have not been called for this assignment.
    fn to_call(&self, state: &Snapshot, connection: Option<&Connection>) -> Vec<Actor> {
        let wanted = connection.is_some_and(|connection| connection.mentions == Mentions::Assignees);
        // Who has acknowledged knows of it.
        if !wanted || state.status != Status::Triggered {
            return Vec::new();
        }
        let is_new = |person: &&Actor| person.user.as_ref().is_some_and(|user| !self.called.contains(user));
        state.assignees.iter().filter(is_new).cloned().collect()
    }

    /// Notes that whoever has the incident was called, or knows of it.
    pub fn mark_called(&mut self, state: &Snapshot) {
        self.called = state.assignees.iter().filter_map(|person| person.user.clone()).collect();
    }

    /// Forgets who was called and does not have the incident any more: when they get it again, that is another assignment.
    pub fn forget_called(&mut self, state: &Snapshot) {
        self.called.retain(|user| state.assignees.iter().any(|person| person.user.as_ref() == Some(user)));
    }

    /// Notes that these entries need no reply any more, nor others that tell the same, and forgets those that the record no longer
    /// keeps.
    pub fn mark_announced<'a>(&mut self, entries: impl IntoIterator<Item = &'a LogEntry>, record: &IncidentRecord) {
        for entry in entries {
            self.announced.insert(entry.id.clone());
            if entry.what.status().is_some() {
                self.announced_status_at = self.announced_status_at.max(Some(entry.at));
            }
        }
        let happenings = record.happenings();
        let announced: Vec<Told<'_>> = happenings.into_iter().filter(|told| self.has_announced(*told)).collect();
        self.announced.extend(announced.into_iter().flat_map(Told::ids).cloned());
        self.announced.retain(|id| record.entries().any(|entry| &entry.id == id));
    }

    /// Notes that its thread has been told everything that is known.
    pub fn mark_all_announced(&mut self, record: &IncidentRecord) {
        self.mark_announced(record.entries(), record);
    }

    fn has_announced(&self, told: Told<'_>) -> bool {
        told.ids().any(|id| self.announced.contains(id))
    }

    /// Notes since when its channel hears of the service, if nobody has noted it yet.
    pub fn note_hearing(&mut self, connection: Option<&Connection>) {
        self.hears_since = self.hears_since.or(connection.map(|connection| connection.created_at));
    }
}

/// Decides the next step for one card. `connection` is the one between the incident's present service and this channel; `freeze`:
/// since when it is about to go.
#[must_use]
pub fn plan(
    record: &IncidentRecord,
    version: RecordVersion,
    card: Option<&CardRecord>,
    connection: Option<&Connection>,
    freeze: Option<Timestamp>,
    now: Timestamp,
) -> Step {
    let Some(state) = record.state() else { return Step::Nothing(Why::StateUnknown) };
    let freeze = going_since(freeze, connection).filter(|_| state.status != Status::Resolved);
    let wanted = connection.is_some_and(|connection| connection.filter.wants(state));
    let size = match card.and_then(|card| card.refused) {
        Some(refused) if refused == version => Size::Smaller,
        _ => Size::Whole,
    };
    let parked = card.is_some_and(|card| card.is_parked(version));
    let posted = card.and_then(|card| card.activity.as_ref().map(|activity| (card, activity)));
    let Some((card, activity)) = posted else {
        let doubtful = card.is_some_and(|card| card.doubt.is_some());
        if freeze.is_some() {
            return Step::Nothing(Why::NotConnected);
        }
        // What may be there already looks alive, so it needs a card beside it that is true.
        if !wanted && !doubtful {
            return Step::Nothing(if connection.is_some() { Why::Filtered } else { Why::NotConnected });
        }
        if parked {
            return Step::Nothing(Why::Parked);
        }
        return match card.and_then(|card| card.rests_until(now)) {
            Some(until) => Step::Wait { until },
            None => Step::Post { doubtful, size },
        };
    };
    match (freeze, card.frozen) {
        (Some(_), None) => return Step::Freeze(activity.clone()),
        (None, Some(_)) if wanted => return Step::Edit(activity.clone(), size),
        (_, Some(_)) => return Step::Nothing(Why::Frozen),
        (None, None) => {}
    }
    let again_at = match card.repeat {
        Some(Repeat::At(then)) => Some(then),
        Some(Repeat::AfterNext) | None => None,
    };
    if (card.rendered < version && !parked) || again_at.is_some_and(|then| then <= now) {
        return Step::Edit(activity.clone(), size);
    }
    let hears_since = card.hears_since.or(connection.map(|connection| connection.created_at));
    let happened = record.happenings().into_iter().filter(|told| is_news(*told, card, hears_since, now));
    let news: Vec<LogEntry> = happened.map(|told| told.entry.clone()).collect();
    if !news.is_empty() {
        return Step::Reply(activity.clone(), news);
    }
    let to_call = card.to_call(state, connection);
    if !to_call.is_empty() {
        return Step::Call(activity.clone(), to_call);
    }
    match again_at {
        Some(until) => Step::Wait { until },
        None => Step::Nothing(if parked { Why::Parked } else { Why::UpToDate }),
    }
}

/// Since when a connection has been going that a mark says is going: one that was made since is another one.
pub(crate) fn going_since(freeze: Option<Timestamp>, connection: Option<&Connection>) -> Option<Timestamp> {
    freeze.filter(|since| connection.is_none_or(|connection| connection.created_at <= *since))
}

/// What is old is no news if it had to be looked for. A webhook that comes late is told, unless that was the case before it came.
fn is_news(told: Told<'_>, card: &CardRecord, hears_since: Option<Timestamp>, now: Timestamp) -> bool {
    let Told { entry, .. } = told;
    let latest = if entry.id.is_of_log() { entry.at.checked_add(SECOND).unwrap_or(entry.at) } else { entry.at };
    let overtaken = entry.what.status().is_some() && card.announced_status_at.is_some_and(|newest| latest < newest);
    let is_old = told.by_log().is_some_and(|found| {
        now.duration_since(found.at) > NEWS_FOR
            || hears_since.is_some_and(|since| found.at.checked_add(SECOND).is_ok_and(|at| at <= since))
    });
    entry.what.is_noticeable() && !card.has_announced(told) && !overtaken && !is_old
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;
    use crate::connection::{Filter, Health};
    use crate::ids::{AccountId, IncidentId, ServiceId};
    use crate::incident::{Actor, Happening, IncidentEvent, ServiceRef, Snapshot, Status, Urgency};

    const T0: Timestamp = Timestamp::UNIX_EPOCH;

    fn at(second: i64) -> Timestamp {
        T0.checked_add(SignedDuration::from_secs(second)).unwrap()
    }

    fn event(second: i64, id: &str, what: Happening, status: Option<Status>) -> IncidentRecord {
        IncidentRecord::from_event(
            AccountId::new("A").unwrap(),
            IncidentEvent {
                id: EventId::new(id).unwrap(),
                occurred_at: Some(at(second)),
                incident: IncidentId::new("I").unwrap(),
                by: Some(Actor { user: None, name: "Ada".to_owned() }),
                snapshot: status.map(|status| Snapshot {
                    number: 7,
                    title: "DB down".to_owned(),
                    status,
                    urgency: Urgency::Low,
                    priority: None,
                    service: ServiceRef { id: ServiceId::new("S").unwrap(), name: "Payments".to_owned() },
                    escalation_policy: None,
                    assignees: Vec::new(),
                    html_url: String::new(),
                    created_at: None,
                    merged_into: None,
                }),
                what: Some(what),
            },
            Timestamp::UNIX_EPOCH,
        )
    }

    fn triggered() -> IncidentRecord {
        event(0, "E1", Happening::Triggered, Some(Status::Triggered))
    }

    fn acknowledged() -> IncidentRecord {
        triggered().merge(event(10, "E2", Happening::Acknowledged, Some(Status::Acknowledged)))
    }

    fn channel() -> ChannelId {
        ChannelId::new("19:c@thread.tacv2").unwrap()
    }

    fn connection(filter: Filter, health: Health) -> Connection {
        Connection {
            account: AccountId::new("A").unwrap(),
            service: ServiceId::new("S").unwrap(),
            service_name: "Payments".to_owned(),
            channel: channel(),
            team: TeamId::new("19:t@thread.tacv2").unwrap(),
            tenant: TenantId::new("T").unwrap(),
            filter,
            zone: crate::zone::Zone::UTC,
            mentions: crate::connection::Mentions::Nobody,
            health,
            created_at: T0,
            created_by: None,
        }
    }

    fn unposted() -> CardRecord {
        CardRecord::unposted(channel(), TeamId::new("19:t@thread.tacv2").unwrap(), TenantId::new("T").unwrap())
    }

    fn in_doubt() -> CardRecord {
        CardRecord::in_doubt(channel(), TeamId::new("19:t@thread.tacv2").unwrap(), TenantId::new("T").unwrap())
    }

    fn posted(record: &IncidentRecord, version: u64) -> CardRecord {
        let mut card = unposted();
        card.activity = Some(ActivityId::new("1").unwrap());
        card.rendered = RecordVersion(version);
        card.mark_announced(&record.log, record);
        card
    }

    #[test]
    fn every_situation_has_its_step() {
        let all = connection(Filter::All, Health::Healthy);
        let high_only = connection(Filter::HighUrgency, Health::Healthy);
        let broken = connection(Filter::All, Health::Broken { reason: "gone".to_owned(), since: T0 });
        let unknown = event(0, "E0", Happening::Note { content: "n".to_owned() }, None);
        let activity = || ActivityId::new("1").unwrap();
        let news: Vec<LogEntry> = acknowledged().log.into_iter().filter(|e| e.id.as_str() == "E2").collect();
        let (t, a) = (triggered(), acknowledged());
        let parked = |version, card| CardRecord {
            refused: Some(RecordVersion(version)),
            parked: Some(Parked { reason: "x".to_owned(), at: T0, version: RecordVersion(version) }),
            ..card
        };
        let refused = |version, card| CardRecord { refused: Some(RecordVersion(version)), ..card };
        let deleted = |reposted_at| CardRecord { activity: None, reposted_at, ..posted(&t, 1) };
        let current = posted(&a, 2);
        let behind = posted(&t, 1);
        let repeated = |then| Some(CardRecord { repeat: Some(Repeat::At(then)), ..current.clone() });
        let frozen = Some(CardRecord { frozen: Some(T0), ..current.clone() });
        let unannounced = CardRecord { rendered: RecordVersion(2), ..posted(&t, 1) };
        type Case<'a> = (&'a str, &'a IncidentRecord, u64, Option<CardRecord>, Option<&'a Connection>, Step);
        let cases: Vec<Case<'_>> = vec![
            ("nothing known yet", &unknown, 1, None, Some(&all), Step::Nothing(Why::StateUnknown)),
            ("new incident", &t, 1, None, Some(&all), Step::Post { doubtful: false, size: Size::Whole }),
            ("new, already acknowledged", &a, 2, None, Some(&all), Step::Post { doubtful: false, size: Size::Whole }),
            ("service not connected here", &t, 1, None, None, Step::Nothing(Why::NotConnected)),
            ("filtered by urgency", &t, 1, None, Some(&high_only), Step::Nothing(Why::Filtered)),
            (
                "channel was gone: it may be back",
                &t,
                1,
                None,
                Some(&broken),
                Step::Post { doubtful: false, size: Size::Whole },
            ),
            (
                "channel was gone under a card",
                &a,
                2,
                Some(behind.clone()),
                Some(&broken),
                Step::Edit(activity(), Size::Whole),
            ),
            (
                "somebody posted without an answer",
                &t,
                1,
                Some(in_doubt()),
                Some(&all),
                Step::Post { doubtful: true, size: Size::Whole },
            ),
            (
                "may be there, filtered by now",
                &t,
                1,
                Some(in_doubt()),
                Some(&high_only),
                Step::Post { doubtful: true, size: Size::Whole },
            ),
            (
                "may be there, no longer connected",
                &t,
                1,
                Some(in_doubt()),
                None,
                Step::Post { doubtful: true, size: Size::Whole },
            ),
            (
                "nothing of the card can be read",
                &t,
                1,
                Some(in_doubt()),
                Some(&all),
                Step::Post { doubtful: true, size: Size::Whole },
            ),
            (
                "nothing was posted",
                &t,
                1,
                Some(unposted()),
                Some(&all),
                Step::Post { doubtful: false, size: Size::Whole },
            ),
            (
                "the whole card is refused",
                &t,
                1,
                Some(refused(1, unposted())),
                Some(&all),
                Step::Post { doubtful: false, size: Size::Smaller },
            ),
            (
                "the whole card of a version before was refused",
                &a,
                2,
                Some(refused(1, unposted())),
                Some(&all),
                Step::Post { doubtful: false, size: Size::Whole },
            ),
            (
                "the whole card is refused, and one is there",
                &a,
                2,
                Some(refused(2, behind.clone())),
                Some(&all),
                Step::Edit(activity(), Size::Smaller),
            ),
            ("parked", &t, 1, Some(parked(1, unposted())), Some(&all), Step::Nothing(Why::Parked)),
            (
                "parked before the newest change",
                &a,
                2,
                Some(parked(1, unposted())),
                Some(&all),
                Step::Post { doubtful: false, size: Size::Whole },
            ),
            (
                "parked, but its thread takes replies",
                &a,
                2,
                Some(parked(2, behind.clone())),
                Some(&all),
                Step::Reply(activity(), news.clone()),
            ),
            (
                "parked, and its thread is told",
                &a,
                3,
                Some(parked(3, current.clone())),
                Some(&all),
                Step::Nothing(Why::Parked),
            ),
            ("deleted", &t, 1, Some(deleted(None)), Some(&all), Step::Post { doubtful: false, size: Size::Whole }),
            (
                "deleted again within the hour",
                &t,
                1,
                Some(deleted(Some(at(100 - 3599)))),
                Some(&all),
                Step::Wait { until: at(101) },
            ),
            (
                "deleted again an hour later",
                &t,
                1,
                Some(deleted(Some(at(100 - 3600)))),
                Some(&all),
                Step::Post { doubtful: false, size: Size::Whole },
            ),
            ("card behind", &a, 2, Some(behind.clone()), Some(&all), Step::Edit(activity(), Size::Whole)),
            (
                "card behind, filtered by now",
                &a,
                2,
                Some(behind.clone()),
                Some(&high_only),
                Step::Edit(activity(), Size::Whole),
            ),
            ("card behind, no longer connected", &a, 2, Some(behind), None, Step::Edit(activity(), Size::Whole)),
            ("thread not told", &a, 2, Some(unannounced), Some(&all), Step::Reply(activity(), news)),
            ("all true", &a, 2, Some(current.clone()), Some(&all), Step::Nothing(Why::UpToDate)),
            ("all true, to be repeated", &a, 2, repeated(at(101)), Some(&all), Step::Wait { until: at(101) }),
            ("to be repeated now", &a, 2, repeated(at(100)), Some(&all), Step::Edit(activity(), Size::Whole)),
            ("frozen", &a, 3, frozen.clone(), None, Step::Nothing(Why::Frozen)),
            ("frozen, filtered by now", &a, 3, frozen.clone(), Some(&high_only), Step::Nothing(Why::Frozen)),
            ("frozen, connected again", &a, 2, frozen, Some(&all), Step::Edit(activity(), Size::Whole)),
        ];
        for (name, record, version, card, connection, expected) in cases {
            let step = plan(record, RecordVersion(version), card.as_ref(), connection, None, at(100));
            assert_eq!(step, expected, "{name}");
        }
    }

    #[test]
    fn what_goes_is_edited_one_last_time_while_its_incident_is_open() {
        let all = connection(Filter::All, Health::Healthy);
        let activity = ActivityId::new("1").unwrap();
        let resolved =
            acknowledged().merge(event(30, "E9", Happening::Resolved { merged_into: None }, Some(Status::Resolved)));
        let again = Connection { created_at: at(2), ..all.clone() };
        let mut frozen = posted(&acknowledged(), 2);
        frozen.freeze(at(1));
        for (name, record, card, connection, expected) in [
            ("a card", acknowledged(), Some(posted(&triggered(), 1)), Some(&all), Step::Freeze(activity.clone())),
            (
                "its connection has gone",
                acknowledged(),
                Some(posted(&acknowledged(), 2)),
                None,
                Step::Freeze(activity.clone()),
            ),
            ("frozen already", acknowledged(), Some(frozen.clone()), None, Step::Nothing(Why::Frozen)),
            (
                "frozen, and connected again",
                acknowledged(),
                Some(frozen),
                Some(&again),
                Step::Edit(activity.clone(), Size::Whole),
            ),
            ("connected again", triggered(), Some(posted(&triggered(), 3)), Some(&again), Step::Nothing(Why::UpToDate)),
            ("not posted yet", triggered(), None, Some(&all), Step::Nothing(Why::NotConnected)),
            ("perhaps posted", triggered(), Some(in_doubt()), None, Step::Nothing(Why::NotConnected)),
            (
                "resolved, and not shown",
                resolved,
                Some(posted(&acknowledged(), 2)),
                None,
                Step::Edit(activity, Size::Whole),
            ),
        ] {
            let step = plan(&record, RecordVersion(3), card.as_ref(), connection, Some(at(1)), at(100));
            assert_eq!(step, expected, "{name}");
        }
    }

    #[test]
    fn who_gets_an_incident_is_called_once_for_each_assignment() {
        let calling = Connection { mentions: Mentions::Assignees, ..connection(Filter::All, Health::Healthy) };
        let person = |id: &str| Actor { user: PdUserId::new(id).ok(), name: id.to_owned() };
        let assigned = |mut record: IncidentRecord, people: &[&str]| {
            record.snapshot.as_mut().unwrap().value.assignees = people.iter().map(|id| person(id)).collect();
            record
        };
        let nameless = Actor { user: None, name: "A crew".to_owned() };
        let mut card = posted(&acknowledged(), 2);
        let mut called = |record: &IncidentRecord, connection: &Connection| {
            card.forget_called(record.state().unwrap());
            let step = plan(record, RecordVersion(2), Some(&card), Some(connection), None, T0);
            if let Step::Call(_, people) = step {
                card.mark_called(record.state().unwrap());
                return people.into_iter().map(|person| person.name).collect::<Vec<_>>();
            }
            assert_eq!(step, Step::Nothing(Why::UpToDate));
            Vec::new()
        };
        let quiet = connection(Filter::All, Health::Healthy);
        assert_eq!(called(&assigned(triggered(), &["ADA"]), &quiet), Vec::<String>::new(), "nobody asked for it");
        assert_eq!(called(&assigned(triggered(), &["ADA"]), &calling), ["ADA"]);
        assert_eq!(called(&assigned(triggered(), &["ADA"]), &calling), Vec::<String>::new());
        assert_eq!(called(&assigned(triggered(), &["ADA", "BEN"]), &calling), ["BEN"], "Ada has it already");
        assert_eq!(called(&assigned(acknowledged(), &["EVE"]), &calling), Vec::<String>::new(), "somebody knows of it");
        assert_eq!(called(&assigned(triggered(), &["EVE"]), &calling), ["EVE"]);
        assert_eq!(called(&assigned(triggered(), &["ADA"]), &calling), ["ADA"], "she has got it anew");
        let mut crew = triggered();
        crew.snapshot.as_mut().unwrap().value.assignees = vec![nameless];
        assert_eq!(called(&crew, &calling), Vec::<String>::new(), "nobody could be known again");
    }

    #[test]
    fn an_edit_without_an_answer_is_repeated_after_the_next_one() {
        let mut card = posted(&triggered(), 1);
        card.edited(at(1));
        assert_eq!(card.repeat, None);
        card.repeat = Some(Repeat::AfterNext);
        card.edited(at(2));
        assert_eq!(card.repeat, Some(Repeat::At(at(12))));
        card.edited(at(11));
        assert_eq!(card.repeat, Some(Repeat::At(at(12))), "a late one may still overtake this one");
        card.edited(at(12));
        assert_eq!(card.repeat, None);
    }

    #[test]
    fn a_refused_card_becomes_smaller_then_parked_and_a_replay_tries_it_afresh() {
        let version = RecordVersion(1);
        let mut card = unposted();
        card.refuse(version, Size::Whole, "MessageSizeTooBig", T0);
        assert_eq!((card.refused, card.parked.clone()), (Some(version), None));
        card.refuse(version, Size::Smaller, "BadSyntax", at(1));
        assert_eq!(card.parked, Some(Parked { reason: "BadSyntax".to_owned(), at: at(1), version }));
        assert!(!card.is_behind(version), "looking again does not help");
        assert!(card.is_behind(RecordVersion(2)));
        assert_eq!(card.clone().tried_afresh(), unposted());
        card.posted_as(ActivityId::new("1").unwrap(), RecordVersion(2), "digest".to_owned(), at(2));
        assert_eq!((card.parked.clone(), card.reposted_at), (None, None));
        assert_eq!(
            card.clone().tried_afresh(),
            CardRecord { refused: None, ..card.clone() },
            "what is shown whole stays"
        );
        card.refuse(RecordVersion(2), Size::Whole, "MessageSizeTooBig", at(3));
        let afresh = card.tried_afresh();
        assert!(
            afresh.is_behind(RecordVersion(2)) && afresh.refused.is_none(),
            "the whole one is tried in place of it"
        );
    }

    #[test]
    fn the_newest_version_is_that_of_anything_it_says() {
        let card = CardRecord { rendered: RecordVersion(1), ..unposted() };
        assert_eq!(card.newest(), RecordVersion(1));
        let mut refused = card.clone();
        refused.refuse(RecordVersion(3), Size::Whole, "MessageSizeTooBig", T0);
        assert_eq!(refused.newest(), RecordVersion(3));
        let parked = Parked { reason: "BadSyntax".to_owned(), at: T0, version: RecordVersion(5) };
        assert_eq!(CardRecord { parked: Some(parked), ..card }.newest(), RecordVersion(5));
    }

    #[test]
    fn a_post_without_an_id_is_repeated_once() {
        let mut card = unposted();
        assert!(!card.posted_without_id(RecordVersion(1), "NoId", T0));
        assert!(card.posted_without_id(RecordVersion(1), "NoId", T0));
        assert!(card.is_parked(RecordVersion(1)));
        let mut replayed = card.clone().tried_afresh();
        assert!(!replayed.posted_without_id(RecordVersion(1), "NoId", T0));
        assert!(
            replayed.tried_afresh().posted_without_id(RecordVersion(1), "NoId", T0),
            "the same wish, received again"
        );
        assert!(card.posted_without_id(RecordVersion(2), "NoId", T0), "the news of a later version is posted once");
        card.posted_as(ActivityId::new("1").unwrap(), RecordVersion(3), "digest".to_owned(), T0);
        assert_eq!((card.without_id, card.parked), (0, None));
    }

    #[test]
    fn only_a_card_that_was_there_before_is_posted_anew() {
        let mut card = unposted();
        card.posted_as(ActivityId::new("1").unwrap(), RecordVersion(1), "digest".to_owned(), at(1));
        assert_eq!(card.reposted_at, None);
        card.activity = None;
        card.posted_as(ActivityId::new("2").unwrap(), RecordVersion(2), "digest".to_owned(), at(2));
        assert_eq!(card.reposted_at, Some(at(2)));
    }

    #[test]
    fn cards_of_before_are_read() {
        let mut old = serde_json::to_value(unposted()).unwrap();
        for new in ["refused", "parked", "reposted_at", "without_id", "repeat", "frozen"] {
            old.as_object_mut().unwrap().remove(new).unwrap();
        }
        assert_eq!(serde_json::from_value::<CardRecord>(old).unwrap(), unposted());
    }

    #[test]
    fn a_burst_is_one_edit_and_one_reply() {
        let mut record = triggered();
        let mut card = posted(&record, 1);
        for (second, id, what, status) in [
            (1, "E2", Happening::Acknowledged, Some(Status::Acknowledged)),
            (2, "E3", Happening::Note { content: "looking".to_owned() }, None),
            (3, "E4", Happening::Resolved { merged_into: None }, Some(Status::Resolved)),
        ] {
            record = record.merge(event(second, id, what, status));
        }
        let connection = connection(Filter::All, Health::Healthy);
        assert!(matches!(
            plan(&record, RecordVersion(4), Some(&card), Some(&connection), None, T0),
            Step::Edit(_, Size::Whole)
        ));
        card.rendered = RecordVersion(4);
        let Step::Reply(_, news) = plan(&record, RecordVersion(4), Some(&card), Some(&connection), None, T0) else {
            unreachable!("the thread is told")
        };
        assert_eq!(news.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["E2", "E3", "E4"]);
        card.mark_announced(&news, &record);
        assert_eq!(
            plan(&record, RecordVersion(4), Some(&card), Some(&connection), None, T0),
            Step::Nothing(Why::UpToDate)
        );
    }

    #[test]
    fn a_late_status_change_is_not_announced_after_a_newer_one_but_a_late_note_is() {
        let resolved =
            triggered().merge(event(30, "E9", Happening::Resolved { merged_into: None }, Some(Status::Resolved)));
        let mut card = posted(&resolved, 2);
        let late = resolved.merge(event(10, "E2", Happening::Acknowledged, Some(Status::Acknowledged))).merge(event(
            11,
            "E3",
            Happening::Note { content: "late".to_owned() },
            None,
        ));
        card.rendered = RecordVersion(4);
        let Step::Reply(_, news) = plan(&late, RecordVersion(4), Some(&card), None, None, T0) else {
            unreachable!("the note is told")
        };
        assert_eq!(news.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["E3"]);
    }

    /// A happening of the given number, as a webhook tells it and as PagerDuty's log does.
    fn twins(number: u8, second: i64, same_words: bool) -> [IncidentRecord; 2] {
        let (what, status) = match number % 4 {
            0 => (Happening::Acknowledged, Some(Status::Acknowledged)),
            1 => (Happening::Resolved { merged_into: None }, Some(Status::Resolved)),
            2 => (Happening::Reassigned { to: vec![format!("P{number}")] }, None),
            _ if same_words => (Happening::Note { content: "same".to_owned() }, None),
            _ => (Happening::Note { content: format!("note {number}") }, None),
        };
        let mut webhook = event(second, &format!("W{number}"), what.clone(), status);
        webhook.log = webhook.log.into_iter().map(|entry| LogEntry { at: entry.at + MILLIS, ..entry }).collect();
        [webhook, event(second, &format!("log:Q{number}"), what, None)]
    }

    const MILLIS: SignedDuration = SignedDuration::from_millis(437);

    /// What the thread is told, one reply after the other, if the sender comes after each of these.
    fn told_by(known: &[IncidentRecord], now: Timestamp) -> Vec<Vec<LogEntry>> {
        let connection = connection(Filter::All, Health::Healthy);
        let mut record = triggered();
        let (mut card, mut replies) = (posted(&record, 1), Vec::new());
        for (version, one) in (2..).zip(known) {
            record = record.merge(one.clone());
            card.rendered = RecordVersion(version);
            let step = plan(&record, RecordVersion(version), Some(&card), Some(&connection), None, now);
            if let Step::Reply(_, news) = step {
                card.mark_announced(&news, &record);
                replies.push(news);
            }
        }
        replies
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        /// Whichever of the two comes, in whatever order with all others, however often, with the sender in between.
        #[test]
        fn what_a_webhook_and_the_log_tell_is_told_once(
            happened in prop::collection::vec((any::<bool>(), any::<bool>()), 1..8),
            same_words in any::<bool>(),
            apart in 6_i64..60,
            order in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
        ) {
            let all: Vec<[IncidentRecord; 2]> =
                (0_u8..).zip(&happened).map(|(number, _)| twins(4 * number + 3, 100 + apart * i64::from(number), same_words)).collect();
            let known: Vec<IncidentRecord> = all.iter().zip(&happened).flat_map(|([webhook, log], (one, other))| {
                // At least one of the two comes.
                let (one, other) = (*one || !*other, *other);
                one.then(|| webhook.clone()).into_iter().chain(other.then(|| log.clone()))
            }).collect();
            let mut shuffled: Vec<IncidentRecord> = order.iter().map(|index| index.get(&known).clone()).collect();
            shuffled.extend(known);
            let told: Vec<LogEntry> = told_by(&shuffled, at(3_600)).into_iter().flatten().collect();
            prop_assert_eq!(told.len(), happened.len(), "{:?}", told);
        }
    }

    #[test]
    fn of_a_webhook_and_its_twin_in_the_log_the_first_is_told() {
        for number in 0..4 {
            let [webhook, log] = twins(number, 100, false);
            for (known, expected) in [
                (vec![&webhook, &log], "W"),
                (vec![&log, &webhook], "log:Q"),
                (vec![&log, &log, &webhook, &log, &webhook], "log:Q"),
            ] {
                let known: Vec<_> = known.into_iter().cloned().collect();
                let replies = told_by(&known, at(200));
                let told: Vec<_> = replies.iter().flatten().map(|entry| entry.id.as_str().to_owned()).collect();
                assert_eq!(told, [format!("{expected}{number}")], "{known:?}");
            }
        }
    }

    #[test]
    fn two_of_the_same_words_within_a_second_are_told_twice_whatever_comes_first() {
        let one = |id: &str, millis: i64| {
            let mut record = event(100, id, Happening::Note { content: "same".to_owned() }, None);
            let later = SignedDuration::from_millis(millis);
            record.log = record.log.into_iter().map(|entry| LogEntry { at: entry.at + later, ..entry }).collect();
            record
        };
        let all = [one("W1", 200), one("W2", 700), one("log:Q1", 0), one("log:Q2", 0)];
        for order in [[0, 1, 2, 3], [0, 2, 3, 1], [2, 3, 0, 1], [2, 0, 3, 1], [3, 1, 0, 2], [1, 3, 2, 0]] {
            let known: Vec<_> = order.into_iter().filter_map(|index: usize| all.get(index).cloned()).collect();
            assert_eq!(told_by(&known, at(200)).into_iter().flatten().count(), 2, "{order:?}");
        }
    }

    #[test]
    fn what_was_missed_is_told_in_one_reply_and_what_is_old_in_none() {
        let note = |second, id: &str| event(second, id, Happening::Note { content: id.to_owned() }, None);
        let day = 24 * 3_600;
        let connected_at = at(1_000);
        let connection = Connection { created_at: connected_at, ..connection(Filter::All, Health::Healthy) };
        let found = triggered()
            .merge(note(998, "log:before"))
            .merge(note(1_001, "log:first"))
            .merge(note(2_000, "log:second"))
            .merge(note(3_000, "W1"));
        let card = posted(&triggered(), 2);
        let told = |card: &CardRecord, connection: Option<&Connection>, now: i64| {
            let step = plan(&found, RecordVersion(2), Some(card), connection, None, at(now));
            let Step::Reply(_, news) = step else { unreachable!("{step:?}") };
            news.into_iter().map(|entry| entry.id.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(told(&card, Some(&connection), 3_000), ["log:first", "log:second", "W1"]);
        assert_eq!(told(&card, Some(&connection), 1_002 + day), ["log:second", "W1"], "a day later");
        let noted = CardRecord { hears_since: Some(connected_at), ..card.clone() };
        assert_eq!(told(&noted, None, 3_000), ["log:first", "log:second", "W1"], "moved to a service of nobody");
        // A late webhook of what was too old when it was found.
        let both = found.clone().merge(note(998, "W0"));
        let step = plan(&both, RecordVersion(2), Some(&noted), None, None, at(2 * day));
        let Step::Reply(_, news) = step else { unreachable!("a webhook is told, however late") };
        assert_eq!(news.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["W0", "W1"], "two different notes");
    }

    #[test]
    fn a_late_webhook_of_what_was_old_when_it_was_found_is_not_told() {
        let [webhook, log] = twins(3, 100, false);
        let now = at(100 + 25 * 3_600);
        assert!(told_by(&[log, webhook.clone()], now).is_empty());
        assert_eq!(told_by(&[webhook], now).len(), 1, "a webhook alone is told, however late");
    }

    #[test]
    fn a_change_found_in_the_second_of_a_told_one_is_told() {
        let acknowledged = event(100, "W1", Happening::Acknowledged, Some(Status::Acknowledged));
        let mut acknowledged = acknowledged;
        acknowledged.log =
            acknowledged.log.into_iter().map(|entry| LogEntry { at: entry.at + MILLIS, ..entry }).collect();
        let resolved = event(100, "log:Q2", Happening::Resolved { merged_into: None }, None);
        assert_eq!(told_by(&[acknowledged.clone(), resolved], at(200)).len(), 2);
        let before = event(99, "log:Q2", Happening::Resolved { merged_into: None }, None);
        assert_eq!(told_by(&[acknowledged, before], at(200)).len(), 1, "overtaken");
    }

    #[test]
    fn forgets_what_the_log_no_longer_keeps() {
        let mut card = posted(&triggered(), 1);
        card.mark_announced(&[], &event(50, "E50", Happening::Acknowledged, Some(Status::Acknowledged)));
        assert!(card.announced.is_empty());
    }
}
