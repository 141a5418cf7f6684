use proptest::prelude::*;
use serde_json::json;

use super::*;

const BOT: &str = "28:2d4c17a6-0000-4000-8000-00000000b077";
const KIM: &str = "29:1kim";
const CHANNEL: &str = "19:incidents@thread.tacv2";
const TEAM: &str = "19:general@thread.tacv2";

fn tenant() -> TenantId {
    TenantId::new("tenant-1").unwrap()
}

fn read(document: &Value) -> Option<Activity> {
    Activity::read(document, tenant())
}

/// `fields` laid over what every activity in a channel has.
fn in_channel(fields: &Value) -> Value {
    let mut document = json!({
        "id": "f:1",
        "timestamp": "2026-11-23T09:00:00.000Z",
        "channelId": "msteams",
        "serviceUrl": "https://smba.trafficmanager.net/amer/",
        "from": { "id": KIM, "aadObjectId": "00000000-0000-4000-8000-000000000001" },
        "recipient": { "id": BOT, "name": "PagerDuty" },
        "conversation": { "id": format!("{CHANNEL};messageid=1793437200000"), "conversationType": "channel",
            "isGroup": true, "tenantId": "tenant-1" },
        "channelData": { "team": { "id": TEAM }, "channel": { "id": CHANNEL }, "tenant": { "id": "tenant-1" } },
        "locale": "en-US",
        "localTimezone": "Europe/Berlin",
    });
    for (name, value) in fields.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

fn inbound(fields: &Value) -> Inbound {
    read(&in_channel(fields)).unwrap().inbound()
}

fn person(id: &str) -> Person {
    Person { id: TeamsUserId::new(id).unwrap(), name: None, entra: None }
}

#[test]
fn a_mention_in_a_channel_is_read_as_a_whole() {
    let activity = read(&in_channel(&json!({
        "type": "message",
        "id": "1793437200123",
        "from": { "id": KIM, "name": "Kim", "aadObjectId": "00000000-0000-4000-8000-000000000001" },
        "text": "<at>PagerDuty</at> help <at>PagerDuty</at>",
        "entities": [
            { "type": "clientInfo", "locale": "en-US" },
            { "type": "mention", "text": "<at>PagerDuty</at>", "mentioned": { "id": BOT, "name": "PagerDuty" } },
            { "type": "mention", "text": "<at>PagerDuty</at>", "mentioned": { "id": "29:2", "name": "PagerDuty" } },
        ],
        "attachments": [{ "contentType": "text/html", "content": "<div>help</div>" }],
    })))
    .unwrap();
    let expected = Activity {
        id: ActivityId::new("1793437200123").unwrap(),
        kind: ActivityKind::Message,
        timestamp: Some("2026-11-23T09:00:00Z".parse().unwrap()),
        service_url: ServiceUrl::new("https://smba.trafficmanager.net/amer/").unwrap(),
        channel_id: "msteams".to_owned(),
        from: Some(Person {
            id: TeamsUserId::new(KIM).unwrap(),
            name: Some("Kim".to_owned()),
            entra: Some(EntraUserId::new("00000000-0000-4000-8000-000000000001").unwrap()),
        }),
        recipient: Some(Person { name: Some("PagerDuty".to_owned()), ..person(BOT) }),
        conversation: Conversation {
            id: ConversationId::new(format!("{CHANNEL};messageid=1793437200000")).unwrap(),
            kind: ConversationKind::Channel,
            tenant: Some(tenant()),
        },
        tenant: tenant(),
        team: Some(TeamRef { id: TeamId::new(TEAM).unwrap(), name: None }),
        channel: Some(ChannelRef { id: ChannelId::new(CHANNEL).unwrap(), name: None }),
        selected_channel: None,
        reply_to: None,
        text: "<at>PagerDuty</at> help <at>PagerDuty</at>".to_owned(),
        value: Value::Null,
        name: None,
        action: None,
        event_type: None,
        members_added: vec![],
        members_removed: vec![],
        zone: Some("Europe/Berlin".to_owned()),
        mentions: vec![
            Mention { id: TeamsUserId::new(BOT).unwrap(), text: "<at>PagerDuty</at>".to_owned() },
            Mention { id: TeamsUserId::new("29:2").unwrap(), text: "<at>PagerDuty</at>".to_owned() },
        ],
    };
    assert_eq!(activity, expected);
    assert_eq!(activity.channel_of(), Some(ChannelId::new(CHANNEL).unwrap()));
    assert_eq!(activity.inbound(), Inbound::Message { text: "help <at>PagerDuty</at>".to_owned(), value: None });
}

#[test]
fn every_kind_of_activity_is_recognised() {
    let click = |action: Value, trigger: Value| {
        json!({ "type": "invoke", "name": "adaptiveCard/action", "replyToId": "1793437200000",
            "value": { "action": action, "trigger": trigger } })
    };
    let clicked = |verb: &str, action: Value, trigger_automatic| {
        let card = Some(ActivityId::new("1793437200000").unwrap());
        Inbound::Click(Click { action, verb: verb.to_owned(), trigger_automatic, card })
    };
    let unread_click = Inbound::OtherInvoke { name: "adaptiveCard/action".to_owned() };
    let message = |text: &str, value| Inbound::Message { text: text.to_owned(), value };
    let update = |event: &str| Inbound::ConversationUpdate { event_type: event.to_owned() };
    let installation = |action: &str| json!({ "type": "installationUpdate", "action": action });
    for (fields, expected) in [
        (json!({ "type": "message", "text": "a&amp;b" }), message("a&b", None)),
        (json!({ "type": "message" }), message("", None)),
        (
            json!({ "type": "message", "value": { "incident": "PINC1" } }),
            message("", Some(json!({ "incident": "PINC1" }))),
        ),
        (
            json!({ "type": "message", "text": "<at>Bot</at> help",
                "entities": [{ "type": "mention", "mentioned": { "id": BOT, "name": "Bot" } }] }),
            message("help", None),
        ),
        (
            json!({ "type": "message", "text": "<at>Bot</at> help",
                "entities": [{ "type": "mention", "mentioned": { "id": "28:other", "name": "Bot" } }] }),
            message("<at>Bot</at> help", None),
        ),
        (
            click(
                json!({ "type": "Action.Execute", "title": "Resolve", "verb": "resolve", "data": { "v": 1 } }),
                json!("manual"),
            ),
            clicked("resolve", json!({ "v": 1 }), false),
        ),
        (
            click(
                json!({ "type": "Action.Execute", "id": "b", "verb": "refresh", "data": { "v": 1 } }),
                json!("automatic"),
            ),
            clicked("refresh", json!({ "v": 1 }), true),
        ),
        (click(json!({ "type": "Action.Execute", "verb": "ack" }), Value::Null), clicked("ack", Value::Null, false)),
        (click(json!({ "type": "Action.Submit", "verb": "ack" }), Value::Null), unread_click.clone()),
        (click(json!({ "type": "Action.Execute" }), Value::Null), unread_click.clone()),
        (click(json!("ack"), Value::Null), unread_click.clone()),
        (json!({ "type": "invoke", "name": "adaptiveCard/action" }), unread_click),
        (
            json!({ "type": "invoke", "name": "task/fetch", "value": { "data": { "d": 1 }, "context": {} } }),
            Inbound::TaskFetch { data: json!({ "d": 1 }) },
        ),
        (
            json!({ "type": "invoke", "name": "task/submit", "value": { "data": { "note": "x" } } }),
            Inbound::TaskSubmit { data: json!({ "note": "x" }) },
        ),
        (
            json!({ "type": "invoke", "name": "signin/verifyState", "value": { "state": "1" } }),
            Inbound::SignIn { state: "1".to_owned() },
        ),
        (
            json!({ "type": "invoke", "name": "signin/verifyState", "value": { "state": 1 } }),
            Inbound::SignIn { state: String::new() },
        ),
        (
            json!({ "type": "invoke", "name": "signin/tokenExchange" }),
            Inbound::OtherInvoke { name: "signin/tokenExchange".to_owned() },
        ),
        (json!({ "type": "invoke" }), Inbound::OtherInvoke { name: String::new() }),
        (installation("add"), Inbound::Installed),
        (installation("Add"), Inbound::Installed),
        (installation("add-upgrade"), Inbound::Installed),
        (installation("remove"), Inbound::Uninstalled),
        (installation("remove-upgrade"), Inbound::Uninstalled),
        (installation("paused"), Inbound::Other),
        (
            json!({ "type": "conversationUpdate", "membersAdded": [{ "id": BOT }] }),
            Inbound::MembersAdded { bot: true, members: vec![person(BOT)] },
        ),
        (
            json!({ "type": "conversationUpdate", "membersAdded": [{ "id": "29:2" }, { "name": "no id" }] }),
            Inbound::MembersAdded { bot: false, members: vec![person("29:2")] },
        ),
        (json!({ "type": "conversationUpdate", "membersRemoved": [{ "id": BOT }] }), Inbound::Uninstalled),
        (
            json!({ "type": "conversationUpdate", "membersRemoved": [{ "id": "29:2" }],
                "channelData": { "eventType": "teamMemberRemoved" } }),
            update("teamMemberRemoved"),
        ),
        (
            json!({ "type": "conversationUpdate", "channelData": { "eventType": "channelRenamed" } }),
            update("channelRenamed"),
        ),
        (json!({ "type": "conversationUpdate" }), update("")),
        (json!({ "type": "messageReaction", "reactionsAdded": [{ "type": "like" }] }), Inbound::Other),
        (json!({ "type": "messageUpdate", "text": "help" }), Inbound::Other),
        (json!({ "type": "somethingNew" }), Inbound::Other),
    ] {
        assert_eq!(inbound(&fields), expected, "{fields}");
    }
}

#[test]
fn an_installation_names_team_and_channel() {
    let activity = read(&in_channel(&json!({
        "type": "installationUpdate",
        "action": "add",
        "channelData": {
            "team": { "id": TEAM, "name": "SRE", "aadGroupId": "g" },
            "channel": { "id": CHANNEL, "name": "Incidents" },
            "settings": { "selectedChannel": { "id": CHANNEL } },
        },
    })))
    .unwrap();
    assert_eq!(activity.team, Some(TeamRef { id: TeamId::new(TEAM).unwrap(), name: Some("SRE".to_owned()) }));
    assert_eq!(
        activity.channel,
        Some(ChannelRef { id: ChannelId::new(CHANNEL).unwrap(), name: Some("Incidents".to_owned()) })
    );
    assert_eq!(activity.selected_channel, Some(ChannelId::new(CHANNEL).unwrap()));
}

#[test]
fn a_conversation_is_what_it_says_or_looks_like() {
    use ConversationKind::{Channel, GroupChat, Personal, Unknown};
    for (id, name, kind, channel) in [
        ("a:1chat", Some("personal"), Personal, None),
        ("a:1chat", None, Personal, None),
        ("19:x@thread.v2", Some("groupChat"), GroupChat, None),
        ("19:x@thread.v2", None, GroupChat, None),
        ("19:x@thread.tacv2", Some("channel"), Channel, Some("19:x@thread.tacv2")),
        ("19:x@thread.tacv2;messageid=17", Some("channel"), Channel, Some("19:x@thread.tacv2")),
        ("19:x@thread.tacv2;messageid=17", None, Channel, Some("19:x@thread.tacv2")),
        ("19:x@thread.skype", None, Channel, Some("19:x@thread.skype")),
        ("19:x@thread.tacv2", Some("shared"), Unknown, None),
        ("x", None, Unknown, None),
    ] {
        let activity = read(&in_channel(&json!({
            "type": "message",
            "conversation": { "id": id, "conversationType": name },
        })))
        .unwrap();
        assert_eq!((activity.conversation.kind, activity.conversation.id.as_str()), (kind, id));
        assert_eq!(activity.channel_of().as_ref().map(ChannelId::as_str), channel, "{id} {name:?}");
    }
}

#[test]
fn a_system_activity_without_an_id_is_still_read() {
    for (kind, id) in [("conversationUpdate", Some("unidentified")), ("typing", Some("unidentified")), ("invoke", None)]
    {
        let mut document = in_channel(&json!({ "type": kind }));
        document.as_object_mut().unwrap().remove("id");
        assert_eq!(read(&document).map(|activity| activity.id.to_string()).as_deref(), id, "{kind}");
    }
}

#[test]
fn an_id_that_is_not_legible_is_made_of_the_whole() {
    for kind in ["message", "invoke"] {
        for id in [Value::Null, json!(7), json!(""), json!("17\u{fffd}"), json!({})] {
            let of = |at: &str| read(&in_channel(&json!({ "type": kind, "id": id, "timestamp": at }))).unwrap().id;
            let first = of("2026-11-23T09:00:00Z");
            assert_eq!(of("2026-11-23T09:00:00Z"), first, "{kind} {id}: sent again, it is the same");
            assert_ne!(of("2026-11-23T09:00:01Z"), first, "{kind} {id}");
            assert_eq!(first.as_str().len(), 64);
        }
    }
}

/// Every place in an activity, as a JSON pointer.
fn places(value: &Value, at: &str) -> Vec<String> {
    let children: Vec<String> = match value {
        Value::Object(map) => map.iter().flat_map(|(name, child)| places(child, &format!("{at}/{name}"))).collect(),
        Value::Array(list) => {
            list.iter().enumerate().flat_map(|(i, child)| places(child, &format!("{at}/{i}"))).collect()
        }
        _ => vec![],
    };
    [vec![at.to_owned()], children].concat()
}

#[test]
fn a_field_of_an_unexpected_type_costs_no_more_than_itself() {
    let document = in_channel(&json!({
        "type": "message",
        "text": "help",
        "name": "n",
        "action": "add",
        "replyToId": "1",
        "value": { "action": { "verb": "v" } },
        "membersAdded": [{ "id": "29:2" }],
        "entities": [{ "type": "mention", "text": "x", "mentioned": { "id": BOT } }],
    }));
    let needed = ["", "/type", "/id", "/channelId", "/serviceUrl", "/conversation", "/conversation/id"];
    for place in places(&document, "") {
        for odd in [Value::Null, json!(7), json!([]), json!({}), json!("# \u{0}")] {
            let mut changed = document.clone();
            *changed.pointer_mut(&place).unwrap() = odd.clone();
            let activity = read(&changed);
            assert!(activity.is_some() || needed.contains(&place.as_str()), "{place} as {odd}");
            if let Some(activity) = activity {
                let _any = activity.inbound();
            }
        }
    }
}

proptest! {
    #[test]
    fn no_json_makes_reading_fail_badly(text in "[\\[\\]{}\",:a-z0-9 ]{0,60}") {
        if let Ok(document) = serde_json::from_str::<Value>(&text) {
            prop_assert_eq!(read(&document), None);
        }
    }
}
