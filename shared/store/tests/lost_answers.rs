//! What a call makes of its own first sending, whose answer was lost and which the SDK therefore repeats.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, retry::RetryConfig};
use domain::ids::{AccountId, ConversationId, EntraUserId, PdUserId, ServiceUrl, TenantId};
use domain::linking::{AccountLink, Purpose, Ticket};
use domain::proof::Standing;
use jiff::{SignedDuration, Timestamp};
use store::seal::{KeyRing, Sealed, TokenKey};
use store::{Attempt, Once, OnceKey, PendingLink, Provisional, RefreshLease, Saved, Store, Unrefreshed, secret_hash};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const T0: Timestamp = Timestamp::constant(1_795_424_400, 0);
const HOLD: SignedDuration = SignedDuration::from_secs(20);

/// A table whose next answers to a `PutItem` can be lost on their way.
struct Table {
    store: Store,
    losing: Arc<AtomicUsize>,
}

impl Table {
    async fn new() -> Self {
        let (database, proxy) = (bind().await, bind().await);
        let (behind, address) = (database.local_addr().unwrap(), proxy.local_addr().unwrap());
        let losing = Arc::new(AtomicUsize::new(0));
        let serve = dynoxide::server::serve_with_shutdown(
            database,
            dynoxide::Database::memory().unwrap(),
            std::future::pending(),
        );
        in_background(async move { serve.await.unwrap() });
        let counter = Arc::clone(&losing);
        in_background(async move {
            loop {
                let (client, _) = proxy.accept().await.unwrap();
                in_background(pass_on(client, behind, Arc::clone(&counter)));
            }
        });
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
            .endpoint_url(format!("http://{address}"));
        let client = aws_sdk_dynamodb::Client::from_conf(config.build());
        store::create_table(&client, "pagerbridge").await.unwrap();
        Self { store: Store::new(client, "pagerbridge".to_owned()), losing }
    }

    fn lose_next_put(&self) {
        self.losing.store(1, Ordering::SeqCst);
    }

    fn nothing_left_to_lose(&self) -> bool {
        self.losing.load(Ordering::SeqCst) == 0
    }
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn in_background(work: impl Future<Output = ()> + Send + 'static) {
    #[expect(clippy::disallowed_methods, reason = "a test's own server")]
    tokio::spawn(work);
}

/// Passes requests on, and cuts the connection where an answer is to be lost.
async fn pass_on(mut client: TcpStream, behind: std::net::SocketAddr, losing: Arc<AtomicUsize>) {
    let mut server = TcpStream::connect(behind).await.unwrap();
    while let Some(request) = message(&mut client).await {
        let is_put = String::from_utf8_lossy(&request).contains("DynamoDB_20120810.PutItem");
        server.write_all(&request).await.unwrap();
        let answer = message(&mut server).await.unwrap();
        if is_put && losing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return;
        }
        client.write_all(&answer).await.unwrap();
    }
}

