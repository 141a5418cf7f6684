//! The connector's REST interface.

use reqwest::Method;
use serde_json::{Value, json};
use simulators::teams::{Counters, Fault};

use crate::world::{
    APP_ID, START_MS, TENANT, World, activities, card, card_activity, encoded, new_post, text_activity,
};

const NOTHING: Value = Value::Null;

/// Method, path, body, answer, and whether a correct bot could run into it.
type Row<'a> = (&'a Method, String, Value, (u16, &'a str), bool);

#[tokio::test]
async fn posts_replies_edits_and_deletes_leave_a_history() {
    let (world, _, channel, _) = World::with_team().await;
    let got = world.call(Method::POST, "/conversations", new_post(&channel, &card_activity(&card("one")))).await;
    let root = START_MS.to_string();
    assert_eq!(
        (got.status, got.body),
        (201, json!({ "id": format!("{channel};messageid={root}"), "activityId": root }))
    );

    // The same moment, but a later id.
    let thread = activities(&format!("{channel};messageid={root}"));
    let reply = world.call(Method::POST, &thread, text_activity("a reply")).await;
    assert_eq!((reply.status, reply.body), (201, json!({ "id": (START_MS + 1).to_string() })));
    let to = format!("{}/{root}", activities(&channel));
    let answer = world.call(Method::POST, &to, text_activity("by the activity's id")).await.text("/id");
    let mut by_field = text_activity("by replyToId");
    by_field["replyToId"] = json!(answer);
    assert_eq!(world.call(Method::POST, &activities(&channel), by_field).await.status, 201);
    let other = world.call(Method::POST, &activities(&channel), text_activity("a post of its own")).await.text("/id");

    world.advance_ms(5000);
    let edit = world.call(Method::PUT, &to, card_activity(&card("two"))).await;
    assert_eq!((edit.status, edit.body), (200, json!({ "id": root })));
    let gone = world.call(Method::DELETE, &format!("{}/{answer}", activities(&channel)), NOTHING).await;
    assert_eq!((gone.status, gone.body), (200, NOTHING));

    let seen: Vec<_> =
        world.teams.messages(&channel).into_iter().map(|m| (m.root, m.text, m.summary, m.card)).collect();
    let text = |root: &Option<String>, text: &str| (root.clone(), Some(text.to_owned()), None, None);
    let in_thread = Some(root.clone());
    assert_eq!(
        seen,
        [
            (None, None, Some("in short".to_owned()), Some(card("two"))),
            text(&in_thread, "a reply"),
            text(&in_thread, "by replyToId"),
            text(&None, "a post of its own"),
        ]
    );
    assert_eq!(world.teams.messages(&format!("{channel};messageid={other}")).len(), 1);
    let message = world.teams.message(&root).unwrap();
    let history: Vec<_> = message.history().into_iter().map(|r| (r.at.as_millisecond() - START_MS, r.card)).collect();
    assert_eq!(history, [(0, Some(card("one"))), (5000, Some(card("two")))]);
    let expected = Counters { posts: 2, replies: 3, edits: 1, deletes: 1, throttled: 0 };
    assert_eq!(world.teams.counters(&channel), expected);
    world.finish();
}

#[tokio::test]
async fn refusals_have_the_documented_codes() {
    let (world, team, channel, ada) = World::with_team().await;
    let root = world.post_card(&channel, &card("x")).await;
    let elsewhere = world.teams.add_channel(&team, "elsewhere");
    world.teams.message_activity(&ada, &channel, "by Ada").unwrap();
    let adas = world.teams.messages(&channel).pop().unwrap().id;
    let at = |conversation: &str, activity: &str| format!("{}/{activity}", activities(conversation));
    let hello = text_activity("hello");
    let unknown = "19:00000000000000000000000000000000@thread.tacv2";
    let change = |field: &str, value: Value| {
        let mut activity = hello.clone();
        activity[field] = value;
        activity
    };
    let mut both = card_activity(&card("x"));
    both["text"] = json!("and text");
    let bad_card = card_activity(&json!({ "type": "AdaptiveCard", "version": "1.5", "body": [{ "type": "Marquee" }] }));
    let (post, put) = (Method::POST, Method::PUT);

    let table: Vec<Row<'_>> = vec![
        (&post, activities(unknown), hello.clone(), (404, "ConversationNotFound"), true),
        (&post, activities("a:1unknown"), hello.clone(), (404, "ConversationNotFound"), true),
        (&post, activities(&format!("{channel};messageid=17")), hello.clone(), (404, "ConversationNotFound"), true),
        (
            &post,
            activities(&format!("{elsewhere};messageid={root}")),
            hello.clone(),
            (404, "ConversationNotFound"),
            true,
        ),
        (&post, activities("channel"), hello.clone(), (400, "BadSyntax"), false),
        (&post, activities(&encoded(&channel)), hello.clone(), (400, "BadSyntax"), false),
        (&post, at(&channel, "17"), hello.clone(), (404, "ActivityNotFoundInConversation"), true),
        (&put, at(&channel, "17"), hello.clone(), (404, "ActivityNotFoundInConversation"), true),
        (&put, at(&elsewhere, &root), hello.clone(), (404, "ActivityNotFoundInConversation"), true),
        (&put, at(&channel, &adas), hello.clone(), (403, "NotEnoughPermissions"), false),
        (&put, at(&channel, &root), both, (400, "BadSyntax"), false),
        (&post, activities(&channel), json!({ "type": "message" }), (400, "BadSyntax"), false),
        (
            &post,
            activities(&channel),
            json!({ "type": "message", "text": " ", "attachments": [] }),
            (400, "BadSyntax"),
            false,
        ),
        (&post, activities(&channel), json!({ "text": "no type" }), (400, "BadSyntax"), false),
        (&post, activities(&channel), change("type", json!("event")), (400, "BadSyntax"), false),
        (&post, activities(&channel), change("from", json!({ "id": "28:other" })), (400, "BadArgument"), false),
        (&post, activities(&channel), change("conversation", json!({ "id": elsewhere })), (400, "BadArgument"), false),
        (&post, activities(&channel), change("textFormat", json!("html")), (400, "BadArgument"), false),
        (&post, activities(&channel), change("attachments", json!([{ "content": {} }])), (400, "BadArgument"), false),
        (&post, activities(&channel), bad_card, (400, "BadArgument"), false),
        (
            &post,
            "/conversations".to_owned(),
            json!({ "isGroup": true, "channelData": { "channel": { "id": channel } } }),
            (400, "BadSyntax"),
            false,
        ),
        (&post, "/conversations".to_owned(), new_post(unknown, &hello), (404, "ConversationNotFound"), true),
        (
            &post,
            "/conversations".to_owned(),
            new_post(&format!("{channel};messageid={root}"), &hello),
            (400, "BadSyntax"),
            false,
        ),
        (
            &post,
            "/conversations".to_owned(),
            json!({ "isGroup": true, "members": [{ "id": ada }, { "id": ada }] }),
            (400, "BadSyntax"),
            false,
        ),
    ];
    world.teams.set_throttling(false);
    for (method, path, body, expected, innocent) in table {
        let got = world.call(method.clone(), &path, body.clone()).await;
        assert_eq!(got.error(), expected, "{method} {path} {body}");
        assert_eq!(world.teams.take_complaints().is_empty(), innocent, "{method} {path} {body}");
    }
    let url = format!("{}v3{}", world.teams.service_url(), activities(&channel));
    let no_json = world.http.post(url).bearer_auth(world.token().await).body("hello").send().await.unwrap();
    assert_eq!(no_json.status(), 415);
    assert_eq!(world.teams.take_complaints().len(), 1);

    assert_eq!(world.teams.messages(&channel).len(), 2, "nothing of it was applied");
    world.teams.delete_message(&root);
    let got = world.call(Method::PUT, &at(&channel, &root), hello.clone()).await;
    assert_eq!(got.error(), (404, "ActivityNotFoundInConversation"), "somebody deleted it");
    world.teams.expel_bot(&team);
    let got = world.call(Method::POST, &activities(&channel), hello.clone()).await;
    assert_eq!(got.error(), (403, "BotNotInConversationRoster"));
    world.teams.admit_bot(&team);
    world.teams.drop_channel(&channel);
    let got = world.call(Method::POST, &activities(&channel), hello).await;
    assert_eq!(got.error(), (404, "ConversationNotFound"));
    world.finish();
}

