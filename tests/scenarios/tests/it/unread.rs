//! Deliveries with which something is wrong: a subscription that is known never hears a 4xx, no incident is lost for what cannot be
//! read, bookkeeping delays nobody, and what was kept is looked at again.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Request;
use domain::ids::{ServiceId, SubscriptionId};
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use local::aws::Call;
use local::inside::{Delays, Inside};
use runtime::Metric;
use serde_json::json;
use simulators::pagerduty::{Fault, Pending};
use tokio::time::Instant;
use tower_service::Service as _;

use crate::world::{START, Signed, Subscription, World, account};

const PATH: &str = "/webhooks/pagerduty";

/// What makes an event one that nobody can read, put in the place of what.
const ENVELOPE: (&str, &str) = (r#"{"event":"#, r#"{"message":"#);

/// What PagerDuty would deliver of an incident's last change, and does not.
fn taken(world: &World, event_type: &str) -> Pending {
    world.take_undelivered().into_iter().find(|event| event.event_type() == event_type).unwrap()
}

/// Bodies of the last event with which something is wrong, and each still names its incident.
fn spoilt(body: &str) -> Vec<(&'static str, Vec<u8>)> {
    let with = |name: &'static str, from: &str, to: &str| {
        let spoilt = body.replacen(from, to, 1);
        assert_ne!(spoilt, body, "{name}");
        (name, spoilt.into_bytes())
    };
    let front = |name: &'static str, what: String| (name, format!(r#"{{"x":{what},{}"#, &body[1..]).into_bytes());
    let status = body.find(r#""status""#).unwrap();
    let title = body.find(r#""title":""#).unwrap() + r#""title":""#.len();
    vec![
        ("cut off", body.as_bytes()[..status].to_vec()),
        ("rubbish behind it", [body.as_bytes(), b"}}\xff\xff"].concat()),
        ("bytes that are no text", [&body.as_bytes()[..title], b"\xff\xc3", &body.as_bytes()[title..]].concat()),
        with("control characters", r#""title":""#, "\"title\":\"\u{0}\u{2}"),
        with("another envelope", ENVELOPE.0, ENVELOPE.1),
        with("no event type", r#""event_type":"#, r#""kind":"#),
        with("a type that is none", r#""event_type":"incident.triggered""#, r#""event_type":7"#),
        with("an unknown type with an unknown whole", r#""status":"triggered""#, r#""status":"floating""#),
        with("no service", r#""service":{"#, r#""services":{"#),
        front("too many parts", format!("[{}0]", "0,".repeat(30_000))),
        front("too deep", format!("{}{}", "[".repeat(1_000), "]".repeat(1_000))),
        front("300 KB, and too many parts", format!("[{}0]", "0,".repeat(150_000))),
        ("300 KB, and cut off", format!("{}\"padding\":\"{}", &body[..status], "x".repeat(300 * 1024)).into_bytes()),
        (
            "nearly 1 MB, and cut off",
            format!("{}\"padding\":\"{}", &body[..status], "x".repeat(1_040_000)).into_bytes(),
        ),
        ("300 KB, and readable", format!(r#"{{"x":"{}",{}"#, "x".repeat(300 * 1024), &body[1..]).into_bytes()),
    ]
}

#[tokio::test]
async fn an_event_that_cannot_be_read_still_shows_its_incident() {
    let world = World::new().await;
    let known = world.subscription("Payments");
    world.trigger("Payments", "a first one").await;
    let names: Vec<&str> =
        spoilt(taken(&world, "incident.triggered").body()).into_iter().map(|(name, _)| name).collect();
    for (number, name) in names.iter().enumerate() {
        let title = format!("DB {number} down");
        world.trigger("Payments", &title).await;
        let body = spoilt(taken(&world, "incident.triggered").body()).remove(number).1;
        assert_eq!(world.post_webhook(&body, Signed::by(&known)).await, 202, "{name}");
        world.settle_all().await;
        let cards = world.cards("Payments");
        assert!(cards.iter().any(|card| card.summary().contains(&title)), "{name}");
    }
    // The others are readable but for what is spoilt.
    assert!(world.counted(Metric::UnreadableWebhooks) >= 5.0, "{}", world.counted(Metric::UnreadableWebhooks));
    world.finish();
}

#[tokio::test]
async fn over_http_a_known_subscription_never_hears_a_4xx() {
    let world = World::new().await;
    let known = world.subscription("Payments");
    world.trigger("Payments", "DB down").await;
    let body = taken(&world, "incident.triggered").body().to_owned();
    let signed = |body: &[u8]| Signed::by(&known).signature(body);
    let huge = vec![b'x'; 1_200_000];
    let deep = "[".repeat(100_000);
    for (name, body) in [
        ("an event", body.as_bytes()),
        ("nothing", b""),
        ("no JSON", b"hello"),
        ("no event", b"{}"),
        ("half of it", &body.as_bytes()[..body.len() / 2]),
        ("no text", b"\xff\xfe\x00"),
        ("without a bottom", deep.as_bytes()),
        ("300 KB", &huge[..300 * 1024]),
        ("1.2 MB", &huge),
    ] {
        let too_long = body.len() > 1024 * 1024;
        for (kind, signature, expected) in [
            ("signed", Some(signed(body)), if too_long { 503 } else { 202 }),
            ("unsigned", None, 503),
            ("signed with nothing", Some(String::new()), 503),
            ("of another version", Some(signed(body).replace("v1=", "v2=")), 503),
            ("of two versions", Some(format!("v2=00,{}", signed(body))), if too_long { 503 } else { 202 }),
            ("guessed", Some(format!("v1={}", "0".repeat(64))), 503),
        ] {
            let delivery = match signature {
                Some(signature) => Signed::by(&known).with_signature(&signature),
                None => Signed::by(&known).without_signature(),
            };
            assert_eq!(world.post_webhook(body, delivery).await, expected, "{name}, {kind}");
        }
    }
    for (name, body) in [
        ("a byte order mark", [b"\xef\xbb\xbf", body.as_bytes()].concat()),
        ("a zero behind it", [body.as_bytes(), b"\0"].concat()),
        ("a control character", body.replacen("DB down", "DB\u{1}down", 1).into_bytes()),
        (
            "no text",
            body.replacen("DB down", "DB\u{1}down", 1).bytes().map(|b| if b == 1 { 0xff } else { b }).collect(),
        ),
        ("300 KB", format!(r#"{{"x":"{}",{}"#, "x".repeat(300 * 1024), &body[1..]).into_bytes()),
        ("1.2 MB", huge.clone()),
        ("nothing", Vec::new()),
    ] {
        let new = Signed::by(&known).of_subscription("PJUSTMADE");
        assert_eq!(world.post_webhook(&body, new).await, 503, "{name}, of one that is being made");
    }
    world.stack.aws.refuse_dynamodb(true);
    let stranger = Signed::by(&known).of_subscription("PUNKNOWN").without_signature();
    assert_eq!(world.post_webhook(b"", stranger).await, 503, "nobody can say that it is not known");
    world.stack.aws.refuse_dynamodb(false);
    world.finish();
}

/// The stack in this process, in tokio's paused time.
struct Still {
    inside: Inside,
    router: Router,
    known: Subscription,
    service: String,
}

impl Still {
    async fn new() -> Self {
        let delays = Delays { dynamodb: Duration::from_millis(5), ..Delays::default() };
        let inside = Box::pin(Inside::compose(START, delays)).await.unwrap();
        let team = inside.add_team("Site Reliability").await.unwrap();
        let (_, service) = inside.add_channel(&team, "payments").await.unwrap();
        let id = inside.pagerduty.subscriptions_of(&service).remove(0);
        let known = Subscription { secret: inside.pagerduty.secret_of(&id).unwrap(), id };
        let _of_the_past = inside.pagerduty.take_pending();
        inside.aws.watch(Duration::ZERO);
        Self { router: webhook_ingest::router(inside.app.clone()), inside, known, service }
    }

    /// A delivery with these headers; how it is answered, and after which time.
    async fn deliver(&self, headers: &[(&str, &[u8])], body: Body) -> (u16, Duration) {
        let mut request = Request::post(PATH).header("x-webhook-id", "w-1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let began = Instant::now();
        let answer: Result<_, Infallible> = self.router.clone().call(request.body(body).unwrap()).await;
        (answer.unwrap().status().as_u16(), began.elapsed())
    }

    async fn deliver_signed(&self, body: &[u8]) -> (u16, Duration) {
        let signature = Signed::by(&self.known).signature(body);
        let headers =
            [("x-webhook-subscription", self.known.id.as_bytes()), ("x-pagerduty-signature", signature.as_bytes())];
        self.deliver(&headers, Body::from(body.to_vec())).await
    }

    fn triggered(&self, title: &str) -> String {
        self.inside.pagerduty.trigger(&self.service, title, "high");
        self.inside.pagerduty.take_pending().remove(0).body().to_owned()
    }

    fn reads_of_subscriptions(&self) -> usize {
        let read = |call: &Call| {
            call.operation == "GetItem" && call.named.iter().any(|name| name.starts_with("SUBSCRIPTION#"))
        };
        self.inside.aws.take_calls().iter().filter(|call| read(call)).count()
    }
}

#[tokio::test(start_paused = true)]
async fn odd_headers_and_bodies_of_a_known_subscription_are_to_be_repeated() {
    let still = Still::new().await;
    let body = still.triggered("DB down").into_bytes();
    let signature = Signed::by(&still.known).signature(&body);
    let (id, signature) = (still.known.id.as_bytes(), signature.as_bytes());
    let (subscription, signed) = ("x-webhook-subscription", "x-pagerduty-signature");
    let both = [id, b",POTHER"].concat();
    let many = [b"P1,P2,P3,", id].concat();
    let whole = || Body::from(body.clone());
    let cut = |end: Option<std::io::Error>| {
        let begin = Bytes::from(body[..100].to_vec());
        Body::from_stream(stream::iter([Ok(begin)]).chain(stream::iter(end.map(Err))))
    };
    let never = || Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    for (name, headers, body, expected) in [
        ("as it is", vec![(subscription, id), (signed, signature)], whole(), 202),
        (
            "said to be compressed",
            vec![(subscription, id), (signed, signature), ("content-encoding", b"gzip")],
            whole(),
            202,
        ),
        ("the subscription twice", vec![(subscription, id), (subscription, id), (signed, signature)], whole(), 202),
        ("a signature more", vec![(subscription, id), (signed, b"\xff"), (signed, signature)], whole(), 202),
        ("another subscription beside it", vec![(subscription, &both[..]), (signed, signature)], whole(), 503),
        ("the fourth of a list", vec![(subscription, &many[..]), (signed, signature)], whole(), 503),
        ("the fourth of a list, unsigned", vec![(subscription, &many[..])], whole(), 503),
        (
            "the fourth header",
            [&b"P1"[..], b"P2", b"P3", id].map(|id| (subscription, id)).to_vec(),
            cut(Some(std::io::Error::other("gone"))),
            503,
        ),
        ("one that is no text beside it", vec![(subscription, b"\xff"), (subscription, id)], whole(), 503),
        ("a signature that is no text", vec![(subscription, id), (signed, b"v1=\xff\xff")], whole(), 503),
        ("a body that ends early", vec![(subscription, id), (signed, signature)], cut(None), 503),
        (
            "a body that breaks off",
            vec![(subscription, id), (signed, signature)],
            cut(Some(std::io::Error::other("gone"))),
            503,
        ),
        ("the same unsigned", vec![(subscription, id)], cut(Some(std::io::Error::other("gone"))), 503),
        ("a body that never ends", vec![(subscription, id), (signed, signature)], never(), 503),
    ] {
        let (status, took) = still.deliver(&headers, body).await;
        assert_eq!(status, expected, "{name}");
        assert!(took < Duration::from_secs(5), "{name}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_made_up_subscriptions_costs_few_reads_and_hides_none_that_is_made_meanwhile() {
    let still = Still::new().await;
    still.reads_of_subscriptions();
    let unsigned =
        async |id: &str| still.deliver(&[("x-webhook-subscription", id.as_bytes())], Body::from("{}")).await.0;
    let mut reads = Vec::new();
    for minute in 0..2 {
        for number in 0..1_000 {
            let status = unsigned(&format!("P{minute}X{number}")).await;
            assert_eq!(status, if number < 120 { 401 } else { 503 }, "{number}");
        }
        reads.push(still.reads_of_subscriptions());
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    println!("2,000 made-up subscriptions without a signature in two minutes: {reads:?} reads");
    assert_eq!(reads, [120, 120]);

    assert_eq!(unsigned("PNEW").await, 401);
    let store = &still.inside.app.store;
    let known = store.subscription(&SubscriptionId::new(still.known.id.as_str()).unwrap()).await.unwrap().unwrap();
    let new = store::Subscription {
        id: SubscriptionId::new("PNEW").unwrap(),
        service: ServiceId::new("PNEWSERVICE").unwrap(),
        ..known
    };
    store.put_subscription(&new).await.unwrap();
    assert_eq!(unsigned("PNEW").await, 503, "at once");
}

#[tokio::test(start_paused = true)]
async fn bookkeeping_delays_no_answer_by_more_than_200_ms() {
    let still = Still::new().await;
    let others = still.inside.pagerduty.add_service("nobody's");
    let moved = |title: &str| still.triggered(title).replace(&still.service, &others);
    let unreadable = |title: &str| still.triggered(title).replacen(ENVELOPE.0, ENVELOPE.1, 1);
    // Both are in memory from now on.
    assert_eq!(still.deliver_signed(still.triggered("the first one").as_bytes()).await.0, 202);
    for (name, what, wait, body) in [
        ("the ledger's lines", "LEDGER#", 0, &moved as &dyn Fn(&str) -> String),
        ("what is kept beside an incident", "UNREADABLE#", 0, &unreadable),
        ("the cache, after a minute", "\"SUBSCRIPTION\"", 61, &|title| still.triggered(title)),
        ("the cache, after a quarter of an hour", "\"SUBSCRIPTION\"", 900, &|title| still.triggered(title)),
    ] {
        tokio::time::sleep(Duration::from_secs(wait)).await;
        let usual = still.deliver_signed(body(&format!("{name}, quick")).as_bytes()).await;
        for slow in [Duration::from_millis(150), Duration::from_secs(3), Duration::from_secs(60)] {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            let body = body(&format!("{name}, {slow:?}"));
            still.inside.aws.slow(&[what], slow);
            let (status, took) = still.deliver_signed(body.as_bytes()).await;
            still.inside.aws.slow(&[], Duration::ZERO);
            println!("{name} take {slow:?} more: answered in {took:?}, else in {:?}", usual.1);
            assert_eq!((usual.0, status), (202, 202), "{name}");
            assert!(took <= usual.1 + Duration::from_millis(200), "{name}: {took:?}, else {:?}", usual.1);
        }
    }
    still.inside.aws.slow(&["INCIDENT#"], Duration::from_secs(60));
    let (status, took) = still.deliver_signed(still.triggered("what the incident needs").as_bytes()).await;
    assert_eq!(status, 503, "after {took:?}");
}

#[tokio::test(start_paused = true)]
async fn all_the_bookkeeping_of_a_delivery_together_delays_its_answer_by_no_more_than_200_ms() {
    let still = Still::new().await;
    let body = still.triggered("DB down");
    let mut number = 0;
    let mut event = |occurred_at: Option<&str>| {
        let mut body: serde_json::Value = serde_json::from_str(&body).unwrap();
        number += 1;
        body["event"]["id"] = json!(format!("E{number}"));
        if let Some(at) = occurred_at {
            body["event"]["occurred_at"] = json!(at);
        }
        body.to_string()
    };
    // More changes wait for the card than it has room for: of each further one the ledger has a line.
    for _ in 0..12 {
        assert_eq!(still.deliver_signed(event(None).as_bytes()).await.0, 202);
    }
    let quarter = Duration::from_secs(900);
    let kinds = ["one that nobody can read", "one without a time"];
    for name in kinds {
        let mut body = || match name {
            "one without a time" => event(Some("some day")),
            _ => event(None).replacen(ENVELOPE.0, ENVELOPE.1, 1),
        };
        tokio::time::sleep(quarter).await;
        let usual = still.deliver_signed(body().as_bytes()).await;
        for slow in [Duration::from_millis(100), Duration::from_millis(150), Duration::from_secs(60)] {
            tokio::time::sleep(quarter).await;
            let _before = still.inside.aws.take_calls();
            still.inside.aws.slow(&["LEDGER#", "UNREADABLE#", "\"SUBSCRIPTION\""], slow);
            let (status, took) = still.deliver_signed(body().as_bytes()).await;
            still.inside.aws.slow(&[], Duration::ZERO);
            println!("{name}, {slow:?} more: answered in {took:?}, else in {:?}", usual.1);
            assert_eq!((usual.0, status), (202, 202), "{name}");
            assert!(took >= usual.1 + Duration::from_millis(100), "{name}: there is nothing to wait for");
            assert!(took <= usual.1 + Duration::from_millis(200), "{name}: {took:?}, else {:?}", usual.1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_cannot_be_read_anew_serves_as_it_is_known_and_one_that_is_gone_does_not() {
    let still = Still::new().await;
    let deliver = async || still.deliver_signed(still.triggered("DB down").as_bytes()).await.0;
    assert_eq!(deliver().await, 202);
    let store = &still.inside.app.store;
    let id = SubscriptionId::new(still.known.id.as_str()).unwrap();
    let known = store.subscription(&id).await.unwrap().unwrap();
    store.put_subscription(&store::Subscription { secrets: Vec::new(), ..known.clone() }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(900)).await;
    assert_eq!(deliver().await, 202, "no secret of what is stored now can be opened");
    tokio::time::sleep(Duration::from_secs(900)).await;
    store.delete_subscription(&known).await.unwrap();
    assert_eq!(deliver().await, 503, "the table says that it is gone");
}

#[tokio::test]
async fn a_body_from_which_nothing_could_be_learned_is_kept_before_the_answer() {
    let world = World::new().await;
    let known = world.subscription("Payments");
    world.trigger("Payments", "DB down").await;
    let body = taken(&world, "incident.triggered").body().to_owned();
    let unknown = of_unknown_type(&body);
    let body = body.replacen(ENVELOPE.0, ENVELOPE.1, 1);
    let not_kept = async |body: &str| {
        // The SDK tries three times.
        world.stack.aws.refuse_puts(3, "UNREADABLE#");
        let status = world.post_webhook(body.as_bytes(), Signed::by(&known)).await;
        world.stack.aws.refuse_puts(0, "");
        status
    };
    assert_eq!(not_kept("{}").await, 503, "there is nothing but the body");
    world.pagerduty().fail_next(2, &Fault::Status(500));
    assert_eq!(not_kept(&body).await, 503, "PagerDuty did not tell");
    world.pagerduty().clear_faults();
    world.pagerduty().fail_next(2, &Fault::Status(500));
    assert_eq!(not_kept(&unknown).await, 503, "nor of a type that we do not know");
    world.pagerduty().clear_faults();
    assert_eq!(not_kept(&body).await, 202, "PagerDuty has told what is true");
    world.settle().await;
    assert!(world.only_card("Payments").summary().contains("DB down"));
    world.finish();
}

/// How many kept bodies the next version would look at.
async fn kept(world: &World) -> usize {
    kept_for(world, "99999").await
}

async fn kept_for(world: &World, reader: &str) -> usize {
    let now = world.stack.app.clock.now();
    world.stack.app.store.kept_to_look_at(&account(), reader, now).await.unwrap().found.len()
}

/// Keeps a body as an earlier version would have.
async fn keep_as_before(world: &World, body: &[u8], again_at: Option<Timestamp>) {
    let store = &world.stack.app.store;
    let id = SubscriptionId::new(world.subscription("Payments").id).unwrap();
    let unread = store::NotRead {
        subscription: &store.subscription(&id).await.unwrap().unwrap(),
        webhook: Some("w-0"),
        body,
        reason: "it was beyond us",
        reader: "00000.00000.00001.00001",
        again_at,
        asked: true,
    };
    store.keep_unread(&unread, world.stack.app.clock.now()).await.unwrap();
}

#[tokio::test]
async fn what_an_earlier_version_could_not_read_is_read_by_this_one() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.tick(SignedDuration::from_secs(1));
    world.pagerduty().add_note(&incident, &world.pagerduty_user("Ada Wong"), "looking at it");
    let note = taken(&world, "incident.annotated").body().to_owned();
    keep_as_before(&world, note.as_bytes(), None).await;
    keep_as_before(&world, b"hello", None).await;
    keep_as_before(&world, &note.as_bytes()[..note.len() - 9], None).await;
    assert_eq!(kept_for(&world, &pagerduty::webhook::reader()).await, 3);
    world.tick(SignedDuration::from_mins(5));
    world.reconcile().await;
    let card = world.only_card("Payments");
    assert!(card.shows("looking at it"), "{}", card.text());
    assert_eq!(kept(&world).await, 2, "what is read is forgotten; the others stay for the next version");

    assert_eq!(kept_for(&world, &pagerduty::webhook::reader()).await, 0, "this version has looked");
    world.finish();
}

#[tokio::test]
async fn an_event_of_the_future_is_read_when_its_time_has_come_and_undoes_nothing() {
    let world = World::new().await;
    let ada = world.pagerduty_user("Ada Wong");
    let open = world.trigger("Payments", "DB down").await;
    let over = world.trigger("Payments", "disk full").await;
    world.settle().await;
    world.tick(SignedDuration::from_secs(1));
    world.pagerduty().add_note(&open, &ada, "looking at it");
    in_an_hour(&world, "incident.annotated").await;
    world.pagerduty().acknowledge(&over, &ada);
    in_an_hour(&world, "incident.acknowledged").await;
    world.tick(SignedDuration::from_mins(10));
    world.pagerduty().resolve(&over, &ada);
    world.settle_all().await;
    assert_eq!(kept(&world).await, 0, "not yet");

    world.tick(SignedDuration::from_hours(1));
    assert_eq!(kept(&world).await, 2);
    world.pagerduty().fail_next_at("GET /incidents/{id}", 20, &Fault::Status(500));
    let _not_all_of_it = world.stack.reconcile().await;
    world.pagerduty().clear_faults();
    assert_eq!(kept(&world).await, 0, "not to be looked at at once");
    world.tick(SignedDuration::from_mins(6));
    assert_eq!(kept(&world).await, 2, "PagerDuty did not say what is true");
    world.reconcile().await;
    world.tick(SignedDuration::from_mins(6));
    assert_eq!(kept(&world).await, 0);
    let cards = world.cards("Payments");
    let card = |title: &str| cards.iter().find(|card| card.summary().contains(title)).unwrap();
    assert!(card("DB down").shows("looking at it"), "{}", card("DB down").text());
    assert!(card("disk full").summary().contains("resolved"), "{}", card("disk full").summary());
    world.finish();
}

/// Delivers the last event as of an hour from now.
async fn in_an_hour(world: &World, event_type: &str) {
    let mut event: serde_json::Value = serde_json::from_str(taken(world, event_type).body()).unwrap();
    event["event"]["occurred_at"] = json!(world.stack.app.clock.now() + SignedDuration::from_hours(1));
    let delivery = Signed::by(&world.subscription("Payments"));
    assert_eq!(world.post_webhook(event.to_string().as_bytes(), delivery).await, 202);
}

/// An event of a type that there may be one day, with an incident that is not as we know them.
fn of_unknown_type(body: &str) -> String {
    let body = body.replacen("incident.triggered", "incident.something_new", 1);
    body.replacen(r#""status":"triggered""#, r#""status":"floating""#, 1)
}

#[tokio::test]
async fn an_incident_that_pagerduty_did_not_tell_of_is_asked_for_again() {
    let world = World::new().await;
    let known = world.subscription("Payments");
    let unreadable = |body: &str| body.replacen(ENVELOPE.0, ENVELOPE.1, 1);
    let reader = pagerduty::webhook::reader();
    let mut cards = 0;
    for (name, spoil) in [("unreadable", &unreadable as &dyn Fn(&str) -> String), ("of a new type", &of_unknown_type)] {
        // What PagerDuty delivers from may be ahead of what it answers from.
        for fault in [Fault::Status(500), Fault::Status(404), Fault::NoAnswer] {
            let title = format!("{name}, {fault:?}");
            world.trigger("Payments", &title).await;
            let body = spoil(taken(&world, "incident.triggered").body());
            world.pagerduty().fail_next(2, &fault);
            assert_eq!(world.post_webhook(body.as_bytes(), Signed::by(&known)).await, 202, "{title}");
            world.pagerduty().clear_faults();
            world.settle_all().await;
            assert_eq!((world.cards("Payments").len(), kept_for(&world, &reader).await), (cards, 0), "{title}");
            world.tick(SignedDuration::from_mins(6));
            assert_eq!(kept_for(&world, &reader).await, 1, "{title}: its time has come");
            world.reconcile().await;
            cards += 1;
            assert_eq!((world.cards("Payments").len(), kept_for(&world, &reader).await), (cards, 0), "{title}");
        }
    }
    world.finish();
}

#[tokio::test]
async fn an_event_of_the_future_shows_its_incident_though_pagerduty_does_not_tell() {
    let world = World::new().await;
    let known = world.subscription("Payments");
    let soon = (world.stack.app.clock.now() + SignedDuration::from_mins(6)).to_string();
    for at in [soon.as_str(), "9999-12-30T00:00:00Z"] {
        for fault in [Fault::Status(404), Fault::Status(500), Fault::NoAnswer] {
            let title = format!("{at}, {fault:?}");
            world.trigger("Payments", &title).await;
            let mut event: serde_json::Value =
                serde_json::from_str(taken(&world, "incident.triggered").body()).unwrap();
            event["event"]["occurred_at"] = json!(at);
            world.pagerduty().fail_next(2, &fault);
            assert_eq!(world.post_webhook(event.to_string().as_bytes(), Signed::by(&known)).await, 202, "{title}");
            world.pagerduty().clear_faults();
            world.settle_all().await;
            let cards = world.cards("Payments");
            assert!(cards.iter().any(|card| card.summary().contains(&title)), "{title}");
        }
    }
    world.tick(SignedDuration::from_mins(2));
    assert_eq!(kept(&world).await, 6, "and PagerDuty is asked once more");
    world.finish();
}
