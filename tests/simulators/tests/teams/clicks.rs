//! Buttons, dialogs, and what the answers to them do.

use reqwest::Method;
use serde_json::{Value, json};
use simulators::teams::{Choice, Effect, Mistake, Notice, NoticeKind, Wanted};

use crate::world::{World, activities, card, card_activity};

fn incident_card() -> Value {
    json!({
        "type": "AdaptiveCard", "version": "1.5",
        "body": [
            { "type": "TextBlock", "text": "DB down" },
            { "type": "ActionSet", "actions": [
                { "type": "Action.Execute", "title": "Acknowledge", "id": "ackButton", "verb": "ack", "data": { "incident": "P1" } },
                { "type": "Action.ShowCard", "title": "Add note", "card": { "type": "AdaptiveCard",
                    "body": [{ "type": "Input.Text", "id": "note" }],
                    "actions": [{ "type": "Action.Execute", "title": "Save", "verb": "note", "data": { "incident": "P1" } }] } },
                { "type": "Action.OpenUrl", "title": "Open", "url": "https://example.com/P1" },
            ] },
        ],
    })
}

fn card_answer(card: &Value) -> Value {
    json!({ "statusCode": 200, "type": "application/vnd.microsoft.card.adaptive", "value": card })
}

fn toast(text: &str) -> Value {
    json!({ "statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": text })
}

#[tokio::test]
async fn a_click_sends_the_action_with_its_inputs_as_text() {
    let (world, team, channel, ada) = World::with_team().await;
    let root = world.post_card(&channel, &incident_card()).await;
    world.bot.will_answer(200, &toast("noted"));
    let answer = world.teams.click(&ada, &root, "Save", json!({ "note": 7 })).await.unwrap();
    assert_eq!(answer.effect(), Effect::Toast("noted".to_owned()));
    let activity = world.bot.last().activity;
    assert!(activity["id"].as_str().unwrap().starts_with("f:"), "{activity}");
    let seen = json!({
        "type": activity["type"], "name": activity["name"], "replyToId": activity["replyToId"], "from": activity["from"]["id"],
        "conversation": activity["conversation"]["id"], "source": activity["channelData"]["source"], "team": activity["channelData"]["team"],
        "value": activity["value"],
    });
    let expected = json!({
        "type": "invoke", "name": "adaptiveCard/action", "replyToId": root, "from": ada,
        "conversation": format!("{channel};messageid={root}"), "source": { "name": "message" }, "team": { "id": team },
        "value": {
            "action": { "type": "Action.Execute", "title": "Save", "verb": "note", "data": { "incident": "P1", "note": "7" } },
            "trigger": "manual",
        },
    });
    assert_eq!(seen, expected);

    for wanted in ["Acknowledge", "ack", "ackButton"] {
        world.bot.will_answer(200, &toast("done"));
        world.teams.click(&ada, &root, wanted, Value::Null).await.unwrap();
        assert_eq!(world.bot.last().activity["value"]["action"]["id"], "ackButton", "{wanted}");
    }
    assert_eq!(world.teams.buttons(&ada, &root).unwrap(), ["Acknowledge", "Add note", "Save", "Open"]);
    assert_eq!(world.teams.link(&ada, &root, "Open").unwrap(), "https://example.com/P1");
    world.finish();
}

#[tokio::test]
async fn what_cannot_be_clicked_sends_nothing() {
    let (world, _, channel, ada) = World::with_team().await;
    let root = world.post_card(&channel, &incident_card()).await;
    let unknown = Mistake::NoSuchButton {
        button: "Resolve".to_owned(),
        known: ["Acknowledge", "Add note", "Save", "Open"].map(str::to_owned).to_vec(),
    };
    let not = |button: &str, why: &str| Mistake::NotClickable { button: button.to_owned(), why: why.to_owned() };
    let table = [
        (root.as_str(), "Resolve", json!({}), unknown),
        (root.as_str(), "Open", json!({}), not("Open", "Action.OpenUrl sends nothing to the bot")),
        (root.as_str(), "Add note", json!({}), not("Add note", "Action.ShowCard sends nothing to the bot")),
        ("17", "Acknowledge", json!({}), Mistake::UnknownMessage("17".to_owned())),
    ];
    for (message, button, inputs, expected) in table {
        assert_eq!(world.teams.click(&ada, message, button, inputs).await, Err(expected));
    }
    assert_eq!(world.teams.link(&ada, &root, "Save"), Err(not("Save", "it opens no page")));
    world.teams.delete_message(&root);
    assert_eq!(world.teams.card_for(&ada, &root), Err(Mistake::UnknownMessage(root)));
    assert_eq!(world.bot.received().len(), 0);
    world.finish();
}

