//! The store against a real `DynamoDB` wire: access patterns, lost conditions, racing writers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixtures;
mod support;

use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::connection::{Connection, Filter, Health, Installation};
use domain::failure::Class;
use domain::ids::{
    ActivityId, ChannelId, ConversationId, EntraUserId, EventId, IncidentId, PdUserId, PriorityId, ServiceId,
    ServiceUrl, SubscriptionId, TeamId, TenantId,
};
use domain::incident::{
    Happening, IncidentEvent, IncidentRecord, Priority, RecordVersion, ServiceRef, Snapshot, Status, Urgency,
};
use domain::linking::{AccountLink, Purpose, Ticket};
use domain::plan::{CardKey, CardRecord};
use domain::proof::{Number, Standing};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use store::seal::{KeyRing, TokenKey};
use store::{
    Activated, Attempt, AuditEntry, Confirm, LockKey, Once, OnceKey, OpenIncident, PendingLink, PersonalChat, Proof,
    Provisional, RefreshLease, Saved, Store, StoredLink, Subscription, Tokens, Unrefreshed, Via, secret_hash,
};

use crate::fixtures::{LATER, T0, account, at, channel};
use crate::support::{TABLE, table};

fn incident() -> IncidentId {
    IncidentId::new("PINC").unwrap()
}

fn address(url: &str) -> ServiceUrl {
    ServiceUrl::new(url).unwrap()
}

fn tenant() -> TenantId {
    TenantId::new("tenant-1").unwrap()
}

fn user() -> EntraUserId {
    EntraUserId::new("entra-1").unwrap()
}

fn event(number: i64, what: Happening, status: Option<Status>) -> IncidentRecord {
    IncidentRecord::from_event(
        account(),
        IncidentEvent {
            id: EventId::new(format!("E{number}")).unwrap(),
            occurred_at: Some(at(number)),
            incident: incident(),
            by: None,
            snapshot: status.map(|status| Snapshot {
                number: 1,
                title: format!("title {number}"),
                status,
                urgency: Urgency::High,
                priority: Some(Priority { id: PriorityId::new("PPRIO1").ok(), name: "P1".to_owned() }),
                service: ServiceRef { id: ServiceId::new("PSVC").unwrap(), name: "Payments".to_owned() },
                escalation_policy: None,
                assignees: Vec::new(),
                html_url: String::new(),
                created_at: Some(T0),
                merged_into: None,
            }),
            what: Some(what),
        },
        T0,
    )
}

fn note(number: i64) -> IncidentRecord {
    event(number, Happening::Note { content: format!("note {number}") }, None)
}

fn card_key() -> CardKey {
    CardKey { account: account(), incident: incident(), channel: channel() }
}

fn unposted() -> CardRecord {
    CardRecord::unposted(channel(), TeamId::new("19:team@thread.tacv2").unwrap(), tenant())
}

fn ring() -> KeyRing {
    KeyRing::new(vec![TokenKey { id: "k1".to_owned(), key: [7; 32] }]).unwrap()
}

fn link() -> AccountLink {
    AccountLink {
        tenant: tenant(),
        user: user(),
        teams_name: "Ada".to_owned(),
        account: account(),
        pd_user: PdUserId::new("PADA").unwrap(),
        pd_name: "Ada W".to_owned(),
        pd_email: "ada@example.com".to_owned(),
        linked_at: T0,
    }
}

fn tokens(access: &str) -> store::seal::Sealed {
    let tokens = Tokens {
        access: access.to_owned().into(),
        refresh: Some("canary-refresh".to_owned().into()),
        expires_at: at(60),
    };
    tokens.seal(&ring(), &link(), [1; 12]).unwrap()
}

fn ticket() -> Ticket {
    Ticket {
        tenant: tenant(),
        user: user(),
        teams_name: "Ada".to_owned(),
        upn: None,
        purpose: Purpose::Link { account: None, wanted: None },
        conversation: ConversationId::new("a:1chat").unwrap(),
        service_url: address("https://smba.trafficmanager.net/amer/"),
        created_at: T0,
    }
}

fn attempt() -> Attempt {
    let verifier = ring().seal(b"canary-verifier", "canary-state", [2; 12]).unwrap();
    Attempt {
        ticket: Some(secret_hash("canary-ticket")),
        verifier,
        browser: secret_hash("canary-browser"),
        in_teams: false,
        created_at: T0,
    }
}

fn pending(access: &str) -> PendingLink {
    PendingLink {
        ticket: secret_hash("canary-ticket"),
        link: link(),
        tokens: tokens(access),
        browser: secret_hash("canary-browser"),
        in_teams: false,
        created_at: T0,
    }
}

/// What a log-in becomes that is confirmed at `now`.
fn provisional(id: &str, pending: &PendingLink, now: Timestamp) -> Provisional {
    let number = Number::read("012 345").unwrap();
    let proof = Proof { code: "canary-code".to_owned().into(), number };
    Provisional {
        id: id.to_owned(),
        ticket: pending.ticket.clone(),
        asked: ticket(),
        link: pending.link.clone(),
        tokens: Some(pending.tokens.clone()),
        proof: proof.seal(&ring(), &pending.link, id, [3; 12]).unwrap(),
        in_teams: pending.in_teams,
        standing: Standing::Waiting,
        created_at: now,
    }
}

