//! Items of a newer version and of the version before, as they lie in the table. What is kept of each is written down here; what
//! the files hold besides is what this version does not know.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixtures;
mod support;

use std::collections::HashMap;
use std::path::Path;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::behind::Rank;
use domain::cause::Occasion;
use domain::channel::{Epoch, HoldKind};
use domain::connection::{ChannelKind, Connection, ConnectionKey, DeliveryOutcome, Filter, Health, Installation};
use domain::deed::Deed;
use domain::ids::{
    ActivityId, EntraUserId, EventId, IncidentId, PdUserId, PriorityId, ServiceId, SubscriptionId, TeamId, TenantId,
};
use domain::incident::{
    Actor, Happening, IncidentEvent, IncidentRecord, Priority, RecordVersion, ServiceRef, Snapshot, Status, Urgency,
};
use domain::ledger::Progress;
use domain::linking::{Purpose, Ticket, Wanted, WantedAction};
use domain::permission::Rank as Role;
use domain::plan::{CardKey, CardRecord, Doubt};
use domain::proof::Standing;
use domain::round::Round;
use jiff::{SignedDuration, Timestamp};
use store::{Held, Once, OnceKey, OpenIncident, Saved, Store, Via, secret_hash};

use crate::fixtures::{LATER, T0, account, at, channel};
use crate::support::{TABLE, table};

type Attributes = HashMap<String, AttributeValue>;

/// A table with all items of a folder.
async fn golden(folder: &str) -> (Store, aws_sdk_dynamodb::Client) {
    let (store, client) = table().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    for file in std::fs::read_dir(folder).unwrap() {
        let json = std::fs::read(file.unwrap().path()).unwrap();
        let item: Attributes =
            serde_dynamo::to_item(serde_json::from_slice::<serde_json::Value>(&json).unwrap()).unwrap();
        client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    }
    (store, client)
}

async fn item(client: &aws_sdk_dynamodb::Client, pk: &str, sk: &str) -> Attributes {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let get = client.get_item().table_name(TABLE).key("pk", text(pk)).key("sk", text(sk)).consistent_read(true);
    get.send().await.unwrap().item.unwrap()
}

/// A part of an item's data.
fn part<'a>(item: &'a Attributes, path: &[&str]) -> Option<&'a AttributeValue> {
    path.iter().try_fold(item.get("data")?, |value, name| value.as_m().ok()?.get(*name))
}

fn incident(id: &str) -> IncidentId {
    IncidentId::new(id).unwrap()
}

fn team() -> TeamId {
    TeamId::new("19:team@thread.tacv2").unwrap()
}

fn tenant() -> TenantId {
    TenantId::new("tenant-1").unwrap()
}

fn user() -> EntraUserId {
    EntraUserId::new("entra-1").unwrap()
}

fn service() -> ServiceId {
    ServiceId::new("PSVC").unwrap()
}

fn connection_key() -> ConnectionKey {
    ConnectionKey { account: account(), service: service(), channel: channel() }
}

fn card_key(id: &str) -> CardKey {
    CardKey { account: account(), incident: incident(id), channel: channel() }
}

fn ada() -> Actor {
    Actor { user: PdUserId::new("PADA").ok(), name: "Ada".to_owned() }
}

fn snapshot(status: Status) -> Snapshot {
    Snapshot {
        number: 12,
        title: "DB down".to_owned(),
        status,
        urgency: Urgency::High,
        priority: None,
        service: ServiceRef { id: service(), name: "Payments".to_owned() },
        escalation_policy: None,
        assignees: vec![ada()],
        html_url: "https://acme.pagerduty.com/incidents/PINC".to_owned(),
        created_at: None,
        merged_into: None,
    }
}

fn event(incident: &str, id: &str, second: i64, what: Happening, snapshot: Option<Snapshot>) -> IncidentRecord {
    let (id, incident) = (EventId::new(id).unwrap(), self::incident(incident));
    let by = Some(ada());
    IncidentRecord::from_event(
        account(),
        IncidentEvent { id, occurred_at: Some(at(second)), incident, by, snapshot, what: Some(what) },
        at(second),
    )
}