#[tokio::test]
async fn a_card_as_the_answer_is_seen_by_the_clicker_until_the_next_edit() {
    let (world, _, channel, ada) = World::with_team().await;
    let ben = world.teams.user_named("Ben Okafor").unwrap();
    let root = world.post_card(&channel, &incident_card()).await;
    world.bot.will_answer(200, &card_answer(&card("acknowledged, for Ada")));
    let answer = world.teams.click(&ada, &root, "Acknowledge", Value::Null).await.unwrap();
    assert_eq!(answer.effect(), Effect::Card(card("acknowledged, for Ada")));
    assert_eq!(world.teams.card_for(&ada, &root).unwrap(), card("acknowledged, for Ada"));
    assert_eq!(world.teams.card_for(&ben, &root).unwrap(), incident_card());
    assert!(matches!(
        world.teams.click(&ada, &root, "Acknowledge", Value::Null).await,
        Err(Mistake::NoSuchButton { known, .. }) if known.is_empty()
    ));
    let edit =
        world.call(Method::PUT, &format!("{}/{root}", activities(&channel)), card_activity(&card("for all"))).await;
    assert_eq!(edit.status, 200);
    assert_eq!(world.teams.card_for(&ada, &root).unwrap(), card("for all"));
    world.finish();
}

#[tokio::test]
async fn toasts_and_red_bars_are_remembered_and_unreadable_answers_are_complained_of() {
    let (world, _, channel, ada) = World::with_team().await;
    let root = world.post_card(&channel, &incident_card()).await;
    let refusal = json!({ "statusCode": 400, "type": "application/vnd.microsoft.error", "value": { "code": "Late", "message": "Too late" } });
    for (status, body) in [(200, toast("done")), (200, refusal), (200, json!({})), (500, Value::Null)] {
        world.bot.will_answer(status, &body);
        world.teams.click(&ada, &root, "Acknowledge", Value::Null).await.unwrap();
    }
    let notices = world.teams.message(&root).unwrap().notices;
    let notice = |kind, text: &str| Notice { user: ada.clone(), at: notices[0].at, kind, text: text.to_owned() };
    let lost = notice(NoticeKind::ErrorBar, "Unable to reach app. Please try again.");
    let expected = [notice(NoticeKind::Toast, "done"), notice(NoticeKind::ErrorBar, "Too late"), lost.clone(), lost];
    assert_eq!(notices, expected);
    let complaints = world.teams.take_complaints();
    assert_eq!(
        complaints,
        [
            "answer to a click cannot be read: the body lacks statusCode, type or value",
            "answer to a click cannot be read: HTTP 500",
        ]
    );
    world.finish();
}

#[tokio::test]
async fn a_double_click_is_two_activities_and_a_redelivery_is_the_same_one() {
    let (world, _, channel, ada) = World::with_team().await;
    let root = world.post_card(&channel, &incident_card()).await;
    for text in ["one", "two", "three"] {
        world.bot.will_answer(200, &toast(text));
    }
    world.teams.double_click(&ada, &root, "Acknowledge", Value::Null).await.unwrap();
    world.teams.redeliver().await.unwrap();
    let ids: Vec<_> = world.bot.activities().iter().map(|activity| activity["id"].clone()).collect();
    assert_ne!(ids[0], ids[1]);
    assert!(ids[2] == ids[0] || ids[2] == ids[1]);
    world.finish();
}