/// A link, made in all its steps but for the ticket.
async fn make_link(store: &Store, pending: &PendingLink, now: Timestamp) -> Activated {
    static LINKS: AtomicU32 = AtomicU32::new(0);
    let waiting = provisional(&format!("id-{}", LINKS.fetch_add(1, Ordering::Relaxed)), pending, now);
    store.put_pending("canary-browser", pending).await.unwrap();
    assert_eq!(store.confirm_link("canary-browser", pending, &waiting, now).await.unwrap(), Confirm::Waits);
    store.activate(&waiting, now).await.unwrap()
}

#[tokio::test]
async fn racing_merges_lose_nothing_and_count_only_real_changes() {
    let (store, _) = table().await;
    let first = store.merge_record(event(0, Happening::Triggered, Some(Status::Triggered)), LATER).await.unwrap();
    assert_eq!(first.version, RecordVersion(1));
    join_all((1..=10).map(|number| store.merge_record(note(number), LATER))).await.into_iter().for_each(|merged| {
        merged.unwrap();
    });
    let stored = store.record(&account(), &incident()).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.record.log.len()), (RecordVersion(11), 11));
    let again = store.merge_record(note(3), LATER).await.unwrap();
    assert_eq!(again, stored, "a redelivery writes nothing");
}

#[tokio::test]
async fn a_priority_is_read_with_its_id_and_also_as_the_version_before_stored_it() {
    let (store, client) = table().await;
    let priority = async || {
        let stored = store.record(&account(), &incident()).await.unwrap().unwrap();
        stored.record.state().unwrap().priority.clone().unwrap()
    };
    store.merge_record(event(0, Happening::Triggered, Some(Status::Triggered)), LATER).await.unwrap();
    assert_eq!(priority().await, Priority { id: PriorityId::new("PPRIO1").ok(), name: "P1".to_owned() });
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let update = client
        .update_item()
        .table_name(TABLE)
        .update_expression("SET #data.#snapshot.#value.priority = :name REMOVE #data.#snapshot.#value.priority_id");
    let update = ["data", "snapshot", "value"]
        .into_iter()
        .fold(update, |update, name| update.expression_attribute_names(format!("#{name}"), name));
    let update = update.key("pk", text("INCIDENT#PACCT#PINC")).key("sk", text("RECORD"));
    update.expression_attribute_values(":name", text("P2")).send().await.unwrap();
    assert_eq!(priority().await, Priority { id: None, name: "P2".to_owned() });
}