fn note(incident: &str, second: i64) -> IncidentRecord {
    event(incident, &format!("N{second}"), second, Happening::Note { content: "looking".to_owned() }, None)
}

fn log(record: &IncidentRecord) -> Vec<&str> {
    record.log.iter().map(|entry| entry.id.as_str()).collect()
}

fn card(activity: Option<&str>) -> CardRecord {
    CardRecord {
        activity: activity.map(|id| ActivityId::new(id).unwrap()),
        rendered: RecordVersion(7),
        announced: ["E1", "E2"].map(|id| EventId::new(id).unwrap()).into(),
        ..CardRecord::unposted(channel(), team(), tenant())
    }
}

#[tokio::test]
async fn of_a_newer_record_only_the_unknown_parts_are_dropped() {
    let (store, client) = golden("newer").await;
    let stored = store.record(&account(), &incident("PINC")).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.gap), (RecordVersion(7), false));
    assert_eq!(stored.record.state(), Some(&snapshot(Status::Acknowledged)), "an unknown urgency is a high one");
    assert_eq!(stored.record.in_status_since(), Some((at(2), None)));
    assert_eq!(log(&stored.record), ["E1", "E2", "E5"]);

    let before = item(&client, "INCIDENT#PACCT#PINC", "RECORD").await;
    let merged = store.merge_record(note("PINC", 6), LATER).await.unwrap();
    assert_eq!((merged.version, log(&merged.record)), (RecordVersion(8), vec!["E1", "E2", "E5", "N6"]));
    let after = item(&client, "INCIDENT#PACCT#PINC", "RECORD").await;
    for kept in ["snapshot", "status_change", "from_the_future"] {
        assert_eq!(part(&after, &[kept]), part(&before, &[kept]), "nobody has changed {kept}");
    }
}

#[tokio::test]
async fn a_state_in_an_unknown_status_is_a_gap_until_the_next_one_comes() {
    let (store, client) = golden("newer").await;
    let id = "PSNOOZED";
    let stored = store.record(&account(), &incident(id)).await.unwrap().unwrap();
    assert_eq!((stored.record.state(), stored.record.in_status_since(), stored.gap), (None, None, true));
    assert_eq!(log(&stored.record), ["E1"]);

    let before = item(&client, "INCIDENT#PACCT#PSNOOZED", "RECORD").await;
    let noted = store.merge_record(note(id, 6), LATER).await.unwrap();
    assert_eq!((noted.version, noted.gap), (RecordVersion(5), true));
    let after = item(&client, "INCIDENT#PACCT#PSNOOZED", "RECORD").await;
    assert_eq!(part(&after, &["snapshot"]), part(&before, &["snapshot"]), "what cannot be read is not destroyed");
    assert!(!after.contains_key("expires_at"));
    let open = OpenIncident { id: incident(id), service: service(), status: None };
    assert!(store.open_incidents(&account()).await.unwrap().contains(&open), "open still");

    let acknowledged = event(id, "E9", 9, Happening::Acknowledged, Some(snapshot(Status::Acknowledged)));
    assert!(store.merge_record(acknowledged, LATER).await.unwrap().gap, "what was stored may be newer");
    let stored = store.record(&account(), &incident(id)).await.unwrap().unwrap();
    assert_eq!((stored.record.state(), stored.gap), (Some(&snapshot(Status::Acknowledged)), false));
    let open = OpenIncident { status: Some(Status::Acknowledged), ..open };
    assert!(store.open_incidents(&account()).await.unwrap().contains(&open));
}

