//! Sealing anew beside writers who do something else.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use domain::ids::{AccountId, ServiceId, SubscriptionId};
use jiff::Timestamp;
use store::seal::{KeyRing, Sealed, TokenKey};
use store::{NotRead, Resealable, Store, Subscription};

use crate::support::table;

const T0: Timestamp = Timestamp::constant(1_795_424_400, 0);

fn account() -> AccountId {
    AccountId::new("PACC").unwrap()
}

fn sealed(key: &str, nonce: u8) -> Sealed {
    let ring = KeyRing::new(vec![TokenKey { id: key.to_owned(), key: [1; 32] }]).unwrap();
    ring.seal(b"secret", "PWHS", [nonce; 12]).unwrap()
}

async fn stored(store: &Store, secrets: Vec<Sealed>) -> Subscription {
    let subscription = Subscription {
        id: SubscriptionId::new("PWHS").unwrap(),
        account: account(),
        service: ServiceId::new("PSVC").unwrap(),
        secrets,
        created_at: T0,
        url: Some("https://bridge.example.com/webhooks/pagerduty".to_owned()),
    };
    store.put_subscription(&subscription).await.unwrap();
    subscription
}

#[tokio::test]
async fn webhook_secrets_change_only_if_they_are_as_they_were_read() {
    let (store, _) = table().await;
    let read = stored(&store, vec![sealed("old", 1), sealed("old", 2)]).await;
    let new = vec![sealed("new", 3), sealed("new", 4)];
    assert!(store.reseal_subscription(&read, &new).await.unwrap());
    let known = store.subscription(&read.id).await.unwrap().unwrap();
    assert_eq!(known, Subscription { secrets: new.clone(), ..read.clone() });
    let listed = store.subscriptions_of_account(&account()).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&known), "it stays in its index");
    assert_eq!(store.subscription_of_service(&account(), &read.service).await.unwrap(), Some(known.clone()));

    // Somebody who read the old ones comes too late.
    assert!(!store.reseal_subscription(&read, &[sealed("other", 5)]).await.unwrap());
    assert_eq!(store.subscription(&read.id).await.unwrap(), Some(known.clone()));

    // What has ended does not come back.
    store.delete_subscription(&known).await.unwrap();
    assert!(!store.reseal_subscription(&known, &new).await.unwrap());
    assert_eq!(store.subscription(&read.id).await.unwrap(), None);
}

#[tokio::test]
async fn everything_that_can_be_sealed_anew_is_found_and_nothing_else() {
    let (store, _) = table().await;
    let subscription = stored(&store, vec![sealed("old", 1)]).await;
    let unread = NotRead {
        subscription: &subscription,
        webhook: Some("w-1"),
        body: b"{}",
        reason: "why",
        reader: "1",
        again_at: None,
        asked: false,
    };
    store.keep_unread(&unread, T0).await.unwrap();
    let page = store.resealable(None).await.unwrap();
    assert_eq!((page.found, page.unreadable), (vec![Resealable::Subscription(subscription)], 0));
    assert!(page.next.is_none());
}