#[tokio::test]
async fn an_open_incident_is_indexed_and_a_resolved_one_is_not() {
    let (store, client) = table().await;
    let open = || async {
        let found = client
            .query()
            .table_name(TABLE)
            .index_name("GSI2")
            .key_condition_expression("gsi2pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S("OPEN#PACCT".to_owned()))
            .send();
        found.await.unwrap().count()
    };
    store.merge_record(event(0, Happening::Triggered, Some(Status::Triggered)), LATER).await.unwrap();
    assert_eq!(open().await, 1);
    store
        .merge_record(event(1, Happening::Resolved { merged_into: None }, Some(Status::Resolved)), LATER)
        .await
        .unwrap();
    assert_eq!(open().await, 0);
    store.merge_record(event(2, Happening::Reopened, Some(Status::Triggered)), LATER).await.unwrap();
    assert_eq!(open().await, 1);
}

#[tokio::test]
async fn a_card_does_not_go_back_in_time() {
    let (store, _) = table().await;
    let key = card_key();
    let posted =
        CardRecord { activity: Some(ActivityId::new("17").unwrap()), rendered: RecordVersion(3), ..unposted() };
    assert_eq!(store.save_card(&key, &posted, None).await.unwrap(), Saved::Yes);
    let older = CardRecord { rendered: RecordVersion(2), ..posted.clone() };
    assert_eq!(store.save_card(&key, &older, None).await.unwrap(), Saved::Overtaken);
    assert_eq!(store.card(&key).await.unwrap(), Some(posted));
}

#[tokio::test]
async fn a_partition_is_read_through_all_of_its_pages() {
    let (store, _) = table().await;
    let record = event(0, Happening::Triggered, Some(Status::Triggered));
    store.merge_record(record, LATER).await.unwrap();
    for number in 0..6 {
        let channel = ChannelId::new(format!("19:channel{number}@thread.tacv2")).unwrap();
        // Together more than the 1 MB of one page.
        let key = CardKey { channel: channel.clone(), ..card_key() };
        let card = CardRecord { channel, shown: Some("x".repeat(300_000)), ..unposted() };
        store.save_card(&key, &card, None).await.unwrap();
    }
    let (record, cards) = store.incident_with_cards(&account(), &incident()).await.unwrap();
    assert_eq!((record.is_some(), cards.len()), (true, 6));
}

#[tokio::test]
async fn a_broken_connection_is_news_once() {
    let (store, _) = table().await;
    let connection = Connection {
        account: account(),
        service: ServiceId::new("PSVC").unwrap(),
        service_name: "Payments".to_owned(),
        channel: channel(),
        team: TeamId::new("19:team@thread.tacv2").unwrap(),
        tenant: tenant(),
        filter: Filter::All,
        zone: domain::zone::Zone::UTC,
        mentions: domain::connection::Mentions::Nobody,
        health: Health::Healthy,
        created_at: T0,
        created_by: None,
    };
    assert!(!store.mark_connection_broken(&connection, "gone", T0).await.unwrap(), "not connected at all");
    assert!(store.add_connection(&connection).await.unwrap());
    assert!(!store.add_connection(&connection).await.unwrap(), "once");
    assert_eq!(
        store.connections_of_service(&connection.account, &connection.service).await.unwrap(),
        vec![connection.clone()]
    );
    let marks = join_all((0..5).map(|_| store.mark_connection_broken(&connection, "gone", T0))).await;
    assert_eq!(marks.into_iter().filter(|first| *first.as_ref().unwrap()).count(), 1);
    let stored = store.connection(&connection.key()).await.unwrap().unwrap();
    assert_eq!(stored.health, Health::Broken { reason: "gone".to_owned(), since: T0 });
    assert!(store.mark_connection_healthy(&connection).await.unwrap());
    assert!(!store.mark_connection_healthy(&connection).await.unwrap());
    assert!(store.mark_connection_broken(&connection, "gone again", T0).await.unwrap(), "and may break again");
}

#[tokio::test]
async fn a_service_url_changes_only_for_the_teams_own_tenant() {
    let (store, _) = table().await;
    let team = TeamId::new("19:team@thread.tacv2").unwrap();
    let installed = Installation {
        team: team.clone(),
        tenant: tenant(),
        team_name: None,
        service_url: address("https://old.example.com/"),
        account: Some(account()),
        installed_at: T0,
        installer: None,
        removed_at: None,
        connected_at: None,
        added_at: None,
        leaving: None,
    };
    store.refresh_service_url(&team, &tenant(), &address("https://new.example.com/")).await.unwrap();
    assert_eq!(store.installation(&team).await.unwrap(), None, "an unknown team is not made up");
    store.change_installation(&team, |_| Some(installed.clone())).await.unwrap();
    store
        .refresh_service_url(&team, &TenantId::new("tenant-2").unwrap(), &address("https://evil.example.com/"))
        .await
        .unwrap();
    assert_eq!(store.installation(&team).await.unwrap(), Some(installed.clone()));
    store.refresh_service_url(&team, &tenant(), &address("https://new.example.com/")).await.unwrap();
    let expected = Installation { service_url: address("https://new.example.com/"), ..installed };
    assert_eq!(store.installation(&team).await.unwrap(), Some(expected));
}

#[tokio::test]
async fn fifty_callbacks_redeem_a_state_once_and_never_too_late() {
    let (store, _) = table().await;
    store.put_attempt("canary-state", &attempt()).await.unwrap();
    let calls: Vec<String> = (0..50).map(|call| call.to_string()).collect();
    let takers = join_all(calls.iter().map(|call| store.take_attempt("canary-state", call, at(1)))).await;
    let taken: Vec<Attempt> = takers.into_iter().filter_map(|taken| taken.unwrap()).collect();
    assert_eq!(taken, vec![attempt()]);
    store.put_attempt("late", &attempt()).await.unwrap();
    assert_eq!(store.take_attempt("late", "call", at(600)).await.unwrap(), None);
}

#[tokio::test]
async fn what_expires_is_invisible_from_its_last_second_on() {
    let (store, _) = table().await;
    store.put_ticket("canary-ticket", &ticket()).await.unwrap();
    store.put_pending("canary-browser", &pending("a")).await.unwrap();
    for (second, alive) in [(0, true), (599, true), (600, false), (10_000, false)] {
        assert_eq!(store.ticket("canary-ticket", at(second)).await.unwrap().is_some(), alive, "ticket at {second}");
        assert_eq!(store.pending("canary-browser", at(second)).await.unwrap().is_some(), alive, "log-in at {second}");
    }
    assert_eq!(store.ticket("another", T0).await.unwrap(), None);
}

#[tokio::test]
async fn a_log_in_is_confirmed_once_and_only_with_a_living_ticket() {
    let (store, _) = table().await;
    let shown = pending("a");
    let confirm = async |id: &str, now| {
        store.confirm_link("canary-browser", &shown, &provisional(id, &shown, now), now).await.unwrap()
    };
    store.put_pending("canary-browser", &shown).await.unwrap();
    assert_eq!(confirm("a", T0).await, Confirm::Expired, "there is no ticket");
    assert_eq!(store.provisionals_of(&tenant(), &user(), T0).await.unwrap(), Vec::new());
    store.put_ticket("canary-ticket", &ticket()).await.unwrap();
    assert_eq!(confirm("b", at(600)).await, Confirm::Expired);
    let (one, two) = tokio::join!(confirm("c", at(500)), confirm("d", at(500)));
    let outcomes = [one, two];
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Confirm::Waits).count(), 1, "{outcomes:?}");
    assert_eq!(store.pending("canary-browser", at(500)).await.unwrap(), None);
    assert_eq!(store.links_of(&tenant(), &user()).await.unwrap(), Vec::new(), "nothing is linked yet");
    for (second, waits) in [(1099, true), (1100, false)] {
        assert_eq!(store.waited_for("canary-browser", at(second)).await.unwrap().is_some(), waits, "at {second}");
        assert_eq!(store.ticket("canary-ticket", at(second)).await.unwrap().is_some(), waits, "the ticket at {second}");
    }
    assert_eq!(store.waited_for("another", at(500)).await.unwrap(), None);
}