#[tokio::test]
async fn a_newer_card_keeps_its_message_and_loses_what_is_not_known() {
    let (store, client) = golden("newer").await;
    let key = card_key("PINC");
    assert_eq!(store.card(&key).await.unwrap(), Some(card(Some("1700"))));
    let shown = CardRecord { rendered: RecordVersion(8), ..card(Some("1700")) };
    assert_eq!(store.save_card(&key, &shown, None).await.unwrap(), Saved::Yes);
    let after = item(&client, "INCIDENT#PACCT#PINC", "CARD#19:incidents@thread.tacv2").await;
    assert!(part(&after, &["from_the_future"]).is_some());
    assert!(part(&after, &["possible_doubles", "certain"]).is_some());

    let claimed = store.card(&card_key("PCLAIMED")).await.unwrap().unwrap();
    let in_doubt = Some(Doubt { since: Timestamp::UNIX_EPOCH });
    assert_eq!((claimed.activity, claimed.doubt), (None, in_doubt), "somebody may have posted it");
}

#[tokio::test]
async fn a_card_whose_message_cannot_be_read_is_never_taken_for_one_that_was_not_posted() {
    let (store, _) = golden("newer").await;
    let key = card_key("PLOST");
    assert!(store.card(&key).await.unwrap_err().is_unreadable());
    assert_eq!(store.incident_with_cards(&account(), &incident("PLOST")).await.unwrap(), (None, vec![]));
    let in_doubt = CardRecord::in_doubt(channel(), team(), tenant());
    let saved = store.save_card(&key, &in_doubt, None).await.unwrap();
    assert_eq!(saved, Saved::Yes);
    let posted = CardRecord { possible_doubles: 1, doubt: None, ..card(Some("1800")) };
    assert_eq!(store.save_card(&key, &posted, None).await.unwrap(), Saved::Yes);
    assert_eq!(store.card(&key).await.unwrap(), Some(posted));
}

#[tokio::test]
async fn a_newer_connection_lets_everything_pass_and_its_rule_survives() {
    let (store, client) = golden("newer").await;
    let known = store.connection(&connection_key()).await.unwrap().unwrap();
    assert_eq!((known.filter, &known.health, &known.created_by), (Filter::All, &Health::Healthy, &None));
    assert_eq!(store.connections_of_service(&account(), &service()).await.unwrap(), vec![known.clone()]);
    assert_eq!(store.connections_of_team(&team()).await.unwrap(), vec![known.clone()]);
    assert!(store.mark_connection_broken(&known, "gone", T0).await.unwrap());
    let after = item(&client, "SERVICE#PACCT#PSVC", "CONNECTION#19:incidents@thread.tacv2").await;
    assert!(part(&after, &["filter", "priorities"]).is_some(), "{after:?}");
    assert!(part(&after, &["from_the_future"]).is_some());
    assert!(matches!(store.connection(&connection_key()).await.unwrap().unwrap().health, Health::Broken { .. }));
    let delivery = store.last_delivery(&connection_key()).await.unwrap().unwrap();
    assert_eq!((delivery.at, delivery.outcome, delivery.reason), (T0, DeliveryOutcome::Other, None));
}

#[tokio::test]
async fn newer_teams_channels_and_accounts_are_read() {
    let (store, client) = golden("newer").await;
    let known = store.channel(&team(), &channel()).await.unwrap().unwrap();
    assert_eq!((known.name.as_deref(), known.kind, known.deleted), (None, ChannelKind::Private, false));
    assert_eq!(store.channels_of_team(&team()).await.unwrap(), [known]);
    let known = store.installation(&team()).await.unwrap().unwrap();
    assert_eq!(
        (&known.account, &known.team_name, &known.installer, &known.connected_at),
        (&Some(account()), &None, &None, &None)
    );
    assert_eq!(
        store.teams_of_account(&account()).await.unwrap(),
        vec![known.clone()],
        "the unreadable one hides no other"
    );
    assert_eq!(store.installations_of_tenant(&tenant()).await.unwrap(), [known]);
    let removed = |known: Option<Installation>| Some(Installation { removed_at: Some(T0), ..known? });
    store.change_installation(&team(), removed).await.unwrap();
    let after = item(&client, "TEAM#19:team@thread.tacv2", "INSTALLATION").await;
    assert!(part(&after, &["connected_at", "by"]).is_some() && part(&after, &["from_the_future"]).is_some());
    assert_eq!(store.installation(&team()).await.unwrap().unwrap().removed_at, Some(T0));
    assert_eq!(store.account(&account()).await.unwrap().unwrap().subdomain, "acme");
    assert_eq!(store.round(&account()).await.unwrap(), None, "a round that cannot be read begins anew");
}

