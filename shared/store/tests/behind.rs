//! What is unfinished, against a real `DynamoDB` wire: marks that race each other and the sender, epochs, one read of all facts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixtures;
mod support;

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::behind::{Behind, MOST_CAUSES, Mark, Rank, Subject, Wish};
use domain::cause::{Cause, Occasion};
use domain::channel::{Epoch, Hold, HoldKind, State};
use domain::connection::{Connection, Filter, Health, Installation};
use domain::ids::{ActivityId, CauseId, ChannelId, IncidentId, ServiceId, ServiceUrl, TeamId, TenantId};
use domain::incident::{Asked, IncidentRecord, RecordVersion, ServiceRef, Snapshot, Status, Urgency};
use domain::plan::{CardKey, CardRecord};
use futures_util::future::join_all;
use jiff::Timestamp;
use store::{Awake, Held, Saved, Store};

use crate::fixtures::{LATER, T0, account, at, channel};
use crate::support::{TABLE, table};

fn team() -> TeamId {
    TeamId::new("19:team@thread.tacv2").unwrap()
}

fn service(id: &str) -> ServiceRef {
    ServiceRef { id: ServiceId::new(id).unwrap(), name: id.to_owned() }
}

fn mark(wanted: u64, cause: &str, at: Timestamp) -> Mark {
    Mark {
        account: account(),
        channel: channel(),
        team: team(),
        subject: Subject::Incident(IncidentId::new("PINC").unwrap()),
        wanted: RecordVersion(wanted),
        at,
        rank: Rank::Low,
        number: Some(7),
        service: Some(service("PSVC")),
        by: None,
        cause: Some(Cause { id: CauseId::new(cause).unwrap(), occasion: Occasion::Webhook, at, happened_at: Some(T0) }),
        wish: Wish::Shown,
        is_over: false,
    }
}

async fn only(store: &Store) -> Behind {
    let mut set = store.behind_set(&account(), &channel()).await.unwrap();
    assert_eq!(set.len(), 1);
    set.remove(0)
}

fn causes(item: &Behind) -> Vec<&str> {
    item.causes.iter().map(|cause| cause.id.as_str()).collect()
}

#[tokio::test]
async fn marks_add_up() {
    let (store, _) = table().await;
    assert!(store.mark(&mark(3, "E1", at(1)), LATER).await.unwrap());
    let first = only(&store).await;
    assert_eq!((first.seq, first.wanted, first.since, causes(&first)), (1, RecordVersion(3), at(1), vec!["E1"]));
    assert_eq!((first.marked.number, first.marked.service.clone()), (Some(7), Some(service("PSVC"))));
    // An older one that comes late asks for nothing less.
    assert!(store.mark(&mark(2, "E0", at(2)), LATER).await.unwrap());
    assert!(store.mark(&Mark { wish: Wish::Afresh, cause: None, ..mark(0, "x", at(3)) }, LATER).await.unwrap());
    let item = only(&store).await;
    assert_eq!((item.seq, item.wanted, item.since, item.afresh), (3, RecordVersion(3), at(1), true));
    assert_eq!((causes(&item), item.marked.at), (vec!["E1", "E0"], at(3)));
    assert!(store.mark(&Mark { wish: Wish::Frozen, ..mark(0, "E2", at(4)) }, LATER).await.unwrap());
    assert_eq!(only(&store).await.freeze, Some(at(4)));
}

#[tokio::test]
async fn marks_that_race_each_other_are_all_counted() {
    let (store, _) = table().await;
    let marked = join_all((1..=MOST_CAUSES as u64).map(|number| {
        let (store, mark) = (store.clone(), mark(number, &format!("E{number}"), T0));
        async move { store.mark(&mark, LATER).await.unwrap() }
    }))
    .await;
    assert!(marked.into_iter().all(|noted| noted));
    let item = only(&store).await;
    let most = MOST_CAUSES as u64;
    assert_eq!((item.seq, item.wanted, item.causes.len()), (most, RecordVersion(most), MOST_CAUSES));
    // More than an item remembers: the mark counts, and whoever makes it is told that its cause does not fit.
    assert!(!store.mark(&mark(most + 1, "more", T0), LATER).await.unwrap());
    let item = only(&store).await;
    assert_eq!((item.seq, item.wanted, item.causes.len()), (most + 1, RecordVersion(most + 1), MOST_CAUSES));
    assert!(store.mark(&Mark { cause: None, ..mark(1, "x", T0) }, LATER).await.unwrap());
}