#[tokio::test]
async fn a_ticket_is_not_prolonged_for_ever() {
    let (store, _) = table().await;
    store.put_ticket("canary-ticket", &ticket()).await.unwrap();
    for (id, second, until) in [("a", 599, 1199), ("b", 1190, 1200)] {
        store.put_pending("canary-browser", &PendingLink { created_at: at(second), ..pending("a") }).await.unwrap();
        let waiting = provisional(id, &pending("a"), at(second));
        store.confirm_link("canary-browser", &pending("a"), &waiting, at(second)).await.unwrap();
        assert!(store.ticket("canary-ticket", at(until - 1)).await.unwrap().is_some(), "{id}");
        assert_eq!(store.ticket("canary-ticket", at(until)).await.unwrap(), None, "{id}");
    }
}

#[tokio::test]
async fn a_proven_log_in_becomes_exactly_one_link() {
    let (store, _) = table().await;
    store.put_ticket("canary-ticket", &ticket()).await.unwrap();
    store.put_pending("canary-browser", &pending("a")).await.unwrap();
    let waiting = provisional("a", &pending("a"), T0);
    store.confirm_link("canary-browser", &pending("a"), &waiting, T0).await.unwrap();
    assert_eq!(store.activate(&waiting, at(600)).await.unwrap(), Activated::Over);
    let (one, two) = tokio::join!(store.activate(&waiting, at(1)), store.activate(&waiting, at(1)));
    let outcomes = [one.unwrap(), two.unwrap()];
    let made = AccountLink { linked_at: at(1), ..link() };
    assert_eq!(
        outcomes.iter().filter(|outcome| **outcome == Activated::Linked(made.clone())).count(),
        1,
        "{outcomes:?}"
    );
    assert_eq!(store.ticket("canary-ticket", T0).await.unwrap(), None);
    let shown = store.waited_for("canary-browser", T0).await.unwrap().unwrap();
    assert_eq!((shown.standing, shown.tokens), (Standing::Linked, None), "for the page; the tokens are in the link");
    let stored = store.link(&tenant(), &user(), &account()).await.unwrap().unwrap();
    let found = store.linked_to(&account(), &tenant(), &stored.link.pd_user).await.unwrap();
    assert_eq!(found, Some(user()));
    let alike = PdUserId::new("P").unwrap();
    assert_eq!(store.linked_to(&account(), &tenant(), &alike).await.unwrap(), None, "a user whose id begins alike");
    let opened = Tokens::open(&ring(), &stored.tokens, &stored.link).unwrap();
    assert_eq!((opened.access.expose_secret(), stored.tokens_version), ("a", 1));
    let other = AccountLink { user: EntraUserId::new("entra-2").unwrap(), ..link() };
    assert!(Tokens::open(&ring(), &stored.tokens, &other).is_err(), "the tokens belong to this person alone");

    store.put_ticket("canary-ticket", &ticket()).await.unwrap();
    make_link(&store, &pending("b"), T0).await;
    let replaced = store.link(&tenant(), &user(), &account()).await.unwrap().unwrap();
    assert_eq!(replaced.tokens_version, 2, "a refresher of the old tokens notices");
}

#[tokio::test]
async fn a_proof_belongs_to_its_log_in_and_may_be_tried_three_times() {
    let (store, _) = table().await;
    store.put_ticket("canary-ticket", &ticket()).await.unwrap();
    store.put_pending("canary-browser", &pending("a")).await.unwrap();
    let waiting = provisional("a", &pending("a"), T0);
    store.confirm_link("canary-browser", &pending("a"), &waiting, T0).await.unwrap();
    assert_eq!(Proof::open(&ring(), &waiting).unwrap().code.expose_secret(), "canary-code");
    for other in [
        Provisional { id: "b".to_owned(), ..waiting.clone() },
        Provisional { link: AccountLink { user: EntraUserId::new("entra-2").unwrap(), ..link() }, ..waiting.clone() },
    ] {
        assert!(Proof::open(&ring(), &other).is_err(), "another log-in");
    }
    let tries = join_all((0..8).map(|_| store.spend_try(&waiting))).await;
    let mut left: Vec<_> = tries.into_iter().filter_map(|left| left.unwrap()).collect();
    left.sort_unstable();
    assert_eq!(left, [0, 1, 2]);
    store.give_up(&waiting).await.unwrap();
    assert_eq!(store.activate(&waiting, T0).await.unwrap(), Activated::Over);
    let over = store.waited_for("canary-browser", T0).await.unwrap().unwrap();
    assert_eq!((over.standing, over.tokens), (Standing::Over, None));
    assert_eq!(store.ticket("canary-ticket", T0).await.unwrap(), None);
}

#[tokio::test]
async fn one_refresher_at_a_time_and_only_its_tokens_are_kept() {
    let (store, _) = table().await;
    store.put_ticket("canary-ticket", &ticket()).await.unwrap();
    make_link(&store, &pending("a"), T0).await;
    let (link, lease) = (link(), SignedDuration::from_secs(10));
    let claim = async |holder, version, now| store.claim_refresh(&link, version, holder, now, lease).await.unwrap();
    let claims = join_all(["a", "b", "c"].map(|holder| claim(holder, 1, T0))).await;
    let won: Vec<RefreshLease> = claims.into_iter().flatten().collect();
    assert_eq!(won.len(), 1);
    // A lease ends.
    let next = claim("d", 1, at(10)).await.unwrap();
    let stale = won.first().unwrap();
    assert_eq!(store.save_tokens(stale, &tokens("stale")).await.unwrap(), Saved::Overtaken);
    assert_eq!(store.save_tokens(&next, &tokens("fresh")).await.unwrap(), Saved::Yes);
    assert_eq!(claim("e", 1, at(20)).await, None, "already refreshed");
    let stored = store.link(&tenant(), &user(), &account()).await.unwrap().unwrap();
    assert_eq!(Tokens::open(&ring(), &stored.tokens, &stored.link).unwrap().access.expose_secret(), "fresh");
    let ghost = claim("f", 2, at(30)).await.unwrap();
    assert_eq!(store.delete_links(&tenant(), &user()).await.unwrap(), vec![link.clone()]);
    assert_eq!(store.delete_links(&tenant(), &user()).await.unwrap(), Vec::new());
    assert_eq!(store.save_tokens(&ghost, &tokens("ghost")).await.unwrap(), Saved::Overtaken, "unlinked stays unlinked");
}