#[tokio::test]
async fn a_card_refreshes_for_those_it_names() {
    let (world, _, channel, ada) = World::with_team().await;
    let ben = world.teams.user_named("Ben Okafor").unwrap();
    let mut refreshing = incident_card();
    refreshing["refresh"] = json!({ "action": { "type": "Action.Execute", "verb": "refresh", "data": { "incident": "P1" } }, "userIds": [ada] });
    let root = world.post_card(&channel, &refreshing).await;
    assert_eq!(world.teams.look(&ben, &root).await, Ok(None));
    world.bot.will_answer(200, &card_answer(&card("fresh")));
    let answer = world.teams.look(&ada, &root).await.unwrap().unwrap();
    assert_eq!(answer.effect(), Effect::Card(card("fresh")));
    let expected = json!({
        "action": { "type": "Action.Execute", "verb": "refresh", "data": { "incident": "P1" } }, "trigger": "automatic",
    });
    assert_eq!(world.bot.last().activity["value"], expected);
    world.finish();
}

#[tokio::test]
async fn a_submit_button_sends_a_message_or_what_msteams_says() {
    let (world, _, channel, ada) = World::with_team().await;
    let button = |title: &str, data: Value| json!({ "type": "Action.Submit", "title": title, "data": data });
    let root = world
        .post_card(
            &channel,
            &json!({ "type": "AdaptiveCard", "version": "1.5", "body": [{ "type": "Input.Text", "id": "note", "value": "n" }], "actions": [
                button("Plain", json!({ "a": 1 })),
                button("Back", json!({ "msteams": { "type": "messageBack", "text": "hey", "value": { "b": 2 } } })),
                button("Im", json!({ "msteams": { "type": "imBack", "value": "status" } })),
                button("Odd", json!({ "msteams": { "type": "levitate" } })),
            ] }),
        )
        .await;
    let table = [
        ("Plain", json!({ "value": { "a": 1, "note": "n" }, "text": null })),
        ("Back", json!({ "value": { "b": 2 }, "text": "hey" })),
        ("Im", json!({ "value": { "note": "n" }, "text": "status" })),
    ];
    for (title, expected) in table {
        world.teams.click(&ada, &root, title, Value::Null).await.unwrap();
        let activity = world.bot.last().activity;
        assert_eq!((&activity["type"], &activity["replyToId"]), (&json!("message"), &json!(root)));
        assert_eq!(json!({ "value": activity["value"], "text": activity["text"] }), expected, "{title}");
    }
    assert!(matches!(world.teams.click(&ada, &root, "Odd", Value::Null).await, Err(Mistake::NotClickable { .. })));
    world.finish();
}

#[tokio::test]
async fn a_dialog_opens_is_filled_in_and_closes() {
    let (world, _, channel, ada) = World::with_team().await;
    let opener = json!({ "type": "AdaptiveCard", "version": "1.5", "actions": [
        { "type": "Action.Submit", "title": "New incident", "data": { "what": "new", "msteams": { "type": "task/fetch" } } }] });
    let root = world.post_card(&channel, &opener).await;
    let form = json!({ "type": "AdaptiveCard", "version": "1.5", "body": [{ "type": "Input.Text", "id": "title", "isRequired": true }],
        "actions": [{ "type": "Action.Submit", "title": "Create", "data": { "step": 1 } }] });
    let opened = json!({ "task": { "type": "continue", "value": { "title": "New", "height": "small",
        "card": { "contentType": "application/vnd.microsoft.card.adaptive", "content": form } } } });
    world.bot.will_answer(200, &opened);
    world.teams.click(&ada, &root, "New incident", Value::Null).await.unwrap();
    let fetch = world.bot.last().activity;
    let data =
        json!({ "data": { "what": "new", "msteams": { "type": "task/fetch" } }, "context": { "theme": "default" } });
    assert_eq!((&fetch["name"], &fetch["value"]), (&json!("task/fetch"), &data));
    assert_eq!(world.teams.dialog(&ada), Some(form));

    let missing = world.teams.submit_dialog(&ada, "Create", json!({})).await;
    assert_eq!(missing, Err(Mistake::BadInput { input: "title".to_owned(), why: "it is required".to_owned() }));
    world.bot.will_answer(200, &json!({ "task": { "type": "message", "value": "Created" } }));
    world.teams.submit_dialog(&ada, "Create", json!({ "title": "down" })).await.unwrap();
    let submit = world.bot.last().activity;
    assert_eq!(
        (&submit["name"], &submit["value"]["data"]),
        (&json!("task/submit"), &json!({ "step": 1, "title": "down" }))
    );
    assert_eq!(world.teams.dialog(&ada), None);
    assert_eq!(world.teams.message(&root).unwrap().notices[0].text, "Created");

    world.teams.task_fetch(&ada, &root, json!({ "any": "data" })).await.unwrap();
    assert_eq!(world.bot.last().activity["value"]["data"], json!({ "any": "data" }));
    world.teams.task_submit(&ada, &root, json!({ "other": "data" })).await.unwrap();
    assert_eq!(world.bot.last().activity["value"]["data"], json!({ "other": "data" }));
    world.finish();
}