#[tokio::test]
async fn text_with_an_attachment_is_split_and_has_no_id() {
    let (world, _, channel, _) = World::with_team().await;
    let mut both = card_activity(&card("x"));
    both["text"] = json!("and text");
    let got = world.call(Method::POST, &activities(&channel), both.clone()).await;
    assert_eq!((got.status, got.body), (202, NOTHING));
    let got = world.call(Method::POST, "/conversations", new_post(&channel, &both)).await;
    assert_eq!((got.status, got.body.get("activityId")), (201, None));
    let shown: Vec<_> = world.teams.messages(&channel).into_iter().map(|m| (m.text, m.card.is_some())).collect();
    let text = || (Some("and text".to_owned()), false);
    assert_eq!(shown, [text(), (None, true), text(), (None, true)]);
    let got = world.call(Method::POST, &activities(&channel), json!({ "type": "typing" })).await;
    assert_eq!((got.status, got.body), (202, NOTHING));
    assert_eq!(world.teams.messages(&channel).len(), 4);
    world.finish();
}

#[tokio::test]
async fn size_counts_in_utf_16() {
    let (world, _, channel, _) = World::with_team().await;
    let around = text_activity("").to_string().len();
    let most = 100 * 1024 / 2 - around;
    for (text, expected) in [
        ("x".repeat(most), (201, "")),
        ("x".repeat(most + 1), (413, "MessageSizeTooBig")),
        ("ж".repeat(most), (201, "")),
        ("𝄞".repeat(most / 2 + 1), (413, "MessageSizeTooBig")),
    ] {
        let got = world.call(Method::POST, &activities(&channel), text_activity(&text)).await;
        assert_eq!(got.error(), expected);
    }
    assert_eq!(world.teams.take_complaints().len(), 2);
    world.finish();
}

