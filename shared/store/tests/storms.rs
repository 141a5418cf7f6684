//! The rows of a storm, page by page, and the cards of many incidents, against a real `DynamoDB` wire.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixtures;
mod support;

use std::collections::BTreeMap;

use domain::ids::{ChannelId, IncidentId, ServiceId, StormId, TeamId, TenantId};
use domain::incident::{RecordVersion, ServiceRef, Status, Urgency};
use domain::plan::{CardKey, CardRecord};
use domain::storm::Row;
use store::{RowsPage, Store, StormKey};

use crate::fixtures::{LATER, T0, account, at, channel};
use crate::support::table;

fn storm() -> StormKey {
    StormKey { account: account(), channel: channel(), storm: StormId::begun_in(7) }
}

fn row(number: u64) -> Row {
    Row {
        incident: IncidentId::new(format!("Q{number}")).unwrap(),
        number,
        title: format!("title {number}"),
        status: Status::Triggered,
        urgency: Urgency::High,
        priority: None,
        service: ServiceRef { id: ServiceId::new("PSVC").unwrap(), name: "Payments".to_owned() },
        url: String::new(),
        since: T0,
        version: RecordVersion(1),
    }
}

async fn fold(store: &Store, numbers: impl IntoIterator<Item = u64>) {
    let rows: Vec<Row> = numbers.into_iter().map(row).collect();
    store.fold(&storm(), &rows, &[], LATER).await.unwrap();
}

fn numbers(page: &RowsPage) -> Vec<u64> {
    page.rows.iter().map(|row| row.number).collect()
}

#[tokio::test]
async fn pages_go_on_after_any_row_whatever_comes_and_goes() {
    let (store, _) = table().await;
    fold(&store, [8, 9, 10, 11, 12]).await;
    let first = store.storm_page(&storm(), None, 2).await.unwrap();
    assert_eq!((numbers(&first), first.next.clone()), (vec![12, 11], Some(RowsPage::after(&row(11)))));
    fold(&store, [100]).await;
    // Not the end of a page, and gone by now.
    store.take_rows(&storm(), &[(12, row(12).incident)]).await.unwrap();
    let rest = store.storm_page(&storm(), Some(&RowsPage::after(&row(12))), 10).await.unwrap();
    assert_eq!((numbers(&rest), rest.next), (vec![11, 10, 9, 8], None));
    let end = store.storm_page(&storm(), Some(&RowsPage::after(&row(8))), 10).await.unwrap();
    assert_eq!(end, RowsPage::default());
}

#[tokio::test]
async fn what_no_page_has_given_begins_anew() {
    let (store, _) = table().await;
    fold(&store, [1, 2]).await;
    for forged in ["", "SUMMARY", "x", &format!("ROW#{}", "9".repeat(2000))] {
        let page = store.storm_page(&storm(), Some(forged), 10).await.unwrap();
        assert_eq!(numbers(&page), [2, 1], "{forged}");
    }
    let elsewhere = StormKey { storm: StormId::begun_in(8), ..storm() };
    let page = store.storm_page(&elsewhere, Some(&RowsPage::after(&row(2))), 10).await.unwrap();
    assert_eq!(page, RowsPage::default(), "a token reaches no other storm");
}

#[tokio::test]
async fn many_cards_are_read_at_once() {
    let (store, _) = table().await;
    let (team, tenant) = (TeamId::new("19:team@thread.tacv2").unwrap(), TenantId::new("tenant-1").unwrap());
    let id = |number: u64| IncidentId::new(format!("Q{number}")).unwrap();
    let card = CardRecord::unposted(channel(), team, tenant);
    let folded = |number| {
        let mut card = card.clone();
        card.folded(row(number).folded(&storm().storm), RecordVersion(1));
        card
    };
    let mut expected = BTreeMap::new();
    for number in 0..230 {
        let key = CardKey { account: account(), incident: id(number), channel: channel() };
        store.save_card(&key, &folded(number), Some(at(100))).await.unwrap();
        expected.insert(id(number), folded(number));
    }
    let other = ChannelId::new("19:other@thread.tacv2").unwrap();
    let key = CardKey { account: account(), incident: id(900), channel: other };
    store.save_card(&key, &card, None).await.unwrap();
    let asked: Vec<IncidentId> = (0..230).chain([5, 900, 901]).map(id).collect();
    assert_eq!(store.cards_in(&account(), &channel(), &asked).await.unwrap(), expected);
    assert_eq!(store.cards_in(&account(), &channel(), &[]).await.unwrap(), BTreeMap::new());
}