#[tokio::test]
async fn what_is_marked_while_it_is_done_stays_unfinished() {
    let (store, _) = table().await;
    store.mark(&mark(1, "E1", T0), LATER).await.unwrap();
    let read = only(&store).await;
    store.mark(&mark(2, "E2", at(1)), LATER).await.unwrap();
    assert!(!store.finish_behind(&read).await.unwrap());
    let left = only(&store).await;
    assert_eq!((left.wanted, causes(&left)), (RecordVersion(2), vec!["E2"]), "the first one is told");
    assert_eq!(left.since, at(1), "what is left began later");
    // The same for one that has nothing to tell.
    assert!(store.finish_behind(&left).await.unwrap());
    store.mark(&Mark { cause: None, ..mark(2, "x", at(2)) }, LATER).await.unwrap();
    let silent = only(&store).await;
    store.mark(&mark(3, "E3", at(3)), LATER).await.unwrap();
    assert!(!store.finish_behind(&silent).await.unwrap());
    let left = only(&store).await;
    assert_eq!(causes(&left), ["E3"]);
    assert!(store.finish_behind(&left).await.unwrap());
    assert_eq!(store.behind_set(&account(), &channel()).await.unwrap(), []);
    assert!(!store.finish_behind(&left).await.unwrap(), "nothing comes into being by it");
    assert_eq!(store.behind_set(&account(), &channel()).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_tried_in_vain_says_why_and_waits() {
    let (store, _) = table().await;
    store.mark(&mark(1, "E1", T0), LATER).await.unwrap();
    let item = only(&store).await;
    store.hold_behind(&item, &Held::Until(Some(at(9))), "BadGateway").await.unwrap();
    let held = only(&store).await;
    assert_eq!(
        (held.attempts, held.tried, held.due_at(), held.why.as_deref()),
        (1, 1, Some(at(9)), Some("BadGateway"))
    );
    store.hold_behind(&held, &Held::Until(None), "Throttled").await.unwrap();
    let held = only(&store).await;
    assert_eq!((held.attempts, held.due_at()), (2, Some(T0)));

    store.mark(&mark(2, "E2", at(1)), LATER).await.unwrap();
    store.hold_behind(&held, &Held::Parked, "MessageSizeTooBig").await.unwrap();
    assert_eq!(only(&store).await.parked, None, "somebody has marked it since");
    let item = only(&store).await;
    store.hold_behind(&item, &Held::Parked, "MessageSizeTooBig").await.unwrap();
    let parked = only(&store).await;
    assert_eq!((parked.due_at(), parked.parked.as_deref()), (None, Some("MessageSizeTooBig")));
    assert_eq!((parked.causes.len(), parked.attempts), (0, 0), "they are told");
    assert!(!store.mark_if_absent(&mark(3, "E3", at(2)), LATER).await.unwrap());
    assert_eq!(only(&store).await, parked);
    store.mark(&mark(3, "E3", at(2)), LATER).await.unwrap();
    assert!(only(&store).await.due_at().is_some(), "something new is tried");
    store.finish_behind(&only(&store).await).await.unwrap();
    store.hold_behind(&parked, &Held::Until(None), "late").await.unwrap();
    assert_eq!(store.behind_set(&account(), &channel()).await.unwrap(), [], "nothing comes into being by it");
    assert!(store.mark_if_absent(&mark(3, "E3", at(2)), LATER).await.unwrap());
}

#[tokio::test]
async fn what_is_done_for_now_waits_without_a_cause() {
    let (store, _) = table().await;
    store.mark(&mark(1, "E1", T0), LATER).await.unwrap();
    let item = only(&store).await;
    store.postpone_behind(&item, at(10)).await.unwrap();
    let waiting = only(&store).await;
    assert_eq!((waiting.due_at(), causes(&waiting), waiting.attempts), (Some(at(10)), vec![], 0));
    store.mark(&mark(2, "E2", at(1)), LATER).await.unwrap();
    store.postpone_behind(&waiting, at(20)).await.unwrap();
    assert_eq!((only(&store).await.due_at(), causes(&only(&store).await)), (Some(at(10)), vec!["E2"]));
}

#[tokio::test]
async fn what_is_over_may_be_forgotten() {
    let (store, client) = table().await;
    let expires = async || {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let pk = format!("BEHIND#{}#{}", account(), channel());
        let get = client.get_item().table_name(TABLE).key("pk", text(&pk)).key("sk", text("PINC"));
        get.consistent_read(true).send().await.unwrap().item.unwrap().get("expires_at").cloned()
    };
    store.mark(&Mark { is_over: true, ..mark(1, "E1", T0) }, LATER).await.unwrap();
    assert_eq!(expires().await, Some(AttributeValue::N(LATER.as_second().to_string())));
    store.mark(&mark(2, "E2", T0), LATER).await.unwrap();
    assert_eq!(expires().await, None, "it is open again");
}

#[tokio::test]
async fn whoever_comes_later_is_the_one_whose_word_counts() {
    let (store, _) = table().await;
    let (account, channel) = (account(), channel());
    assert_eq!(store.awake(&account, &channel, T0).await.unwrap(), Awake::Never);
    let (first, state) = store.begin_epoch(&account, &channel).await.unwrap();
    assert_eq!((first, state), (Epoch(1), State::default()));
    let mut noted = State::default();
    noted.wait(HoldKind::Lost, "BotNotInConversationRoster", None, 0.0, T0);
    assert!(store.put_state(&account, &channel, first, &noted).await.unwrap());
    let (second, state) = store.begin_epoch(&account, &channel).await.unwrap();
    assert_eq!((second, &state), (Epoch(2), &noted));
    assert!(!store.put_state(&account, &channel, first, &State::default()).await.unwrap());
    assert_eq!(store.channel_state(&account, &channel).await.unwrap(), noted);

    store.release_channel(&account, &channel).await.unwrap();
    assert_eq!(store.channel_state(&account, &channel).await.unwrap().hold, None::<Hold>);
    assert!(!store.put_state(&account, &channel, second, &noted).await.unwrap(), "who had read of it goes no further");
    store.release_channel(&account, &channel).await.unwrap();
    assert_eq!(
        store.awake(&account, &channel, T0).await.unwrap(),
        Awake::When(Epoch(3)),
        "there was nothing to release"
    );
}

#[tokio::test]
async fn channels_are_listed_apart_from_the_teams_of_an_account() {
    let (store, _) = table().await;
    store.put_team_of_account(&account(), &team()).await.unwrap();
    let other = ChannelId::new("19:other@thread.tacv2").unwrap();
    for channel in [channel(), other.clone(), channel()] {
        store.put_channel_of_account(&account(), &channel).await.unwrap();
    }
    let found: BTreeSet<ChannelId> = store.channels_of_account(&account()).await.unwrap().into_iter().collect();
    assert_eq!(found, BTreeSet::from([channel(), other]));
}

fn record(service_id: &str) -> IncidentRecord {
    let snapshot = Snapshot {
        number: 7,
        title: "DB down".to_owned(),
        status: Status::Triggered,
        urgency: Urgency::High,
        priority: None,
        service: service(service_id),
        escalation_policy: None,
        assignees: Vec::new(),
        html_url: String::new(),
        created_at: None,
        merged_into: None,
    };
    IncidentRecord::from_rest(account(), IncidentId::new("PINC").unwrap(), T0, snapshot, None, Asked::at(T0))
}

fn connection(service: &str) -> Connection {
    Connection {
        account: account(),
        service: ServiceId::new(service).unwrap(),
        service_name: service.to_owned(),
        channel: channel(),
        team: team(),
        tenant: TenantId::new("tenant-1").unwrap(),
        filter: Filter::All,
        zone: domain::zone::Zone::UTC,
        mentions: domain::connection::Mentions::Nobody,
        health: Health::Healthy,
        created_at: T0,
        created_by: None,
    }
}

#[tokio::test]
async fn one_look_tells_everything_of_the_present() {
    let (store, client) = table().await;
    let home = Installation {
        team: team(),
        tenant: TenantId::new("tenant-1").unwrap(),
        team_name: None,
        service_url: ServiceUrl::new("https://smba.trafficmanager.net/amer/").unwrap(),
        account: Some(account()),
        installed_at: T0,
        installer: None,
        removed_at: None,
        connected_at: None,
        added_at: None,
        leaving: None,
    };
    store.change_installation(&team(), |_| Some(home.clone())).await.unwrap();
    for service in ["PSVC", "PMOVED"] {
        store.add_connection(&connection(service)).await.unwrap();
    }
    let stored = store.merge_record(record("PMOVED"), LATER).await.unwrap();
    let key = CardKey { account: account(), incident: stored.record.id.clone(), channel: channel() };
    let card = CardRecord::unposted(channel(), team(), home.tenant.clone());
    store.save_card(&key, &card, None).await.unwrap();
    store.mark(&mark(1, "E1", T0), LATER).await.unwrap();
    let greeting = Mark::message(&connection("PSVC"), Subject::Greeting(service("PSVC").id), None, T0);
    store.mark(&greeting, LATER).await.unwrap();
    let unknown = Mark { subject: Subject::Incident(IncidentId::new("PNEW").unwrap()), ..mark(1, "E2", T0) };
    store.mark(&unknown, LATER).await.unwrap();

    let set = store.behind_set(&account(), &channel()).await.unwrap();
    let looks = store.look_at(&set.iter().collect::<Vec<_>>()).await.unwrap();
    let look_of = |subject: Subject| {
        let index = set.iter().position(|item| item.subject == subject).unwrap();
        looks[index].clone()
    };
    let known = look_of(Subject::Incident(stored.record.id.clone()));
    assert_eq!(known.facts.record, Some((stored.record.clone(), stored.version)));
    assert_eq!(known.facts.card.as_ref(), Some(&card));
    assert_eq!(known.facts.connection, Some(connection("PMOVED")), "of the service where it is now");
    assert_eq!((known.facts.home.as_ref(), known.unreadable), (Some(&home), false));
    let greeted = look_of(Subject::Greeting(service("PSVC").id));
    assert_eq!((greeted.facts.record, greeted.facts.connection), (None, Some(connection("PSVC"))));
    let new = look_of(Subject::Incident(IncidentId::new("PNEW").unwrap()));
    assert_eq!((new.facts.record, new.facts.card), (None, None));

    // What was seen is what is saved over; who was faster is found out.
    let posted =
        CardRecord { activity: Some(ActivityId::new("1").unwrap()), rendered: RecordVersion(1), ..card.clone() };
    assert_eq!(store.save_card_over(&key, &posted, &known.seen, None).await.unwrap(), Saved::Yes);
    let older = CardRecord { rendered: RecordVersion(0), ..posted.clone() };
    assert_eq!(store.save_card_over(&key, &older, &known.seen, None).await.unwrap(), Saved::Overtaken);
    assert_eq!(store.card(&key).await.unwrap(), Some(posted));

    // A card of which nothing can be read may have been posted.
    let broken =
        [("pk", format!("INCIDENT#{}#{}", key.account, key.incident)), ("sk", format!("CARD#{}", key.channel))];
    let broken = broken.map(|(name, value)| (name.to_owned(), AttributeValue::S(value)));
    let put = client.put_item().table_name(TABLE).set_item(Some(broken.into_iter().collect()));
    put.item("data", AttributeValue::Bool(true)).send().await.unwrap();
    let looks = store.look_at(&set.iter().collect::<Vec<_>>()).await.unwrap();
    let card = looks.iter().find_map(|look| look.facts.card.clone()).unwrap();
    assert!(card.activity.is_none() && card.doubt.is_some());
}

#[tokio::test]
async fn a_version_that_never_came_is_reached_all_the_same() {
    let (store, _) = table().await;
    let id = IncidentId::new("PINC").unwrap();
    assert_eq!(store.raise_version(&account(), &id, RecordVersion(3), LATER).await.unwrap(), None);
    let stored = store.merge_record(record("PSVC"), LATER).await.unwrap();
    let raised = store.raise_version(&account(), &id, RecordVersion(3), LATER).await.unwrap();
    assert_eq!(raised, Some(RecordVersion(3)));
    assert_eq!(store.record(&account(), &id).await.unwrap().unwrap().record, stored.record);
    assert_eq!(store.raise_version(&account(), &id, RecordVersion(2), LATER).await.unwrap(), Some(RecordVersion(3)));
}
