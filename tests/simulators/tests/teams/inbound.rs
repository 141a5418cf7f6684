//! Messages that people write.

use serde_json::{Value, json};
use simulators::teams::{BOT_NAME, HttpAnswer, Mistake};

use crate::world::{APP_ID, START_MS, TENANT, World};

const OK: HttpAnswer = HttpAnswer { status: 200, body: Value::Null };

#[tokio::test]
async fn a_channel_message_mentions_the_bot_and_opens_a_thread() {
    let (world, team, channel, ada) = World::with_team().await;
    let user = world.teams.user(&ada).unwrap();
    assert_eq!(world.teams.say(&ada, &channel, "who is <b>on call</b>?").await, Ok(OK));
    let received = world.bot.last();
    let id = START_MS.to_string();
    let conversation = format!("{channel};messageid={id}");
    let mention = format!("<at>{BOT_NAME}</at>");
    let bot = json!({ "id": format!("28:{APP_ID}"), "name": BOT_NAME });
    let client =
        json!({ "type": "clientInfo", "locale": "en-US", "country": "US", "platform": "Web", "timezone": "UTC" });
    let expected = json!({
        "type": "message", "id": id, "timestamp": "2026-11-23T09:00:00Z", "localTimestamp": "2026-11-23T09:00:00Z",
        "localTimezone": "UTC", "locale": "en-US", "channelId": "msteams", "serviceUrl": format!("{}connector/amer/", world.base),
        "from": { "id": ada, "name": "Ada Wong", "aadObjectId": user.entra },
        "conversation": { "isGroup": true, "conversationType": "channel", "tenantId": TENANT, "id": conversation },
        "recipient": bot,
        "textFormat": "plain", "text": format!("{mention} who is <b>on call</b>?"),
        "attachments": [{ "contentType": "text/html", "content": received.activity["attachments"][0]["content"] }],
        "entities": [{ "type": "mention", "text": mention, "mentioned": bot }, client],
        "channelData": {
            "teamsChannelId": channel, "teamsTeamId": team, "tenant": { "id": TENANT }, "team": { "id": team }, "channel": { "id": channel },
        },
    });
    assert_eq!(received.activity, expected);
    let html = received.activity["attachments"][0]["content"].as_str().unwrap();
    assert!(html.ends_with("&nbsp;who is &lt;b&gt;on call&lt;/b&gt;?</div></div>"), "{html}");
    assert_eq!(received.headers["x-ms-conversation-id"], conversation);
    assert_eq!(received.headers["x-ms-tenant-id"], TENANT);
    assert_eq!(received.headers["content-type"], "application/json; charset=utf-8");

    world.teams.say(&user.email, &conversation, "and now?").await.unwrap();
    let reply = world.bot.last().activity;
    assert_eq!(
        (&reply["id"], &reply["conversation"]["id"]),
        (&json!((START_MS + 1).to_string()), &json!(conversation))
    );
    let shown: Vec<_> =
        world.teams.messages(&channel).into_iter().map(|m| (m.from, m.from_bot, m.root, m.text)).collect();
    let text = |text: &str| Some(text.to_owned());
    let first = (ada.clone(), false, None, text("who is <b>on call</b>?"));
    assert_eq!(shown, [first, (ada, false, Some(id), text("and now?"))]);
    world.finish();
}

#[tokio::test]
async fn a_personal_message_needs_the_app_and_has_no_mention() {
    let world = World::new().await;
    let ada = world.teams.add_user("Ada Wong");
    assert_eq!(world.teams.say_privately(&ada, "hello").await, Ok(OK));
    let chat = world.teams.personal_chat(&ada).unwrap();
    let kinds: Vec<_> = world.bot.activities().iter().map(|activity| activity["type"].clone()).collect();
    assert_eq!(kinds, ["installationUpdate", "conversationUpdate", "message"]);
    let message = world.bot.last().activity;
    let seen = (&message["text"], &message["conversation"], &message["channelData"]);
    let conversation = json!({ "conversationType": "personal", "tenantId": TENANT, "id": chat });
    assert_eq!(seen, (&json!("hello"), &conversation, &json!({ "tenant": { "id": TENANT } })));
    world.teams.say_privately(&ada, "again").await.unwrap();
    assert_eq!(world.bot.received().len(), 4, "installed once");
    world.finish();
}