#[tokio::test]
async fn newer_lines_of_ledger_and_audit_are_shown_without_what_is_not_known() {
    let (store, _) = golden("newer").await;
    let (lines, next) = store.ledger(&account(), "2026-11-23", None, 9, T0).await.unwrap();
    let line = lines.first().map(|(line, _)| line).unwrap();
    assert_eq!((lines.len(), next), (1, None), "one of two");
    assert_eq!((line.progress, line.occasion, &line.why), (Progress::Other, Occasion::Other, &None));
    assert_eq!((line.number, line.attempts, line.cause.as_str()), (None, 0, "E1"));
    let (none, next) = store.ledger(&account(), "2026-11-23", None, 1, T0).await.unwrap();
    assert_eq!((none.len(), next.as_deref()), (0, Some("2026-11-23T09:00:01.000000000Z#b")), "the search goes on");

    let (entries, _) = store.audit(&account(), None, 9, T0).await.unwrap();
    let told: Vec<_> = entries.iter().map(|entry| (entry.who.as_str(), entry.via, entry.text.as_str())).collect();
    assert_eq!(told, [("Ada", Via::System, "connected Payments")]);
}

#[tokio::test]
async fn what_a_newer_version_lets_people_do_gives_nobody_more_here() {
    let (store, _) = golden("newer").await;
    let session = store.session("cookie", T0).await.unwrap().unwrap();
    assert_eq!((session.admin.rank, session.last_seen()), (Role::Member, session.checked_at));
    let ticket = async |secret| store.ticket(secret, T0).await.unwrap().map(|ticket| ticket.purpose);
    let link = |wanted| Some(Purpose::Link { account: Some(account()), wanted });
    assert_eq!(ticket("ticket").await, link(Some(acknowledge())));
    assert_eq!(ticket("ticket-deed").await, link(None));
    assert_eq!(ticket("ticket-wish").await, link(None));
    assert_eq!(ticket("ticket-purpose").await, None);
    assert_eq!(store.wanted(&tenant(), &user(), "w1", T0).await.unwrap(), Some(acknowledge()));
    assert_eq!(store.wanted(&tenant(), &user(), "w2", T0).await.unwrap(), None);
    let once = store.begin_once(OnceKey::Form("digest"), "call", T0, SignedDuration::from_secs(20)).await.unwrap();
    assert_eq!(once, Once::InProgress, "what may have been done is not done again");

    let pending = store.pending_authorization("browser", T0).await.unwrap().unwrap();
    assert_eq!((pending.admin.rank, pending.account.subdomain.as_str()), (Role::Member, "acme"));
    assert_eq!(store.authorization_key("key", T0).await.unwrap().unwrap().team, team());
    let renewal = store.take_renewal("renewal", T0).await.unwrap().unwrap();
    assert_eq!(renewal.purpose, Purpose::Authorize { team: team(), installed_at: T0 });
    let attempt = store.take_attempt("state", "call", T0).await.unwrap().unwrap();
    assert_eq!(attempt.ticket, Some(secret_hash("ticket")));
    assert_eq!(store.pending("browser", T0).await.unwrap().unwrap().link.pd_name, "Ada W");
    let known = store.provisionals_of(&tenant(), &user(), T0).await.unwrap();
    let standing: Vec<_> = known.iter().map(|known| (known.id.as_str(), known.standing, known.in_teams)).collect();
    assert_eq!(standing, [("p1", Standing::Waiting, true), ("p2", Standing::Over, true)]);
    assert_eq!(store.waited_for("browser", T0).await.unwrap().unwrap().id, "p1");
}

fn acknowledge() -> WantedAction {
    let what =
        Wanted::Click { account: account(), incident: incident("PINC"), channel: channel(), deed: Deed::Acknowledge };
    WantedAction { title: "#12 DB down".to_owned(), what }
}