#[tokio::test]
async fn a_refresh_that_was_begun_and_never_ended_is_remembered_until_there_are_new_tokens() {
    let (store, _) = table().await;
    store.put_ticket("canary-ticket", &ticket()).await.unwrap();
    make_link(&store, &pending("a"), T0).await;
    let (link, lease) = (link(), SignedDuration::from_secs(10));
    let claim = async |holder, version, second| {
        store.claim_refresh(&link, version, holder, at(second), lease).await.unwrap().unwrap()
    };
    let first = claim("a", 1, 0).await;
    assert!(!first.repeats());
    store.release_refresh(&first, Unrefreshed::NotDone).await.unwrap();
    let second = claim("b", 1, 1).await;
    assert!(!second.repeats(), "PagerDuty has not done it");
    store.release_refresh(&second, Unrefreshed::Unclear).await.unwrap();
    let third = claim("c", 1, 2).await;
    assert!(third.repeats());
    store.release_refresh(&third, Unrefreshed::NotDone).await.unwrap();
    assert!(claim("d", 1, 3).await.repeats(), "one answer is lost, whatever came afterwards");
    // Its process died, and a lease that runs out says as much as a word of it.
    let late = claim("e", 1, 20).await;
    assert!(late.repeats());
    assert_eq!(store.save_tokens(&late, &tokens("fresh")).await.unwrap(), Saved::Yes);
    assert!(!claim("f", 2, 21).await.repeats(), "of these tokens nothing is known to be lost");
    assert!(claim("g", 2, 40).await.repeats(), "as long as their refresher tells its end");
}

#[tokio::test]
async fn sealing_anew_changes_nothing_but_the_seal() {
    let (store, _) = table().await;
    store.put_ticket("canary-ticket", &ticket()).await.unwrap();
    make_link(&store, &pending("a"), T0).await;
    let (link, lease) = (link(), SignedDuration::from_secs(10));
    let claim =
        async |holder, version, second| store.claim_refresh(&link, version, holder, at(second), lease).await.unwrap();
    let known = async || store.link(&tenant(), &user(), &account()).await.unwrap().unwrap();
    let read = known().await;
    let lost = claim("a", 1, 0).await.unwrap();
    assert!(!store.reseal_tokens(&read, &tokens("anew"), at(1)).await.unwrap(), "somebody refreshes them");
    store.release_refresh(&lost, Unrefreshed::Unclear).await.unwrap();
    assert!(store.reseal_tokens(&read, &tokens("anew"), at(2)).await.unwrap());
    assert_eq!(known().await, StoredLink { tokens: known().await.tokens, ..read.clone() });
    assert_eq!(Tokens::open(&ring(), &known().await.tokens, &link).unwrap().access.expose_secret(), "anew");
    assert_eq!(store.links_of(&tenant(), &user()).await.unwrap().len(), 1);
    let late = claim("b", 1, 3).await.unwrap();
    assert!(late.repeats(), "an answer is still lost");

    // Its lease has run out, and it may still be saved.
    assert!(store.reseal_tokens(&read, &tokens("again"), at(30)).await.unwrap());
    assert_eq!(store.save_tokens(&late, &tokens("fresh")).await.unwrap(), Saved::Yes);
    assert!(!store.reseal_tokens(&read, &tokens("old"), at(31)).await.unwrap(), "there are newer ones");
    store.delete_links(&tenant(), &user()).await.unwrap();
    assert!(
        !store.reseal_tokens(&known_as(&read, 2), &tokens("ghost"), at(32)).await.unwrap(),
        "unlinked stays unlinked"
    );
    assert_eq!(store.link(&tenant(), &user(), &account()).await.unwrap(), None);
}

fn known_as(link: &StoredLink, tokens_version: u64) -> StoredLink {
    StoredLink { tokens_version, ..link.clone() }
}

#[tokio::test]
async fn something_done_once_is_not_done_again() {
    let (store, _) = table().await;
    let (hold, keep) = (SignedDuration::from_secs(20), SignedDuration::from_hours(1));
    let key = OnceKey::Form("k");
    let begin = async |call: &str, now| store.begin_once(key, call, now, hold).await.unwrap();
    let calls: Vec<String> = (0..10).map(|call| call.to_string()).collect();
    let racers = join_all(calls.iter().map(|call| begin(call, T0))).await;
    assert_eq!(racers.into_iter().filter(|turn| *turn == Once::First).count(), 1);
    assert_eq!(begin("a", at(19)).await, Once::InProgress);
    assert_eq!(begin("b", at(20)).await, Once::First, "a crashed flow may be tried again");
    store.finish_once(key, "done", at(21), keep).await.unwrap();
    assert_eq!(begin("c", at(22)).await, Once::Done("done".to_owned()));
    assert_eq!(begin("d", at(21 + 3600)).await, Once::First);
    store.abandon_once(key).await.unwrap();
    assert_eq!(begin("e", at(22)).await, Once::First);
}

