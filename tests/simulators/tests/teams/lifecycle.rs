//! Installation, and what happens to teams and channels.

use reqwest::Method;
use serde_json::{Value, json};
use simulators::teams::{ChannelKind, Mistake};

use crate::world::{APP_ID, TENANT, World, activities, card, card_activity, encoded, new_post, text_activity};

/// What matters of an event: everything that is not the envelope.
fn gist(activity: &Value) -> Value {
    let mut gist = json!({
        "type": activity["type"], "conversation": activity["conversation"]["id"], "from": activity["from"], "data": activity["channelData"],
    });
    for key in ["action", "membersAdded", "membersRemoved"] {
        if let Some(value) = activity.get(key) {
            gist[key] = value.clone();
        }
    }
    gist
}

#[tokio::test]
async fn an_installation_is_told_twice_and_makes_the_bot_a_member() {
    let world = World::new().await;
    let team = world.teams.add_team("SRE");
    let ada = world.teams.add_user("Ada Wong");
    let entra = world.teams.user(&ada).unwrap().entra;
    let channel = world.teams.add_channel(&team, "incidents");
    assert!(!world.teams.teams()[0].bot_in_roster);
    let answers = world.teams.install_in(&team, &channel, &ada).await.unwrap();
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200]);
    assert!(world.teams.teams()[0].bot_in_roster);

    let found = world.bot.activities();
    let group = found[0]["channelData"]["team"]["aadGroupId"].clone();
    let team_data = json!({ "id": team, "name": "SRE", "aadGroupId": group });
    let settings = json!({ "selectedChannel": { "id": channel } });
    let from = json!({ "id": ada, "aadObjectId": entra });
    assert_eq!(
        gist(&found[0]),
        json!({ "type": "installationUpdate", "action": "add", "conversation": channel, "from": from, "data": {
            "tenant": { "id": TENANT }, "team": team_data, "channel": { "id": channel }, "settings": settings, "source": { "name": "message" } } })
    );
    assert_eq!(
        gist(&found[1]),
        json!({ "type": "conversationUpdate", "membersAdded": [{ "id": format!("28:{APP_ID}") }], "conversation": channel, "from": from,
            "data": { "tenant": { "id": TENANT }, "team": team_data, "settings": settings, "eventType": "teamMemberAdded" } })
    );

    world.teams.uninstall(&team).await.unwrap();
    let found = world.bot.activities();
    let seen: Vec<_> =
        found[2..].iter().map(|a| (a["type"].clone(), a["action"].clone(), a["membersRemoved"].clone())).collect();
    let expected = [
        (json!("conversationUpdate"), Value::Null, json!([{ "id": format!("28:{APP_ID}") }])),
        (json!("installationUpdate"), json!("remove"), Value::Null),
    ];
    assert_eq!(seen, expected);
    assert!(!world.teams.teams()[0].bot_in_roster);
    world.finish();
}

#[tokio::test]
async fn the_first_member_installs_for_general_unless_said_otherwise() {
    let world = World::new().await;
    let team = world.teams.add_team("SRE");
    assert!(world.teams.install(&team).await.is_err(), "nobody could have installed it");
    world.teams.add_user("Ada Wong");
    world.teams.install(&team).await.unwrap();
    assert_eq!(world.bot.last().activity["conversation"]["id"], json!(team));
    assert!(world.teams.install_in(&team, "19:unknown", "ada.wong@example.com").await.is_err());
    world.finish();
}

#[tokio::test]
async fn a_personal_installation_opens_the_chat() {
    let world = World::new().await;
    let ada = world.teams.add_user("Ada Wong");
    world.teams.install_personal(&ada).await.unwrap();
    let chat = world.teams.personal_chat(&ada).unwrap();
    let found = world.bot.activities();
    assert_eq!((&found[0]["action"], &found[0]["conversation"]["id"]), (&json!("add"), &json!(chat)));
    assert_eq!(found[1]["membersAdded"][1], json!({ "id": format!("28:{APP_ID}") }));
    world.teams.uninstall_personal(&ada).await.unwrap();
    assert_eq!(world.bot.last().activity["action"], "remove");
    world.finish();
}