#[tokio::test]
async fn a_personal_chat_needs_its_member_and_tenant_in_the_right_place() {
    let (world, team, _, ada) = World::with_team().await;
    let user = world.teams.user(&ada).unwrap();
    let stranger = world.teams.add_user_in("5555aaaa-0000-4000-8000-000000000000", "Zoe Ng");
    let body = |member: Value, tenant: &str| {
        json!({ "bot": { "id": format!("28:{APP_ID}") }, "isGroup": false, "members": [member], "tenantId": tenant,
                "channelData": { "tenant": { "id": tenant } } })
    };
    let good = body(json!({ "id": user.entra }), TENANT);
    let without = |field: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(field);
        body
    };
    let mut no_tenant = without("tenantId");
    no_tenant.as_object_mut().unwrap().remove("channelData");
    let table = [
        (body(json!({ "aadObjectId": user.entra }), TENANT), (400, "BadSyntax")),
        (body(json!({ "id": user.email }), TENANT), (400, "BadSyntax")),
        (body(json!({ "id": user.entra }), "another-tenant"), (400, "BadSyntax")),
        (body(json!({ "id": "29:unknown" }), TENANT), (400, "BadSyntax")),
        (no_tenant, (400, "BadSyntax")),
        (without("bot"), (400, "BadArgument")),
        (without("members"), (400, "BadSyntax")),
    ];
    for (body, expected) in table {
        assert_eq!(world.call(Method::POST, "/conversations", body.clone()).await.error(), expected, "{body}");
    }
    assert_eq!(world.teams.take_complaints().len(), 7);
    let got = world
        .call(Method::POST, "/conversations", body(json!({ "id": stranger }), "5555aaaa-0000-4000-8000-000000000000"))
        .await;
    assert_eq!(got.error(), (403, "ForbiddenOperationException"), "the app is not there for them");

    let first = world.call(Method::POST, "/conversations", good.clone()).await;
    let chat = first.text("/id");
    assert_eq!((first.status, chat.starts_with("a:1")), (201, true));
    let again = world.call(Method::POST, "/conversations", body(json!({ "id": ada }), TENANT)).await;
    assert_eq!(again.text("/id"), chat, "by either id, always the same chat");
    assert_eq!(world.call(Method::POST, &activities(&chat), card_activity(&card("link"))).await.status, 201);
    assert_eq!(world.teams.personal_messages(&ada).len(), 1);
    assert_eq!(world.teams.counters(&chat).posts, 1);

    world.teams.block_bot(&ada, true);
    let got = world.call(Method::POST, &activities(&chat), text_activity("x")).await;
    assert_eq!(got.error(), (403, "ConversationBlockedByUser"));
    world.teams.block_bot(&ada, false);
    world.teams.remove_chat(&ada);
    let got = world.call(Method::POST, &activities(&chat), text_activity("x")).await;
    assert_eq!(got.error(), (404, "ConversationNotFound"));
    assert_eq!(world.call(Method::POST, "/conversations", good).await.text("/id"), chat, "created again");
    world.teams.expel_bot(&team);
    let got = world.call(Method::POST, &activities(&chat), text_activity("x")).await;
    assert_eq!(got.error(), (403, "BotNotInConversationRoster"), "no team in common any more");
    world.finish();
}