#[tokio::test]
async fn subscriptions_and_chats_are_kept() {
    let (store, _) = table().await;
    let subscription = Subscription {
        id: SubscriptionId::new("PWHS").unwrap(),
        account: account(),
        service: ServiceId::new("PSVC").unwrap(),
        secrets: vec![ring().seal(b"s", "PWHS", [3; 12]).unwrap()],
        created_at: T0,
        url: None,
    };
    store.put_subscription(&subscription).await.unwrap();
    assert_eq!(store.subscription(&subscription.id).await.unwrap(), Some(subscription));
    let chat = PersonalChat {
        conversation: ConversationId::new("a:1chat").unwrap(),
        service_url: address("https://smba.trafficmanager.net/amer/"),
        teams_user: None,
    };
    store.put_personal_chat(&tenant(), &user(), &chat).await.unwrap();
    assert_eq!(store.personal_chat(&tenant(), &user()).await.unwrap(), Some(chat));
}

#[tokio::test]
async fn no_secret_is_in_the_table() {
    let (store, client) = table().await;
    store.put_ticket("canary-ticket", &ticket()).await.unwrap();
    store.put_attempt("canary-state", &attempt()).await.unwrap();
    store.put_pending("canary-browser", &pending("canary-access")).await.unwrap();
    let before = format!("{:?}", client.scan().table_name(TABLE).send().await.unwrap());
    let waiting = provisional("a", &pending("canary-access"), T0);
    store.confirm_link("canary-browser", &pending("canary-access"), &waiting, T0).await.unwrap();
    let between = format!("{:?}", client.scan().table_name(TABLE).send().await.unwrap());
    store.activate(&waiting, T0).await.unwrap();
    let after = format!("{:?}", client.scan().table_name(TABLE).send().await.unwrap());
    assert!(between.contains("PROVISIONAL#") && after.contains("LINK#"), "there is something to look at");
    assert!(before.contains("TICKET#") && ![before, between, after].concat().contains("canary"));
}

#[tokio::test]
async fn failures_say_whether_a_retry_can_help() {
    let (store, client) = table().await;
    let strange = [("pk", "INCIDENT#PACCT#PINC"), ("sk", "RECORD"), ("data", "what is this")];
    let put = strange.iter().fold(client.put_item().table_name(TABLE), |put, (name, value)| {
        put.item(*name, AttributeValue::S((*value).to_owned()))
    });
    put.send().await.unwrap();
    assert_eq!(store.record(&account(), &incident()).await.unwrap_err().class(), Class::Bug);
    let huge = CardRecord { shown: Some("x".repeat(500_000)), ..unposted() };
    assert_eq!(store.save_card(&card_key(), &huge, None).await.unwrap_err().class(), Class::Invalid);
    let nowhere = Store::new(support::client("http://127.0.0.1:1"), TABLE.to_owned());
    assert_eq!(nowhere.reachable().await.unwrap_err().class(), Class::Retry { after: None });
}