#[tokio::test]
async fn teams_does_not_deliver_what_it_would_not() {
    let (world, team, channel, ada) = World::with_team().await;
    let ben = world.teams.user_named("Ben Okafor").unwrap();
    world.teams.remove_member(&team, &ben).await.unwrap();
    world.teams.say_privately(&ada, "hello").await.unwrap();
    let adas_chat = world.teams.personal_chat(&ada).unwrap();
    let before = world.bot.received().len();
    let refused = |why: &str| Err(Mistake::NotDeliverable(why.to_owned()));
    let say = |user: &str, conversation: &str| {
        let (user, conversation, teams) = (user.to_owned(), conversation.to_owned(), &world.teams);
        async move { teams.say(&user, &conversation, "x").await }
    };
    assert_eq!(say(&ben, &channel).await, refused("the person is not a member of the team"));
    assert_eq!(say(&ben, &adas_chat).await, refused("the chat is another person's"));
    assert_eq!(say("nobody", &channel).await, Err(Mistake::UnknownUser("nobody".to_owned())));
    assert_eq!(say(&ada, "19:x").await, Err(Mistake::UnknownConversation("19:x".to_owned())));
    world.teams.expel_bot(&team);
    assert_eq!(say(&ada, &channel).await, refused("the bot is not in the team"));
    assert_eq!(world.bot.received().len(), before);
    world.finish();
}

#[tokio::test]
async fn the_last_activity_comes_again_with_the_same_id_and_a_fresh_token() {
    let (world, _, channel, ada) = World::with_team().await;
    assert_eq!(world.teams.redeliver().await, Err(Mistake::NothingSent));
    world.bot.will_answer(500, &json!({ "error": "busy" }));
    let answer = world.teams.say(&ada, &channel, "help").await;
    assert_eq!(answer, Ok(HttpAnswer { status: 500, body: json!({ "error": "busy" }) }));
    world.advance_ms(20_000);
    assert_eq!(world.teams.redeliver().await, Ok(OK));
    let received = world.bot.received();
    assert_eq!(received[0].activity, received[1].activity);
    assert_ne!(received[0].headers["authorization"], received[1].headers["authorization"]);
    let log: Vec<_> = world.teams.deliveries().into_iter().map(|delivery| delivery.answer.unwrap().status).collect();
    assert_eq!(log, [500, 200]);
    world.finish();
}

#[tokio::test]
async fn a_bot_that_does_not_answer_is_told_apart() {
    let (mut world, _, channel, ada) = World::with_team().await;
    world.servers.shutdown().await;
    let answer = world.teams.say(&ada, &channel, "help").await;
    assert!(matches!(answer, Err(Mistake::NoAnswer(_))), "{answer:?}");
    assert_eq!(world.teams.deliveries()[0].answer, None);
}

#[tokio::test]
async fn other_tenants_have_people_and_teams_too() {
    let (world, _, _, _) = World::with_team().await;
    let other = "5555aaaa-0000-4000-8000-000000000000";
    let zoe = world.teams.add_user_in(other, "Zoe Ng");
    let team = world.teams.add_team_in(other, "Elsewhere");
    world.teams.install(&team).await.unwrap();
    world.teams.say(&zoe, &team, "help").await.unwrap();
    let activity = world.bot.last().activity;
    let seen =
        (&activity["conversation"]["tenantId"], &activity["channelData"]["tenant"]["id"], &activity["from"]["id"]);
    assert_eq!(seen, (&json!(other), &json!(other), &json!(zoe)));
    world.finish();
}

#[tokio::test]
async fn any_activity_can_be_sent() {
    let (world, _, channel, ada) = World::with_team().await;
    let mut activity = world.teams.message_activity(&ada, &channel, "x").unwrap();
    activity["type"] = json!("messageReaction");
    activity["reactionsAdded"] = json!([{ "type": "like" }]);
    world.teams.send(activity.clone()).await.unwrap();
    assert_eq!(world.bot.last().activity, activity);
    world.finish();
}