#[tokio::test]
async fn newer_links_and_subscriptions_are_read_and_the_unreadable_ones_end_with_the_others() {
    let (store, client) = golden("newer").await;
    let links = store.links_of(&tenant(), &user()).await.unwrap();
    assert_eq!(links.iter().map(|known| known.link.account.as_str()).collect::<Vec<_>>(), ["PACCT"]);
    assert!(store.personal_chat(&tenant(), &user()).await.unwrap().is_some());
    assert_eq!(store.delete_links(&tenant(), &user()).await.unwrap().len(), 1);
    let left = client.query().table_name(TABLE).key_condition_expression("pk = :pk AND begins_with(sk, :sk)");
    let left = left.expression_attribute_values(":pk", AttributeValue::S("USER#tenant-1#entra-1".to_owned()));
    let left = left.expression_attribute_values(":sk", AttributeValue::S("LINK#".to_owned())).send().await.unwrap();
    assert_eq!(left.count(), 0, "no token stays behind");

    let known = store.subscription_of_service(&account(), &service()).await.unwrap().unwrap();
    assert_eq!(store.subscriptions_of_account(&account()).await.unwrap(), [known]);
    let odd = (ServiceId::new("PODD").unwrap(), SubscriptionId::new("PODD").unwrap());
    assert_eq!(
        store.subscription_of_service(&account(), &odd.0).await.unwrap(),
        None,
        "the reconciler makes a new one"
    );
    assert!(
        store.subscription(&odd.1).await.unwrap_err().is_unreadable(),
        "and PagerDuty is not told that we do not know it"
    );
}