/// Writes an item as a failure or a foreign hand could leave it behind.
async fn spoil(client: &aws_sdk_dynamodb::Client, sk: &str, version: Option<u64>) {
    let strange = [
        ("pk", "INCIDENT#PACCT#PINC"),
        ("sk", sk),
        ("data", "what is this"),
        ("gsi2pk", if sk == "RECORD" { "OPEN#PACCT" } else { "NOBODY" }),
        ("gsi2sk", "PINC"),
        ("service", "PSVC"),
    ];
    let put = strange.iter().fold(client.put_item().table_name(TABLE), |put, (name, value)| {
        put.item(*name, AttributeValue::S((*value).to_owned()))
    });
    let version = version.map(|version| AttributeValue::N(version.to_string()));
    version.into_iter().fold(put, |put, version| put.item("version", version)).send().await.unwrap();
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_replaced_by_a_version_that_no_card_shows() {
    for (name, version, shown, expected) in [
        ("the version is known", Some(8), 7, 9),
        ("only the card tells how far it was", None, 7, 8),
        ("a card that cannot be read tells nothing", Some(8), 0, 9),
    ] {
        let (store, client) = table().await;
        let card = CardRecord { rendered: RecordVersion(shown), ..unposted() };
        store.save_card(&card_key(), &card, None).await.unwrap();
        if shown == 0 {
            spoil(&client, "CARD#19:incidents@thread.tacv2", Some(1)).await;
        }
        spoil(&client, "RECORD", version).await;
        let (record, cards) = store.incident_with_cards(&account(), &incident()).await.unwrap();
        assert_eq!((record, cards.len()), (None, usize::from(shown > 0)), "{name}");
        let stored = store.merge_record(note(1), LATER).await.unwrap();
        assert_eq!((stored.version, stored.gap), (RecordVersion(expected), true), "{name}");
        assert_eq!(store.open_incidents(&account()).await.unwrap().len(), 1, "{name}: the reconciler finds it");
        let rebuilt = event(2, Happening::Acknowledged, Some(Status::Acknowledged));
        let stored = store.merge_record(rebuilt, LATER).await.unwrap();
        assert_eq!((stored.version, stored.gap), (RecordVersion(expected + 1), false), "{name}");
        assert_eq!(store.record(&account(), &incident()).await.unwrap(), Some(stored), "{name}");
    }
}

#[tokio::test]
async fn a_record_that_has_expired_before_its_card_begins_with_a_version_that_the_card_does_not_show() {
    let (store, _) = table().await;
    let card = CardRecord { rendered: RecordVersion(5), ..unposted() };
    store.save_card(&card_key(), &card, Some(LATER)).await.unwrap();
    let reopened = event(9, Happening::Reopened, Some(Status::Triggered));
    let stored = store.merge_record(reopened, LATER).await.unwrap();
    assert_eq!((stored.version, stored.gap), (RecordVersion(6), false));
}

#[tokio::test]
async fn what_belongs_to_a_resolved_incident_expires_until_the_incident_is_reopened() {
    let (store, client) = table().await;
    let expires = async |sk: &str| {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let get = client.get_item().table_name(TABLE).key("pk", text("INCIDENT#PACCT#PINC")).key("sk", text(sk));
        let item = get.send().await.unwrap().item.unwrap();
        item.get("expires_at").map(|at| at.as_n().unwrap().parse::<i64>().unwrap())
    };
    let resolved = || event(1, Happening::Resolved { merged_into: None }, Some(Status::Resolved));
    let rest = IncidentRecord::empty(account(), incident());
    let later = |seconds| LATER + SignedDuration::from_secs(seconds);
    for (name, observed, at, expected) in [
        ("open", event(0, Happening::Triggered, Some(Status::Triggered)), LATER, None),
        ("resolved", resolved(), LATER, Some(LATER.as_second())),
        ("nothing new", resolved(), later(9), Some(LATER.as_second())),
        ("nothing known", rest, later(9), Some(LATER.as_second())),
        ("a late note", note(2), later(60), Some(later(60).as_second())),
        ("reopened", event(3, Happening::Reopened, Some(Status::Triggered)), later(99), None),
    ] {
        store.merge_record(observed, at).await.unwrap();
        assert_eq!(expires("RECORD").await, expected, "{name}");
    }

    let (key, sk) = (card_key(), "CARD#19:incidents@thread.tacv2");
    store.save_card(&key, &unposted(), Some(LATER)).await.unwrap();
    assert_eq!(expires(sk).await, Some(LATER.as_second()), "also if it was never posted");
    assert!(store.card(&key).await.unwrap().is_some());
    store.save_card(&key, &unposted(), None).await.unwrap();
    assert_eq!(expires(sk).await, None);
}

#[tokio::test]
async fn the_slim_index_knows_status_and_service_and_nothing_else() {
    let (store, client) = table().await;
    store.merge_record(event(0, Happening::Triggered, Some(Status::Triggered)), LATER).await.unwrap();
    let query = client.query().table_name(TABLE).index_name("GSI2").key_condition_expression("gsi2pk = :pk");
    let query = query.expression_attribute_values(":pk", AttributeValue::S("OPEN#PACCT".to_owned()));
    let found = query.send().await.unwrap().items.unwrap();
    let mut names: Vec<_> = found.iter().flat_map(|item| item.keys()).collect();
    names.sort();
    assert_eq!(names, ["gsi2pk", "gsi2sk", "pk", "service", "sk", "status"]);
    let open =
        OpenIncident { id: incident(), service: ServiceId::new("PSVC").unwrap(), status: Some(Status::Triggered) };
    assert_eq!(store.open_incidents(&account()).await.unwrap(), [open]);
}

#[tokio::test]
async fn a_link_that_cannot_be_read_does_not_keep_anybody_from_linking() {
    let (store, client) = table().await;
    store.put_ticket("canary-ticket", &ticket()).await.unwrap();
    let strange = [("pk", "USER#tenant-1#entra-1"), ("sk", "LINK#PACCT"), ("data", "what is this")];
    let put = strange.iter().fold(client.put_item().table_name(TABLE), |put, (name, value)| {
        put.item(*name, AttributeValue::S((*value).to_owned()))
    });
    put.send().await.unwrap();
    assert_eq!(make_link(&store, &pending("canary-access"), T0).await, Activated::Linked(link()));
    assert_eq!(store.links_of(&tenant(), &user()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn ten_changes_of_an_installation_at_once_all_count() {
    let (store, _) = table().await;
    let team = TeamId::new("19:team@thread.tacv2").unwrap();
    let fresh = Installation {
        team: team.clone(),
        tenant: tenant(),
        team_name: Some(String::new()),
        service_url: address("https://smba.trafficmanager.net/amer/"),
        account: None,
        installed_at: T0,
        installer: None,
        removed_at: None,
        connected_at: None,
        added_at: None,
        leaving: None,
    };
    let more = |known: Option<Installation>| {
        let known = known.unwrap_or_else(|| fresh.clone());
        Some(Installation { team_name: known.team_name.map(|name| name + "x"), ..known })
    };
    let changes = join_all((0..5).map(|_| store.change_installation(&team, more))).await;
    assert!(changes.iter().all(Result::is_ok));
    let known = store.installation(&team).await.unwrap().unwrap();
    assert_eq!(known.team_name.as_deref(), Some("xxxxx"));
    assert_eq!(store.installations_of_tenant(&tenant()).await.unwrap(), vec![known]);
    assert_eq!(store.installations_of_tenant(&TenantId::new("other").unwrap()).await.unwrap(), vec![]);
}

#[tokio::test]
async fn the_audit_is_read_newest_first_page_by_page() {
    let (store, _) = table().await;
    let entry = |second: i64| AuditEntry {
        at: at(second),
        who: "Ada".to_owned(),
        via: Via::Page,
        text: format!("did {second}"),
    };
    for second in 1..=5 {
        store.put_audit(&account(), "id", &entry(second), SignedDuration::from_hours(1)).await.unwrap();
    }
    let (first, next) = store.audit(&account(), None, 3, T0).await.unwrap();
    assert_eq!(first, [entry(5), entry(4), entry(3)]);
    let (second, next) = store.audit(&account(), next.as_deref(), 3, T0).await.unwrap();
    assert_eq!((second, next), (vec![entry(2), entry(1)], None));
    let (later, _) = store.audit(&account(), None, 3, at(7200)).await.unwrap();
    assert_eq!(later, [], "an entry that is over is not shown, deleted or not");
}

#[tokio::test]
async fn the_links_of_one_tenant_end_and_no_others() {
    let (store, _) = table().await;
    let elsewhere = AccountLink { tenant: TenantId::new("tenant-2").unwrap(), ..link() };
    for (number, link) in [link(), elsewhere.clone()].into_iter().enumerate() {
        let secret = format!("ticket-{number}");
        store.put_ticket(&secret, &ticket()).await.unwrap();
        let pending = PendingLink { ticket: secret_hash(&secret), link, ..pending("access") };
        assert!(matches!(make_link(&store, &pending, at(1)).await, Activated::Linked(_)));
    }
    assert_eq!(store.delete_links_to(&account(), &tenant()).await.unwrap(), 1);
    assert_eq!(store.links_of(&tenant(), &user()).await.unwrap(), vec![]);
    assert_eq!(store.links_of(&elsewhere.tenant, &user()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn tokens_of_a_link_that_has_ended_do_not_enter_the_next_one() {
    let (store, _) = table().await;
    let link_at = async |name: &str, linked_at: Timestamp| {
        store.put_ticket("canary-ticket", &ticket()).await.unwrap();
        make_link(&store, &pending(name), linked_at).await;
        AccountLink { linked_at, ..link() }
    };
    let ended = link_at("a", T0).await;
    let frozen = store.claim_refresh(&ended, 1, "frozen", T0, SignedDuration::from_secs(10)).await.unwrap().unwrap();
    store.delete_links(&tenant(), &user()).await.unwrap();
    let next = link_at("b", at(5)).await;
    assert_eq!(store.save_tokens(&frozen, &tokens("ghost")).await.unwrap(), Saved::Overtaken);
    let late = store.claim_refresh(&ended, 1, "frozen", at(20), SignedDuration::from_secs(10)).await.unwrap();
    assert_eq!(late, None);
    let stored = store.link(&tenant(), &user(), &account()).await.unwrap().unwrap();
    assert_eq!(stored.link, next);
    assert_eq!(Tokens::open(&ring(), &stored.tokens, &stored.link).unwrap().access.expose_secret(), "b");
}

#[tokio::test]
async fn a_lock_belongs_to_its_holder() {
    let (store, _) = table().await;
    let (hold, key) = (SignedDuration::from_secs(60), LockKey::Reconciler(account()));
    assert!(store.lock(&key, "one", T0, hold).await.unwrap());
    assert!(!store.lock(&key, "two", at(59), hold).await.unwrap());
    assert!(store.lock(&key, "two", at(60), hold).await.unwrap(), "its time is over");
    store.unlock(&key, "one").await.unwrap();
    assert!(!store.lock(&key, "three", at(61), hold).await.unwrap(), "who is late gives nothing back");
    store.unlock(&key, "two").await.unwrap();
    assert!(store.lock(&key, "three", at(61), hold).await.unwrap());
}

#[tokio::test]
async fn what_is_nice_to_know_is_asked_for_so_often_in_a_minute_and_no_more() {
    let (store, _) = table().await;
    let account = account();
    let reserved = join_all((0..60).map(|_| store.reserve_reads(&account, 10, at(30)))).await;
    let granted = reserved.into_iter().filter(|granted| *granted.as_ref().unwrap()).count();
    assert_eq!(granted, 40, "400 requests, whoever asks at the same moment");
    assert!(store.reserve_reads(&account, 10, at(90)).await.unwrap(), "the next minute is another one");
    assert!(!store.reserve_reads(&account, 401, at(150)).await.unwrap());
}

#[tokio::test]
async fn a_place_that_no_key_can_have_is_an_empty_page_and_no_failure() {
    let (store, _) = table().await;
    let entry = AuditEntry { at: T0, who: "Ada".to_owned(), via: Via::Page, text: "did it".to_owned() };
    store.put_audit(&account(), "1", &entry, SignedDuration::from_hours(1)).await.unwrap();
    let day = store::ledger_day(T0);
    for (before, found) in [("", 0), ("z".repeat(1025).as_str(), 0), ("z".repeat(1024).as_str(), 1)] {
        let (entries, next) = store.audit(&account(), Some(before), 10, T0).await.unwrap();
        assert_eq!((entries.len(), next), (found, None), "{}", before.len());
        assert_eq!(store.ledger(&account(), &day, Some(before), 10, T0).await.unwrap().0, []);
    }
    for id in [String::new(), "x".repeat(2000)] {
        assert_eq!(store.wanted(&tenant(), &user(), &id, T0).await.unwrap(), None);
    }
}
