//! Installation, and what happens to teams and channels.

use serde_json::{Value, json};

use crate::world::{APP_ID, TENANT, World};

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
