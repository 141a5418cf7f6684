//! Bodies that nobody could read: kept, found by later versions, and forgotten.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::{AccountId, ServiceId, SubscriptionId};
use jiff::{SignedDuration, Timestamp};
use store::{Kept, KeptPage, NotRead, Store, Subscription};

use crate::support::{TABLE, table};

const T0: Timestamp = Timestamp::constant(1_795_424_400, 0);
const V1: &str = "00000.00001.00000.00001";
const V2: &str = "00000.00001.00000.00002";

fn account() -> AccountId {
    AccountId::new("PACC").unwrap()
}

fn subscription() -> Subscription {
    Subscription {
        id: SubscriptionId::new("PWHS").unwrap(),
        account: account(),
        service: ServiceId::new("PSVC").unwrap(),
        secrets: Vec::new(),
        created_at: T0,
        url: None,
    }
}

fn unread<'a>(subscription: &'a Subscription, webhook: Option<&'a str>, body: &'a [u8]) -> NotRead<'a> {
    NotRead { subscription, webhook, body, reason: "the body is not JSON", reader: V1, again_at: None, asked: true }
}

async fn due(store: &Store, reader: &str, now: Timestamp) -> KeptPage {
    store.kept_to_look_at(&account(), reader, now).await.unwrap()
}

async fn bodies(store: &Store, reader: &str, now: Timestamp) -> Vec<Vec<u8>> {
    due(store, reader, now).await.found.into_iter().map(|kept| kept.body).collect()
}

#[tokio::test]
async fn a_later_version_looks_once_and_the_same_one_never() {
    let (store, _) = table().await;
    let subscription = subscription();
    let body = b"\xff\x00 not json";
    store.keep_unread(&unread(&subscription, Some("w-1"), body), T0).await.unwrap();
    assert_eq!(bodies(&store, V1, T0).await, Vec::<Vec<u8>>::new(), "it has looked");
    let page = due(&store, V2, T0).await;
    let [Kept { place, body: kept, at, asked: true, is_over: false }] = &page.found[..] else { panic!("{page:?}") };
    assert_eq!((kept.as_slice(), *at, page.odd.len(), page.more), (&body[..], T0, 0, false));
    assert!(!format!("{page:?}").contains("255"), "the body is not for logs: {page:?}");

    store.note_look(&account(), place, V2, T0).await.unwrap();
    assert_eq!(bodies(&store, V2, T0).await, Vec::<Vec<u8>>::new());
    store.put_off_look(&account(), place, T0 + SignedDuration::from_mins(5)).await.unwrap();
    assert_eq!(bodies(&store, V2, T0 + SignedDuration::from_secs(299)).await, Vec::<Vec<u8>>::new());
    assert_eq!(bodies(&store, V2, T0 + SignedDuration::from_mins(6)).await, [body.to_vec()]);

    store.forget_kept(place).await.unwrap();
    store.note_look(&account(), place, V1, T0).await.unwrap();
    assert_eq!(bodies(&store, V2, T0).await, Vec::<Vec<u8>>::new(), "what is forgotten stays so");
}

#[tokio::test]
async fn one_that_has_its_time_is_looked_at_when_it_has_come() {
    let (store, _) = table().await;
    let subscription = subscription();
    let at = T0 + SignedDuration::from_hours(1);
    let later = NotRead { again_at: Some(at), ..unread(&subscription, Some("w-1"), b"{}") };
    store.keep_unread(&later, T0).await.unwrap();
    for (reader, now, expected) in [(V1, T0, 0), (V2, T0, 0), (V1, at, 1), (V2, at, 1)] {
        assert_eq!(bodies(&store, reader, now).await.len(), expected, "{reader} {now}");
    }
    let over = due(&store, V1, T0 + SignedDuration::from_hours(14 * 24)).await;
    assert!(over.found[0].is_over, "TTL deletes late");
}

#[tokio::test]
async fn a_delivery_that_is_repeated_is_kept_once_and_no_other_one_takes_its_place() {
    let (store, _) = table().await;
    let subscription = subscription();
    let long = "x".repeat(1_000);
    for (webhook, body) in [
        (Some("w-1"), &b"one"[..]),
        (Some("w-1"), b"one"),
        (Some("w-1"), b"two"),
        (None, b"three"),
        (None, b"four"),
        (Some(long.as_str()), b"five"),
        (Some("a\nb"), b"six"),
    ] {
        store.keep_unread(&unread(&subscription, webhook, body), T0).await.unwrap();
    }
    let mut kept = bodies(&store, V2, T0).await;
    kept.sort();
    assert_eq!(kept, [&b"five"[..], b"four", b"one", b"six", b"three", b"two"]);
}

#[tokio::test]
async fn of_a_body_that_fits_into_no_item_the_beginning_is_kept() {
    let (store, _) = table().await;
    let subscription = subscription();
    let body: Vec<u8> = (0..1_000_000_u32).map(|byte| byte.to_le_bytes()[0]).collect();
    store.keep_unread(&unread(&subscription, Some("w-1"), &body), T0).await.unwrap();
    let kept = bodies(&store, V2, T0).await.remove(0);
    assert_eq!((kept.len(), kept.as_slice()), (300 * 1024, &body[..300 * 1024]));
}

#[tokio::test]
async fn what_was_kept_without_a_list_is_listed_once_and_odd_items_hide_no_others() {
    let (store, client) = table().await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let map = |pairs: Vec<(&str, AttributeValue)>| {
        AttributeValue::M(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let put = async |sk: &str, data: AttributeValue| {
        let put = client.put_item().table_name(TABLE).item("pk", text("SUBSCRIPTION#PWHS")).item("sk", text(sk));
        put.item("kind", text("unreadable")).item("data", data).send().await.unwrap();
    };
    // As the version before has written it: {"event"
    let body = map(vec![("B", text("eyJldmVudCI="))]);
    let facts = map(vec![("body", body), ("reason", text("why")), ("at", text("2026-11-23T09:00:00Z"))]);
    put("UNREADABLE#w-1", facts).await;
    put("UNREADABLE#w-2", text("odd")).await;
    put("SUBSCRIPTION", text("something else")).await;
    assert!(!store.kept_are_listed(&account()).await.unwrap());
    assert_eq!(due(&store, V1, T0).await.found, []);
    for listed in [2, 0] {
        assert_eq!(store.list_kept_of(&account(), &subscription().id).await.unwrap(), listed);
    }
    store.note_kept_are_listed(&account(), T0).await.unwrap();
    assert!(store.kept_are_listed(&account()).await.unwrap());

    let page = due(&store, V1, T0).await;
    let [old] = &page.found[..] else { panic!("{page:?}") };
    assert_eq!((old.body.as_slice(), old.at, old.asked), (&b"{\"event\""[..], T0, false));
    assert_eq!(page.odd.len(), 1);
    store.note_look(&account(), &page.odd[0], V1, T0).await.unwrap();
    assert_eq!(due(&store, V1, T0).await.odd.len(), 0);
}
