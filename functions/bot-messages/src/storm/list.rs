//! The list of a storm's rows in pages, and one of them as a card of its own.

use std::cmp::Reverse;

use cards::StormService;
use cards::data::{StormData, StormFilter, StormStatus, StormVerb};
use domain::behind::{Mark, Wish};
use domain::cause::{Cause, Occasion};
use domain::ids::{CauseId, IncidentId};
use domain::incident::{RecordVersion, Status};
use domain::plan::CardKey;
use domain::storm::{Counts, Followed, Row};

use super::{Here, Place, StormPage};

/// How many rows a page has.
const PAGE: usize = 10;

/// How many services are offered as a filter.
const SERVICES: usize = 50;

/// A page of the list.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) place: Place,
    pub(crate) rows: Vec<Row>,
    /// Where the page begins; `None`: with the newest row.
    pub(crate) after: Option<String>,
    /// How many rows are before it.
    pub(crate) first: u64,
    /// How many rows the filter lets through.
    pub(crate) total: u64,
    /// Where the next page begins; `None`: there is none.
    pub(crate) next: Option<String>,
    pub(crate) services: Vec<StormService>,
    /// What is to be said first.
    pub(crate) said: Option<Said>,
}

/// What is said above a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// The incident of this number gets its own card.
    OwnCard(u64),
    /// It has its own card.
    HasCard,
    /// It is resolved.
    Over,
    /// It is no row of this storm any more.
    Gone,
    /// No incident was picked.
    NotPicked,
    /// There was no time to fill the page.
    CutOff,
}

/// The page that is asked for.
pub(super) async fn page(here: &Here<'_>, data: &StormData, said: Option<Said>) -> Result<StormPage, StormPage> {
    let goes_on = matches!(data.verb, Some(StormVerb::Next | StormVerb::Card));
    let after = data.after.clone().filter(|_| goes_on);
    let found = here.rows(|_| true, after.as_deref(), PAGE, here.who.deadline).await?;
    Ok(StormPage::List(Box::new(List {
        place: here.place(),
        rows: found.rows,
        first: if after.is_some() { data.from } else { 0 },
        after,
        total: total(&here.storm.followed, &here.filter),
        next: found.next,
        services: services(&here.storm.followed),
        said: said.or(found.is_cut_off.then_some(Said::CutOff)),
    })))
}

/// Has the picked incident get its own card, and shows the same page again.
pub(super) async fn own_card(here: &Here<'_>, data: &StormData, cause: CauseId) -> Result<StormPage, StormPage> {
    let said = match data.picked() {
        Some(incident) => want_card(here, incident, cause).await?,
        None => Said::NotPicked,
    };
    page(here, data, Some(said)).await
}

async fn want_card(here: &Here<'_>, incident: &IncidentId, cause: CauseId) -> Result<Said, StormPage> {
    let (app, account, channel) = (here.app, &here.key.account, &here.key.channel);
    let key = CardKey { account: account.clone(), incident: incident.clone(), channel: channel.clone() };
    let Some(card) = app.store.card(&key).await? else { return Ok(Said::Gone) };
    let Some(row) = card.row.as_ref().filter(|row| row.storm == here.key.storm) else {
        return Ok(if card.activity.is_some() { Said::HasCard } else { Said::Gone });
    };
    let Some(stored) = app.store.record(account, incident).await? else { return Ok(Said::Gone) };
    let Some(state) = stored.record.state() else { return Ok(Said::Gone) };
    if row.status == Status::Resolved || state.status == Status::Resolved {
        return Ok(Said::Over);
    }
    let cause = Cause { id: cause, occasion: Occasion::Action, at: app.clock.now(), happened_at: None };
    let place = (channel.clone(), card.team.clone());
    let rules = &app.config.storm;
    let mark = Mark::card(&stored.record, RecordVersion(0), place, &cause, Wish::OwnCard, rules);
    incidents::want(app, &[mark]).await?;
    Ok(Said::OwnCard(state.number))
}