/// One HTTP message with a `content-length`.
async fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4);
        if let Some(head) = head {
            let text = String::from_utf8_lossy(bytes.get(..head).unwrap()).to_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap_or("0");
            if bytes.len() >= head + length.trim().parse::<usize>().unwrap() {
                return Some(bytes);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn sealed(aad: &str) -> Sealed {
    let ring = KeyRing::new(vec![TokenKey { id: "k1".to_owned(), key: [7; 32] }]).unwrap();
    ring.seal(b"canary", aad, [2; 12]).unwrap()
}

fn attempt() -> Attempt {
    Attempt {
        ticket: Some(secret_hash("canary-ticket")),
        verifier: sealed("canary-state"),
        browser: secret_hash("canary-browser"),
        in_teams: false,
        created_at: T0,
    }
}

fn link() -> AccountLink {
    AccountLink {
        tenant: TenantId::new("tenant-1").unwrap(),
        user: EntraUserId::new("entra-1").unwrap(),
        teams_name: "Ada".to_owned(),
        account: AccountId::new("PACCT").unwrap(),
        pd_user: PdUserId::new("PADA").unwrap(),
        pd_name: "Ada W".to_owned(),
        pd_email: "ada@example.com".to_owned(),
        linked_at: T0,
    }
}

async fn put_link(store: &Store) {
    let ticket = Ticket {
        tenant: link().tenant,
        user: link().user,
        teams_name: "Ada".to_owned(),
        upn: None,
        purpose: Purpose::Link { account: None, wanted: None },
        conversation: ConversationId::new("a:1chat").unwrap(),
        service_url: ServiceUrl::new("https://smba.trafficmanager.net/amer/").unwrap(),
        created_at: T0,
    };
    let pending = PendingLink {
        ticket: secret_hash("canary-ticket"),
        link: link(),
        tokens: sealed("first"),
        browser: secret_hash("canary-browser"),
        in_teams: false,
        created_at: T0,
    };
    let waiting = Provisional {
        id: "id".to_owned(),
        ticket: pending.ticket.clone(),
        asked: ticket.clone(),
        link: link(),
        tokens: Some(sealed("first")),
        proof: sealed("proof"),
        in_teams: false,
        standing: Standing::Waiting,
        created_at: T0,
    };
    store.put_ticket("canary-ticket", &ticket).await.unwrap();
    store.put_pending("canary-browser", &pending).await.unwrap();
    store.confirm_link("canary-browser", &pending, &waiting, T0).await.unwrap();
    store.activate(&waiting, T0).await.unwrap();
}

async fn claim(store: &Store, holder: &str, now: Timestamp) -> Option<RefreshLease> {
    store.claim_refresh(&link(), 1, holder, now, HOLD).await.unwrap()
}

#[tokio::test]
async fn a_claim_is_recognised_as_ones_own_and_stays_closed_to_others() {
    let table = Table::new().await;
    let begin = async |call| table.store.begin_once(OnceKey::Form("k"), call, T0, HOLD).await.unwrap();
    table.lose_next_put();
    assert_eq!(begin("one").await, Once::First);
    assert!(table.nothing_left_to_lose());
    assert_eq!(begin("two").await, Once::InProgress);
    table.lose_next_put();
    assert_eq!(begin("three").await, Once::InProgress, "not another one's");
}

#[tokio::test]
async fn a_log_in_is_not_lost_and_taken_once() {
    let table = Table::new().await;
    table.store.put_attempt("canary-state", &attempt()).await.unwrap();
    table.lose_next_put();
    assert_eq!(table.store.take_attempt("canary-state", "one", T0).await.unwrap(), Some(attempt()));
    assert!(table.nothing_left_to_lose());
    assert_eq!(table.store.take_attempt("canary-state", "two", T0).await.unwrap(), None);
}

#[tokio::test]
async fn a_refresher_keeps_the_lease_that_it_has_won() {
    let table = Table::new().await;
    put_link(&table.store).await;
    table.lose_next_put();
    let lease = claim(&table.store, "me", T0).await.unwrap();
    assert!(table.nothing_left_to_lose());
    assert_eq!(claim(&table.store, "other", T0).await, None);
    assert_eq!(table.store.save_tokens(&lease, &sealed("second")).await.unwrap(), Saved::Yes);
}

/// The first refresher was frozen past its lease: the second one's refresh failed, since the token was used up.
#[tokio::test]
async fn the_only_valid_pair_is_kept_even_if_it_comes_late_but_never_over_a_newer_one() {
    let table = Table::new().await;
    put_link(&table.store).await;
    let frozen = claim(&table.store, "frozen", T0).await.unwrap();
    let second = claim(&table.store, "second", T0 + HOLD).await.unwrap();
    let pair = sealed("frozen");
    assert_eq!(table.store.save_tokens(&frozen, &pair).await.unwrap(), Saved::Overtaken, "not yet");
    table.store.release_refresh(&second, Unrefreshed::NotDone).await.unwrap();
    assert_eq!(table.store.save_tokens(&frozen, &pair).await.unwrap(), Saved::Yes);
    assert_eq!(table.store.save_tokens(&frozen, &pair).await.unwrap(), Saved::Overtaken, "a newer one");
    let stored = table.store.link(&link().tenant, &link().user, &link().account).await.unwrap().unwrap();
    assert_eq!((stored.tokens, stored.tokens_version), (pair, 2));
}