#[tokio::test]
async fn a_private_or_shared_channel_needs_the_app_in_it() {
    for (kind, name) in [(ChannelKind::Private, "private"), (ChannelKind::Shared, "shared")] {
        let (world, team, incidents, ada) = World::with_team().await;
        let entra = world.teams.user(&ada).unwrap().entra;
        let secret = world.teams.add_channel_of_kind(&team, "war-room", kind);
        let listed = async || {
            let got = world.call(Method::GET, &format!("/teams/{}/conversations", encoded(&team)), Value::Null).await;
            got.body["conversations"].clone()
        };
        let post = async || {
            let got = world.call(Method::POST, "/conversations", new_post(&secret, &card_activity(&card("hi")))).await;
            (got.status, got.error().1.to_owned())
        };
        let refused = (403, "BotNotInConversationRoster".to_owned());
        let mut seen = vec![
            json!({ "id": team, "name": null, "type": "standard" }),
            json!({ "id": incidents, "name": "incidents", "type": "standard" }),
        ];
        assert_eq!((listed().await, post().await), (json!(seen), refused.clone()));
        assert!(!world.teams.teams()[0].channels[2].has_bot);
        let silent = Err(Mistake::NotDeliverable("the bot is not in the channel".to_owned()));
        assert_eq!(world.teams.say(&ada, &secret, "help").await, silent);
        assert_eq!(world.teams.rename_channel(&secret, "room").await, Ok(None));

        world.teams.install_in_channel(&secret, &ada).await.unwrap();
        let found = world.bot.activities();
        let from = json!({ "id": ada, "aadObjectId": entra });
        let data = |activity: &Value| {
            let team = activity["channelData"]["team"]["id"].clone();
            (team, activity["channelData"]["channel"].clone(), activity["channelData"]["eventType"].clone())
        };
        let channel = json!({ "id": secret, "name": "room", "type": name });
        assert_eq!(data(&found[0]), (json!(team), channel.clone(), Value::Null));
        assert_eq!(data(&found[1]), (json!(team), channel, json!("channelMemberAdded")));
        let bot = json!([{ "id": format!("28:{APP_ID}") }]);
        assert_eq!((&found[0]["action"], &found[1]["membersAdded"]), (&json!("add"), &bot));
        for activity in &found {
            assert_eq!((&activity["conversation"]["id"], &activity["from"]), (&json!(secret), &from));
        }
        seen.push(json!({ "id": secret, "name": "room", "type": name }));
        assert_eq!((listed().await, post().await), (json!(seen), (201, String::new())));
        assert!(world.teams.say(&ada, &secret, "help").await.is_ok());

        world.teams.uninstall_from_channel(&secret).await.unwrap();
        let last = world.bot.last().activity;
        assert_eq!((&last["action"], &last["conversation"]["id"]), (&json!("remove"), &json!(secret)));
        assert_eq!(post().await, refused);
        assert!(world.teams.install_in_channel("19:unknown", &ada).await.is_err());
        world.finish();
    }
}

#[tokio::test]
async fn a_shared_channel_is_told_of_the_other_team() {
    let (world, team, _, ada) = World::with_team().await;
    let other = world.teams.add_team_in("tenant-2", "Guests");
    let channel = world.teams.add_channel_of_kind(&team, "joint", ChannelKind::Shared);
    assert_eq!(world.teams.share_channel(&channel, &other).await, Ok(None), "the bot is not in it");
    world.teams.install_in_channel(&channel, &ada).await.unwrap();
    for (event, list) in [("channelShared", "sharedWithTeams"), ("channelUnshared", "unsharedFromTeams")] {
        let answer = match event {
            "channelShared" => world.teams.share_channel(&channel, &other).await,
            _ => world.teams.unshare_channel(&channel, &other).await,
        };
        assert!(answer.unwrap().is_some());
        let data = world.bot.last().activity["channelData"].clone();
        let group = data[list][0]["aadGroupId"].clone();
        assert!(group.is_string());
        let expected = json!([{ "id": other, "name": "Guests", "aadGroupId": group, "tenantId": "tenant-2" }]);
        assert_eq!(
            (&data["eventType"], &data["channel"]["id"], &data[list]),
            (&json!(event), &json!(channel), &expected)
        );
    }
    world.finish();
}