/// How many rows the filter lets through.
fn total(followed: &Followed, filter: &StormFilter) -> u64 {
    let counts = counts(followed, filter);
    match filter.status {
        StormStatus::Open => counts.open(),
        StormStatus::Triggered => counts.of(Status::Triggered).all(),
        StormStatus::Acknowledged => counts.of(Status::Acknowledged).all(),
        StormStatus::Resolved => counts.of(Status::Resolved).all(),
        StormStatus::All => counts.all(),
    }
}

/// How many rows in each status are of the filter's service.
pub(super) fn counts(followed: &Followed, filter: &StormFilter) -> Counts {
    let Some(service) = &filter.service else { return followed.counts };
    let of = followed.services.iter().find(|known| &known.service.id == service);
    of.map(|of| of.counts).unwrap_or_default()
}

/// The services that have rows, those with the most open ones first.
fn services(followed: &Followed) -> Vec<StormService> {
    let mut services: Vec<StormService> = followed
        .services
        .iter()
        .filter(|of| of.counts.all() > 0)
        .map(|of| StormService { id: of.service.id.clone(), name: of.service.name.clone(), open: of.counts.open() })
        .collect();
    services.sort_by(|a, b| (Reverse(a.open), &a.name).cmp(&(Reverse(b.open), &b.name)));
    services.truncate(SERVICES);
    services
}

#[cfg(test)]
mod tests {
    use domain::ids::ServiceId;
    use domain::incident::{ServiceRef, Urgency};
    use jiff::Timestamp;

    use super::*;

    fn followed(rows: &[(&str, Status)]) -> Followed {
        Followed::counted(rows.iter().zip(1..).map(|((service, status), number)| Row {
            incident: IncidentId::new(format!("Q{number}")).unwrap(),
            number,
            title: String::new(),
            status: *status,
            urgency: if number % 2 == 0 { Urgency::High } else { Urgency::Low },
            priority: None,
            service: ServiceRef { id: ServiceId::new(*service).unwrap(), name: format!("name of {service}") },
            url: String::new(),
            since: Timestamp::UNIX_EPOCH,
            version: RecordVersion(1),
        }))
    }

    #[test]
    fn a_filters_total_is_that_of_its_service_and_status() {
        use Status::{Acknowledged, Resolved, Triggered};
        let followed = followed(&[
            ("PA", Triggered),
            ("PA", Triggered),
            ("PA", Triggered),
            ("PA", Acknowledged),
            ("PB", Triggered),
            ("PB", Resolved),
            ("PB", Resolved),
        ]);
        let all = StormStatus::ALL;
        for (service, totals) in [
            (None, [5, 4, 1, 2, 7]),
            (Some("PA"), [4, 3, 1, 0, 4]),
            (Some("PB"), [1, 1, 0, 2, 3]),
            (Some("PNONE"), [0, 0, 0, 0, 0]),
        ] {
            for (status, expected) in all.into_iter().zip(totals) {
                let filter = StormFilter { service: service.map(|id| ServiceId::new(id).unwrap()), status };
                assert_eq!(total(&followed, &filter), expected, "{filter:?}");
            }
        }
    }

    #[test]
    fn services_with_the_most_open_rows_come_first() {
        let mut rows = vec![("PB", Status::Triggered), ("PC", Status::Resolved), ("PA", Status::Acknowledged)];
        rows.extend([("PD", Status::Triggered), ("PD", Status::Triggered)]);
        let offered: Vec<(String, u64)> =
            services(&followed(&rows)).into_iter().map(|of| (of.id.to_string(), of.open)).collect();
        let expected = [("PD", 2), ("PA", 1), ("PB", 1), ("PC", 0)].map(|(id, open)| (id.to_owned(), open));
        assert_eq!(offered, expected);
        let ids: Vec<String> = (0..60).map(|number| format!("P{number}")).collect();
        let many: Vec<(&str, Status)> = ids.iter().map(|id| (id.as_str(), Status::Triggered)).collect();
        assert_eq!(services(&followed(&many)).len(), SERVICES);
    }
}
