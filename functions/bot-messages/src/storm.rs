//! The dialogs of a storm's card: its list, one of its incidents as a card of its own, and acknowledging many of them.
//!
//! What a button carries is a hint that anybody could have forged. The storm must be known in the very channel that the click
//! came from, its team must still belong to its account, and PagerDuty decides with the person's own token.

mod acknowledge;
mod list;

use cards::data::{StormData, StormFilter, StormVerb};
use cards::{StormPlace, StormScope};
use domain::ids::{AccountId, CauseId, StormId, TeamId};
use domain::storm::{Row, Storm};
use incidents::place;
use pagerduty::rest::ApiError;
use runtime::App;
use store::{RowsPage, StormKey};
use teams::auth::Verified;
use tokio::time::{Instant, timeout_at};

pub(crate) use self::acknowledge::{Answer, Question};
pub(crate) use self::list::{List, Said};
use crate::error::{FlowError, Unlinked};
use crate::who::Who;

/// What the dialog shows.
#[derive(Debug)]
pub(crate) enum StormPage {
    /// A page of the list.
    List(Box<List>),
    /// The question before many are acknowledged.
    Question(Question),
    /// What became of those that were to be acknowledged.
    Answer(Answer),
    /// They were acknowledged before; this was said of it.
    Before(String),
    /// They are being acknowledged right now.
    InProgress,
    /// The person was sent a personal link.
    LinkSent(Unlinked),
    /// They could not be sent one.
    LinkNotSent(Unlinked),
    /// There was no time to ask PagerDuty.
    Busy,
    /// There was no time to read any row.
    Slow,
    /// PagerDuty did not do it, or does not answer.
    NotDone(ApiError),
    /// No storm of ours in this place.
    Unknown,
    /// The storm's team is not connected to its account any more, or the bot not in it.
    Left,
    /// Teams does not say who clicked.
    UnknownPerson,
    /// Something of ours failed.
    Failed(FlowError),
}

impl<E: Into<FlowError>> From<E> for StormPage {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Which storm a page is about, and which of its rows.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    account: AccountId,
    storm: StormId,
    filter: StormFilter,
}

impl Place {
    /// As cards take it.
    pub(crate) fn shown(&self) -> StormPlace<'_> {
        StormPlace { account: &self.account, storm: &self.storm, filter: &self.filter }
    }
}

/// Opens a dialog. Whatever the button says, nothing is acknowledged without a question.
pub(crate) async fn open(app: &App, who: &Who, verified: &Verified, mut data: StormData) -> StormPage {
    data.verb = None;
    submit(app, who, verified, data).await
}

/// Answers a button inside a dialog. What Teams resends acts once.
pub(crate) async fn submit(app: &App, who: &Who, verified: &Verified, data: StormData) -> StormPage {
    let page = async {
        let here = Here::find(app, who, &data).await?;
        match (StormScope::of(data.dialog), data.verb) {
            (None, Some(StormVerb::Card)) => {
                list::own_card(&here, &data, CauseId::from(verified.activity().id.clone())).await
            }
            (None, _) => list::page(&here, &data, None).await,
            (Some(scope), Some(StormVerb::Acknowledge)) => acknowledge::once(&here, verified, scope).await,
            (Some(scope), _) => acknowledge::ask(&here, scope).await,
        }
    };
    Box::pin(page).await.unwrap_or_else(|instead| instead)
}

/// A storm in the channel that the click came from.
struct Here<'a> {
    app: &'a App,
    who: &'a Who,
    key: StormKey,
    storm: Storm,
    filter: StormFilter,
}

impl<'a> Here<'a> {
    /// `Err` says why it is not there. Of an account that is not the team's, nothing is read.
    async fn find(app: &'a App, who: &'a Who, data: &StormData) -> Result<Self, StormPage> {
        let (Some(team), Some(channel)) = (&who.team, &who.channel) else { return Err(StormPage::Unknown) };
        at_home(app, who, &data.account, team).await?;
        let key = StormKey { account: data.account.clone(), channel: channel.clone(), storm: data.storm.clone() };
        let state = app.store.channel_state(&key.account, &key.channel).await?;
        let storm = match state.storm(&key.storm) {
            Some(storm) => storm.clone(),
            None => app.store.closed_storm(&key).await?.ok_or(StormPage::Unknown)?,
        };
        if &storm.team != team {
            at_home(app, who, &data.account, &storm.team).await?;
        }
        Ok(Self { app, who, key, storm, filter: data.wanted() })
    }

    fn place(&self) -> Place {
        Place { account: self.key.account.clone(), storm: self.key.storm.clone(), filter: self.filter.clone() }
    }

    /// The newest rows that the filter lets through and `wanted` wants, at most so many.
    async fn rows(
        &self,
        wanted: impl Fn(&Row) -> bool,
        after: Option<&str>,
        most: usize,
        until: Instant,
    ) -> Result<Rows, StormPage> {
        let mut rows = Vec::new();
        let mut place = after.map(str::to_owned);
        // One more than wanted tells whether there are more; mostly none is filtered out.
        let mut limit = i32::try_from(most).unwrap_or(i32::MAX).saturating_add(1);
        loop {
            let read = timeout_at(until, self.app.store.storm_page(&self.key, place.as_deref(), limit));
            let page = match read.await {
                Ok(page) => page?,
                Err(_) if rows.is_empty() && place.as_deref() == after => return Err(StormPage::Slow),
                Err(_) => return Ok(Rows { rows, next: place, is_cut_off: true }),
            };
            let is_meant = |row: &Row| lets_through(&self.filter, row) && wanted(row);
            rows.extend(page.rows.into_iter().filter(is_meant));
            if rows.len() > most {
                rows.truncate(most);
                let next = rows.last().map(RowsPage::after);
                return Ok(Rows { rows, next, is_cut_off: false });
            }
            let Some(next) = page.next else { return Ok(Rows { rows, next: None, is_cut_off: false }) };
            place = Some(next);
            limit = AT_ONCE;
        }
    }
}

/// How many rows are read at once where many are filtered out.
const AT_ONCE: i32 = 250;

/// Some rows.
struct Rows {
    rows: Vec<Row>,
    /// Where the next ones begin; `None`: there are no more.
    next: Option<String>,
    /// There was no time to look for more.
    is_cut_off: bool,
}

fn lets_through(filter: &StormFilter, row: &Row) -> bool {
    filter.status.has(row.status) && filter.service.as_ref().is_none_or(|service| service == &row.service.id)
}

/// Whether the bot is in the team, and the team the account's.
async fn at_home(app: &App, who: &Who, account: &AccountId, team: &TeamId) -> Result<(), StormPage> {
    let home = place::installation(app, team, &who.tenant).await?.ok_or(StormPage::Unknown)?;
    let is_home = home.belongs_to(account) && home.removed_at.is_none();
    if is_home { Ok(()) } else { Err(StormPage::Left) }
}