#[tokio::test]
async fn a_dialog_can_be_closed_and_an_unreadable_one_is_complained_of() {
    let (world, _, channel, ada) = World::with_team().await;
    let root = world.post_card(&channel, &card("x")).await;
    let page = json!({ "task": { "type": "continue", "value": { "card": { "content": card("page") } } } });
    world.bot.will_answer(200, &page);
    world.teams.task_fetch(&ada, &root, json!({})).await.unwrap();
    assert_eq!(world.teams.dialog(&ada), Some(card("page")));
    world.bot.will_answer(500, &Value::Null);
    world.teams.task_submit(&ada, &root, json!({})).await.unwrap();
    assert_eq!(world.teams.take_complaints(), ["answer to a dialog cannot be read: HTTP 500"]);
    assert_eq!(world.teams.dialog(&ada), Some(card("page")), "what was typed is not lost");
    world.teams.close_dialog(&ada);
    assert_eq!(world.teams.dialog(&ada), None);
    assert_eq!(world.bot.received().len(), 2);
    world.finish();
}

fn searching(dataset: &str) -> Value {
    json!({ "type": "Input.ChoiceSet", "id": dataset, "style": "filtered", "choices": [],
            "choices.data": { "type": "Data.Query", "dataset": dataset } })
}

fn search_answer(results: &Value) -> Value {
    json!({ "statusCode": 200, "type": "application/vnd.microsoft.search.searchResponse", "value": { "results": results } })
}

#[tokio::test]
async fn typing_asks_the_bot_for_choices() {
    let (world, _, channel, ada) = World::with_team().await;
    let inner = json!({ "type": "AdaptiveCard", "body": [searching("users")],
        "actions": [{ "type": "Action.Execute", "title": "Save", "verb": "save" }] });
    let shown = json!({ "type": "AdaptiveCard", "version": "1.5", "body": [searching("services")],
        "actions": [{ "type": "Action.ShowCard", "title": "More", "card": inner }] });
    let root = world.post_card(&channel, &shown).await;
    for dataset in ["services", "users"] {
        world.bot.will_answer(200, &search_answer(&json!([{ "title": "Payments", "value": "P1" }])));
        let answer = world.teams.search(&ada, Some(&root), dataset, "pay").await.unwrap();
        assert_eq!(answer.choices(), Ok(vec![Choice { title: "Payments".to_owned(), value: "P1".to_owned() }]));
        let asked = world.bot.last().activity;
        let value = json!({ "queryText": "pay", "queryOptions": { "skip": 0, "top": 15 }, "dataset": dataset });
        assert_eq!(
            (&asked["type"], &asked["name"], &asked["value"]),
            (&json!("invoke"), &json!("application/search"), &value)
        );
    }
    let unknown = |dataset: &str| {
        Err(Mistake::BadInput { input: dataset.to_owned(), why: "the card asks for no such data set".to_owned() })
    };
    assert_eq!(world.teams.search(&ada, Some(&root), "teams", "x").await, unknown("teams"));
    let no_dialog = Err(Mistake::UnknownMessage("dialog".to_owned()));
    assert_eq!(world.teams.search(&ada, None, "services", "x").await, no_dialog);

    let form = json!({ "type": "AdaptiveCard", "version": "1.5", "body": [searching("teams")] });
    let opened = json!({ "task": { "type": "continue", "value": { "card": { "content": form } } } });
    world.bot.will_answer(200, &opened);
    world.teams.task_fetch(&ada, &root, json!({})).await.unwrap();
    world.bot.will_answer(200, &search_answer(&json!([])));
    assert_eq!(world.teams.search(&ada, None, "teams", "x").await.unwrap().choices(), Ok(vec![]));
    assert_eq!(world.teams.search(&ada, None, "services", "x").await, unknown("services"));
    world.finish();
}