#[tokio::test]
async fn rosters_teams_and_channels_can_be_read() {
    let (world, team, channel, ada) = World::with_team().await;
    let user = world.teams.user(&ada).unwrap();
    for number in 0..60 {
        world.teams.add_user(&format!("Person {number}"));
    }
    let of = |conversation: &str, what: &str| format!("/conversations/{}/{what}", encoded(conversation));
    let page = world.call(Method::GET, &of(&channel, "pagedMembers?pageSize=50"), NOTHING).await;
    let token = page.text("/continuationToken");
    let rest = world
        .call(Method::GET, &of(&channel, &format!("pagedmembers?pageSize=50&continuationToken={token}")), NOTHING)
        .await;
    let count = |got: &crate::world::Got| got.body["members"].as_array().unwrap().len();
    assert_eq!((count(&page), count(&rest), rest.body.get("continuationToken")), (50, 12, None));
    assert_eq!(world.call(Method::GET, &of(&channel, "members"), NOTHING).await.body.as_array().unwrap().len(), 62);

    for id in [&user.id, &user.entra, &user.email] {
        let got = world.call(Method::GET, &of(&channel, &format!("members/{}", encoded(id))), NOTHING).await;
        let expected = json!({
            "id": user.id, "aadObjectId": user.entra, "name": "Ada Wong", "givenName": "Ada", "surname": "Wong",
            "email": "ada.wong@example.com", "userPrincipalName": "ada.wong@example.com", "tenantId": TENANT, "userRole": "user",
        });
        assert_eq!((got.status, got.body), (200, expected));
    }
    let got = world.call(Method::GET, &of(&channel, "members/29%3Aunknown"), NOTHING).await;
    assert_eq!(got.error(), (404, "MemberNotFoundInConversation"));
    let got = world.call(Method::GET, &of(&format!("{channel};messageid=1"), "members"), NOTHING).await;
    assert_eq!(got.error(), (404, "ThreadNotFound"));
    assert_eq!(world.teams.take_complaints().len(), 1);

    let got = world.call(Method::GET, &format!("/teams/{}", encoded(&team)), NOTHING).await;
    let seen = (
        &got.body["id"],
        &got.body["name"],
        &got.body["tenantId"],
        &got.body["channelCount"],
        &got.body["memberCount"],
    );
    assert_eq!(seen, (&json!(team), &json!("SRE"), &json!(TENANT), &json!(2), &json!(62)));
    let got = world.call(Method::GET, &format!("/teams/{}/conversations", encoded(&team)), NOTHING).await;
    let expected = json!({ "conversations": [
        { "id": team, "name": null, "type": "standard" },
        { "id": channel, "name": "incidents", "type": "standard" },
    ] });
    assert_eq!(got.body, expected);
    world.teams.expel_bot(&team);
    let got = world.call(Method::GET, &format!("/teams/{}", encoded(&team)), NOTHING).await;
    assert_eq!(got.error(), (403, "BotNotInConversationRoster"));
    world.finish();
}