#[tokio::test]
async fn everything_of_the_version_before_is_read_whole() {
    let (store, client) = golden("before").await;
    let stored = store.record(&account(), &incident("PINC")).await.unwrap().unwrap();
    let state = Snapshot {
        priority: Some(Priority { id: None, name: "P1".to_owned() }),
        escalation_policy: Some("Default".to_owned()),
        created_at: Some(T0),
        ..snapshot(Status::Acknowledged)
    };
    assert_eq!((stored.record.state(), stored.gap), (Some(&state), false));
    assert_eq!(stored.record.in_status_since(), Some((at(2), Some(&ada()))));
    assert_eq!(log(&stored.record), ["E1", "E2"]);
    assert_eq!(store.open_incidents(&account()).await.unwrap(), [], "in the old index only, until it is written");
    let listed = store.merge_record(stored.record.clone(), LATER).await.unwrap();
    assert_eq!(
        (stored.unlisted, listed.unlisted, listed.version),
        (true, false, stored.version),
        "nothing was learned"
    );
    assert_eq!(store.open_incidents(&account()).await.unwrap().len(), 1);
    let with_id =
        Snapshot { priority: Some(Priority { id: PriorityId::new("PPRIO").ok(), name: "P1".to_owned() }), ..state };
    let reassigned =
        event("PINC", "E3", 3, Happening::Reassigned { to: vec!["Ben".to_owned()] }, Some(with_id.clone()));
    let merged = store.merge_record(reassigned, LATER).await.unwrap();
    assert_eq!((merged.version, merged.record.state()), (RecordVersion(8), Some(&with_id)));
    let open = OpenIncident { id: incident("PINC"), service: service(), status: Some(Status::Acknowledged) };
    assert_eq!(store.open_incidents(&account()).await.unwrap(), [open]);
    let after = item(&client, "INCIDENT#PACCT#PINC", "RECORD").await;
    assert_eq!(after.get("schema"), Some(&AttributeValue::N("2".to_owned())));
    assert_eq!(after.get("gsi1pk"), None, "and not in the old one any more");

    let shown = CardRecord {
        shown: Some("digest".to_owned()),
        announced_status_at: Some(at(2)),
        possible_doubles: 1,
        ..card(Some("1700"))
    };
    assert_eq!(store.card(&card_key("PINC")).await.unwrap(), Some(shown));
    let broken = Health::Broken { reason: "gone".to_owned(), since: T0 };
    let Connection { filter, health, created_by, .. } = store.connection(&connection_key()).await.unwrap().unwrap();
    assert_eq!((filter, health, created_by), (Filter::HighUrgency, broken, None));
    let delivery = store.last_delivery(&connection_key()).await.unwrap().unwrap();
    assert_eq!(delivery.outcome, DeliveryOutcome::Edited);
    let installation = store.installation(&team()).await.unwrap().unwrap();
    assert_eq!((installation.account, installation.added_at), (Some(account()), None));
    assert_eq!(store.channel(&team(), &channel()).await.unwrap().unwrap().kind, ChannelKind::Private);
    assert_eq!(store.round(&account()).await.unwrap(), Some(Round::first(T0)));
    let (lines, _) = store.ledger(&account(), "2026-11-23", None, 9, T0).await.unwrap();
    let told = lines.iter().map(|(line, _)| (line.occasion, line.progress)).collect::<Vec<_>>();
    assert_eq!(told, [(Occasion::Restored, Progress::Coalesced)]);
    assert_eq!(store.audit(&account(), None, 9, T0).await.unwrap().0.first().unwrap().via, Via::Teams);
    let session = store.session("cookie", T0).await.unwrap().unwrap();
    assert_eq!((session.admin.rank, session.seen_at, session.last_seen()), (Role::Admin, None, session.checked_at));
    let Ticket { purpose, .. } = store.ticket("ticket", T0).await.unwrap().unwrap();
    let Purpose::Link { wanted: Some(WantedAction { what: Wanted::Click { deed, .. }, .. }), .. } = purpose else {
        unreachable!("{purpose:?}")
    };
    assert_eq!(deed, Deed::AddNote { text: "on it".to_owned() });
    assert_eq!(store.wanted(&tenant(), &user(), "w1", T0).await.unwrap(), Some(acknowledge()));
    assert_eq!(store.links_of(&tenant(), &user()).await.unwrap().len(), 1);
    assert_eq!(store.personal_chat(&tenant(), &user()).await.unwrap().unwrap().teams_user, None);
    assert_eq!(store.pending_authorization("browser", T0).await.unwrap().unwrap().admin.rank, Role::Admin);
    assert_eq!(store.take_attempt("state", "call", T0).await.unwrap().unwrap().ticket, None);
    assert_eq!(store.pending("browser", T0).await.unwrap().unwrap().link.pd_name, "Ada W");
    let once = store.begin_once(OnceKey::Form("digest"), "call", T0, SignedDuration::from_secs(20)).await.unwrap();
    assert_eq!(once, Once::Done("PINC".to_owned()));
    assert_eq!(store.subscription_of_service(&account(), &service()).await.unwrap().unwrap().url, None);
}

#[tokio::test]
async fn what_a_newer_version_left_unfinished_is_finished() {
    let (store, client) = golden("newer").await;
    let set = store.behind_set(&account(), &channel()).await.unwrap();
    assert_eq!(set.len(), 1, "what is of an unknown kind is left for who knows it");
    let known = &set[0];
    assert_eq!((known.seq, known.wanted, known.attempts, known.not_before), (4, RecordVersion(9), 2, None));
    assert_eq!((known.marked.rank, known.marked.by.as_deref(), known.why.as_deref()), (Rank::High, None, None));
    let causes: Vec<_> = known.causes.iter().map(|cause| (cause.id.as_str(), cause.occasion)).collect();
    assert_eq!(causes, [("E1", Occasion::Other)]);
    store.hold_behind(known, &Held::Until(None), "Throttled").await.unwrap();
    let after = item(&client, "BEHIND#PACCT#19:incidents@thread.tacv2", "PINC").await;
    assert!(part(&after, &["from_the_future"]).is_some() && after.contains_key("storm"));

    let (epoch, state) = store.begin_epoch(&account(), &channel()).await.unwrap();
    let hold = state.hold.unwrap();
    assert_eq!((epoch, hold.tries, hold.kind), (Epoch(8), 0, HoldKind::Busy));
    assert_eq!(state.in_flight.iter().map(|flying| &flying.subject).collect::<Vec<_>>(), [&known.subject]);
    assert_eq!(state.suspects, []);
}