#[tokio::test]
async fn unreadable_choices_are_complained_of() {
    let (world, _, channel, ada) = World::with_team().await;
    let shown = json!({ "type": "AdaptiveCard", "version": "1.5", "body": [searching("services")] });
    let root = world.post_card(&channel, &shown).await;
    let kind = "application/vnd.microsoft.search.searchResponse";
    let many = json!(vec![json!({ "title": "t", "value": "v" }); 16]);
    let table = [
        (500, Value::Null, "HTTP 500"),
        (200, json!({ "type": kind, "value": { "results": [] } }), "statusCode is not 200"),
        (200, json!({ "statusCode": 200, "type": "text", "value": { "results": [] } }), "type is no search response"),
        (200, json!({ "statusCode": 200, "type": kind, "value": [] }), "value.results is no list"),
        (200, search_answer(&many), "16 results are more than 15"),
        (200, search_answer(&json!([{ "title": "t", "value": 1 }])), "title and value must be texts"),
    ];
    for (status, body, why) in table {
        world.bot.will_answer(status, &body);
        world.teams.search(&ada, Some(&root), "services", "x").await.unwrap();
        assert_eq!(world.teams.take_complaints(), [format!("answer to a search cannot be read: {why}")]);
    }
    world.finish();
}

#[tokio::test]
async fn buttons_of_the_same_name_differ_by_their_data() {
    let (world, _, channel, ada) = World::with_team().await;
    let button = |incident: &str| json!({ "type": "Action.Execute", "title": "Acknowledge", "verb": "ack", "data": { "incident": incident } });
    let list = json!({ "type": "AdaptiveCard", "version": "1.5", "actions": [button("P1"), button("P2")] });
    let root = world.post_card(&channel, &list).await;
    for incident in ["P2", "P1"] {
        let data = json!({ "incident": incident });
        world.bot.will_answer(200, &toast("ok"));
        world.teams.click(&ada, &root, Wanted { name: "ack", data: Some(&data) }, Value::Null).await.unwrap();
        assert_eq!(world.bot.last().activity["value"]["action"]["data"], data);
    }
    let other = json!({ "incident": "P3" });
    let missing = world.teams.click(&ada, &root, Wanted { name: "ack", data: Some(&other) }, Value::Null).await;
    assert!(matches!(missing, Err(Mistake::NoSuchButton { .. })), "{missing:?}");
    world.finish();
}

#[tokio::test]
async fn a_click_can_be_forged() {
    let (world, _, channel, ada) = World::with_team().await;
    let root = world.post_card(&channel, &incident_card()).await;
    let mut activity = world.teams.click_activity(&ada, &root, "Acknowledge", &Value::Null).unwrap();
    activity["value"]["action"]["data"]["incident"] = json!("P2");
    world.bot.will_answer(200, &toast("no"));
    world.teams.send(activity).await.unwrap();
    assert_eq!(world.bot.last().activity["value"]["action"]["data"], json!({ "incident": "P2" }));
    world.finish();
}