#[tokio::test]
async fn a_busy_conversation_is_throttled_and_told_for_how_long() {
    let (world, team, channel, _) = World::with_team().await;
    let path = activities(&channel);
    let send = || world.call(Method::POST, &path, text_activity("x"));
    for _ in 0..7 {
        assert_eq!(send().await.status, 201);
    }
    let got = send().await;
    assert_eq!((got.error(), got.retry_after.as_deref()), ((429, "Throttled"), Some("1")));
    let id = world.teams.messages(&channel)[0].id.clone();
    let got = world.call(Method::PUT, &format!("{path}/{id}"), text_activity("y")).await;
    assert_eq!(got.error(), (429, "Throttled"), "edits count too");
    let elsewhere = world.teams.add_channel(&team, "elsewhere");
    assert_eq!(world.call(Method::POST, &activities(&elsewhere), text_activity("x")).await.status, 201);
    world.advance_ms(1000);
    assert_eq!(send().await.status, 201);
    let got = send().await;
    assert_eq!((got.error(), got.retry_after.as_deref()), ((429, "Throttled"), Some("1")), "eight in two seconds");
    assert_eq!(world.teams.counters(&channel), Counters { posts: 8, throttled: 3, ..Counters::default() });
    world.teams.set_throttling(false);
    assert_eq!(send().await.status, 201);
    world.finish();
}

#[tokio::test]
async fn limits_can_be_a_tenth_and_refusals_are_counted() {
    let (world, team, channel, _) = World::with_team().await;
    let other = world.teams.add_channel(&team, "other");
    world.teams.set_limits(10);
    let statuses = async |channel: &str| {
        let mut seen = Vec::new();
        for _ in 0..3 {
            let got = world.call(Method::POST, &activities(channel), text_activity("x")).await;
            seen.push((got.status, got.retry_after));
        }
        seen
    };
    let once = [(201, None), (429, Some("2".to_owned())), (429, Some("2".to_owned()))];
    assert_eq!(statuses(&channel).await, once);
    assert_eq!(statuses(&other).await, once);
    assert_eq!(world.teams.refused_by_limits(), 4);
    world.teams.set_limits(100);
    world.teams.fail_next(1, &Fault::throttled(30));
    assert_eq!(statuses(&channel).await, [(429, Some("30".to_owned())), (201, None), (201, None)]);
    assert_eq!(world.teams.refused_by_limits(), 4, "a fault on order is no refusal by the limits");
    world.finish();
}