#[tokio::test]
async fn nobody_writes_in_an_archived_team() {
    let (world, team, channel, ada) = World::with_team().await;
    let root = world.post_card(&channel, &card("before")).await;
    world.teams.archive_team(&team).await.unwrap();
    let one = format!("{}/{root}", activities(&channel));
    let writes = [
        (Method::POST, "/conversations".to_owned(), new_post(&channel, &card_activity(&card("hi")))),
        (Method::POST, activities(&channel), text_activity("hi")),
        (Method::PUT, one.clone(), card_activity(&card("after"))),
        (Method::DELETE, one.clone(), Value::Null),
    ];
    for (method, path, body) in writes.clone() {
        assert_eq!(world.call(method.clone(), &path, body).await.error(), (403, "NotEnoughPermissions"), "{method}");
    }
    let read = world.call(Method::GET, &format!("/teams/{}", encoded(&team)), Value::Null).await;
    assert_eq!(read.status, 200);
    let silent = Err(Mistake::NotDeliverable("the team is archived".to_owned()));
    assert_eq!(world.teams.say(&ada, &channel, "help").await, silent);
    world.teams.unarchive_team(&team).await.unwrap();
    for (method, path, body) in writes {
        assert!(world.call(method.clone(), &path, body).await.status < 300, "{method}");
    }
    let events = world.bot.activities().iter().map(|a| a["channelData"]["eventType"].clone()).collect::<Vec<_>>();
    assert_eq!(events, ["teamArchived", "teamUnarchived"]);
    world.finish();
}

#[tokio::test]
async fn an_upgrade_is_told_as_such() {
    let (world, team, _, ada) = World::with_team().await;
    world.teams.upgrade(&team).await.unwrap();
    let told = world.bot.last().activity;
    assert_eq!((&told["type"], &told["action"]), (&json!("installationUpdate"), &json!("add-upgrade")));
    assert_eq!((&told["conversation"]["id"], &told["from"]["id"]), (&json!(team), &json!(ada)));
    world.finish();
}

#[tokio::test]
async fn changes_of_teams_and_channels_are_told() {
    let (world, team, _, ada) = World::with_team().await;
    let ben = world.teams.user_named("Ben Okafor").unwrap();
    let channel = world.teams.create_channel(&team, "new").await.unwrap();
    world.teams.rename_channel(&channel, "newer").await.unwrap();
    assert_eq!(world.teams.channel_named(&team, "newer"), Some(channel.clone()));
    world.teams.delete_channel(&channel).await.unwrap();
    assert_eq!(world.teams.channel_named(&team, "newer"), None);
    world.teams.restore_channel(&channel).await.unwrap();
    assert_eq!(world.teams.channel_named(&team, "newer"), Some(channel.clone()));
    world.teams.rename_team(&team, "Platform").await.unwrap();
    world.teams.remove_member(&team, &ben).await.unwrap();
    world.teams.add_member(&team, &ben).await.unwrap();
    world.teams.team_event(&team, "teamArchived").await.unwrap();
    world.teams.delete_team(&team).await.unwrap();
    assert_eq!(world.teams.teams(), []);
    world.teams.restore_team(&team).await.unwrap();
    assert_eq!(world.teams.team_named("Platform"), Some(team.clone()));

    let found = world.bot.activities();
    let seen: Vec<_> = found
        .iter()
        .map(|a| {
            assert_eq!((&a["type"], &a["conversation"]["id"]), (&json!("conversationUpdate"), &json!(team)));
            let data = &a["channelData"];
            let member = a.pointer("/membersAdded/0/id").or(a.pointer("/membersRemoved/0/id")).cloned();
            (
                data["eventType"].as_str().unwrap(),
                data["channel"]["name"].as_str(),
                data["team"]["name"].as_str().unwrap(),
                member,
            )
        })
        .collect();
    let ben = Some(json!(ben));
    let expected = [
        ("channelCreated", Some("new"), "SRE", None),
        ("channelRenamed", Some("newer"), "SRE", None),
        ("channelDeleted", Some("newer"), "SRE", None),
        ("channelRestored", Some("newer"), "SRE", None),
        ("teamRenamed", None, "Platform", None),
        ("teamMemberRemoved", None, "Platform", ben.clone()),
        ("teamMemberAdded", None, "Platform", ben),
        ("teamArchived", None, "Platform", None),
        ("teamDeleted", None, "Platform", None),
        ("teamRestored", None, "Platform", None),
    ];
    assert_eq!(seen, expected);

    world.teams.expel_bot(&team);
    assert_eq!(world.teams.rename_team(&team, "Quiet").await, Ok(None), "a bot that is not there hears nothing");
    assert_eq!(world.bot.received().len(), expected.len());
    assert!(world.teams.user(&ada).is_some());
    world.finish();
}