#[tokio::test]
async fn faults_come_once_each_and_where_they_were_ordered() {
    let (world, team, channel, _) = World::with_team().await;
    let elsewhere = world.teams.add_channel(&team, "elsewhere");
    let send = |channel: &str, text: &'static str| {
        let path = activities(channel);
        let world = &world;
        async move { world.try_call(Method::POST, &path, text_activity(text)).await }
    };
    world.token().await;
    world.teams.fail_next_in(&channel, 1, &Fault::throttled(30));
    world.teams.fail_next_in(&channel, 1, &Fault::DropAnswerAfterApplying);
    world.teams.fail_next_in(&channel, 1, &Fault::NoAnswer);
    assert_eq!(send(&elsewhere, "other").await.unwrap().status, 201);
    let got = send(&channel, "throttled").await.unwrap();
    assert_eq!((got.error(), got.retry_after.as_deref()), ((429, "Throttled"), Some("30")));
    let dropped = send(&channel, "applied").await.unwrap_err();
    assert!(dropped.is_request() && !dropped.is_timeout(), "not even a status line came: {dropped:?}");
    assert!(send(&channel, "lost").await.is_err());
    world.teams.fail_next_in(&channel, 1, &Fault::AnswerWithoutId);
    let unnamed = send(&channel, "unnamed").await.unwrap();
    assert_eq!((unnamed.status, unnamed.body), (202, NOTHING));
    assert_eq!(send(&channel, "through").await.unwrap().status, 201);
    let texts: Vec<_> = world.teams.messages(&channel).into_iter().filter_map(|m| m.text).collect();
    assert_eq!(texts, ["applied", "unnamed", "through"]);

    world.teams.fail_next(2, &Fault::status(502, "ServiceError"));
    assert_eq!(send(&elsewhere, "x").await.unwrap().error(), (502, "ServiceError"));
    let got = world.call(Method::POST, "/conversations", new_post(&channel, &text_activity("x"))).await;
    assert_eq!(got.error(), (502, "ServiceError"));
    world.teams.fail_next_in(&channel, 1, &Fault::status(412, "PreconditionFailed"));
    let got = world.call(Method::POST, "/conversations", new_post(&channel, &text_activity("x"))).await;
    assert_eq!(got.error(), (412, "PreconditionFailed"), "a new post is about its channel");

    world.teams.fail_next(1, &Fault::Hang);
    let url = format!("{}v3{}", world.teams.service_url(), activities(&channel));
    let token = world.token().await;
    let short = std::time::Duration::from_millis(50);
    let hung = world.http.post(url).bearer_auth(token).json(&text_activity("x")).timeout(short).send().await;
    assert!(hung.unwrap_err().is_timeout());
    world.teams.fail_next(3, &Fault::NoAnswer);
    world.teams.clear_faults();
    world.finish();
}

#[tokio::test]
async fn what_nobody_documented_is_remembered() {
    let (world, _, channel, _) = World::with_team().await;
    let path = activities(&channel);
    let service = world.teams.service_url();
    for (method, url) in [
        (Method::GET, format!("{}health", world.base)),
        (Method::GET, format!("{}{TENANT}/oauth2/v2.0/token", world.base)),
        (Method::PATCH, format!("{service}v3{path}")),
        (Method::POST, format!("{service}/v3{path}")),
        (Method::POST, format!("{service}v3{path}?isTargetedActivity=true")),
    ] {
        let answer = world.http.request(method, url).send().await.unwrap();
        assert_eq!(answer.status(), 404);
        assert!(answer.headers().contains_key("x-correlating-operationid"));
    }
    let channel = channel.replace(':', "%3A").replace('@', "%40");
    let expected = [
        "GET /health".to_owned(),
        format!("GET /{TENANT}/oauth2/v2.0/token"),
        format!("PATCH /connector/amer/v3/conversations/{}/activities", channel.replace('.', "%2E")),
        format!("POST /connector/amer//v3/conversations/{}/activities", channel.replace('.', "%2E")),
        format!(
            "POST /connector/amer/v3/conversations/{}/activities?isTargetedActivity=true",
            channel.replace('.', "%2E")
        ),
    ];
    assert_eq!(world.teams.unknown_requests(), expected);
}

#[tokio::test]
async fn a_region_that_was_left_is_no_longer_served() {
    let (world, _, channel, ada) = World::with_team().await;
    let old = format!("{}v3{}", world.teams.service_url(), activities(&channel));
    world.teams.move_to_region("emea");
    assert_eq!(world.call(Method::POST, &activities(&channel), text_activity("x")).await.status, 201);
    world.teams.say(&ada, &channel, "help").await.unwrap();
    assert_eq!(world.bot.last().activity["serviceUrl"], json!(format!("{}connector/emea/", world.base)));
    let token = world.token().await;
    assert_eq!(world.http.post(old).bearer_auth(token).json(&text_activity("x")).send().await.unwrap().status(), 404);
    assert_eq!(world.teams.unknown_requests().len(), 1);
}
