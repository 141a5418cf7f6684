//! Changing many incidents with one call: all of them, or none.

use serde_json::{Value, json};

use crate::world::{Got, World};

fn change(id: &str, fields: &Value) -> Value {
    let mut incident = json!({ "id": id, "type": "incident_reference" });
    incident.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    incident
}

fn acknowledge(id: &str) -> Value {
    change(id, &json!({ "status": "acknowledged" }))
}

impl World {
    async fn change_all(&self, user: &str, incidents: impl IntoIterator<Item = Value>) -> Got {
        let body = json!({ "incidents": incidents.into_iter().collect::<Vec<_>>() });
        self.call_as(user, "PUT", "/incidents", body).await
    }

    fn trigger(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.pagerduty.trigger(&self.service, "DB down", "high")).collect()
    }
}

#[tokio::test]
async fn every_change_is_made_and_sent() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    let ids = world.trigger(3);
    world.pagerduty.acknowledge(&ids[1], &world.ada);
    world.pagerduty.resolve(&ids[2], &world.ada);
    world.deliver().await;
    world.take("a");
    let resolved = change(&ids[1], &json!({ "status": "resolved" }));
    let got = world.change_all(&world.ben, [acknowledge(&ids[0]), resolved, acknowledge(&ids[2])]).await;
    let told: Vec<(String, String)> = (0..3)
        .map(|at| (got.text(&format!("/incidents/{at}/id")), got.text(&format!("/incidents/{at}/status"))))
        .collect();
    let expected = ["acknowledged", "resolved", "acknowledged"];
    assert_eq!(told, ids.iter().cloned().zip(expected.map(str::to_owned)).collect::<Vec<_>>());
    world.deliver().await;
    // As with one alone, what is resolved is reopened first.
    let sent: Vec<(String, Value)> = world
        .take("a")
        .iter()
        .map(|received| {
            (received.event["data"]["id"].as_str().unwrap().to_owned(), received.event["event_type"].clone())
        })
        .collect();
    let of =
        |id: &String| sent.iter().filter(|(about, _)| about == id).map(|(_, kind)| kind.clone()).collect::<Vec<_>>();
    assert_eq!(of(&ids[0]), ["incident.acknowledged"]);
    assert_eq!(of(&ids[1]), ["incident.resolved"]);
    assert_eq!(of(&ids[2]), ["incident.reopened", "incident.acknowledged"]);
    assert_eq!(sent.len(), 4);
    world.finish();
}

#[tokio::test]
async fn one_that_cannot_be_changed_spoils_all_and_is_named() {
    let world = World::new().await;
    world.subscribe_service("a").await;
    let ids = world.trigger(2);
    world.pagerduty.acknowledge(&ids[1], &world.ada);
    let stakeholder = world.pagerduty.add_user("Eve Lindqvist", "eve@example.com", "read_only_user");
    world.deliver().await;
    world.take("a");
    let before = world.pagerduty.incidents();
    for (what, user, bad, expected, says) in [
        ("an unknown one", &world.ada, acknowledge("QX"), (400, 2001), "Incident QX Not Found"),
        ("acknowledged already", &world.ada, acknowledge(&ids[1]), (400, 1002), ids[1].as_str()),
        ("an unknown status", &world.ada, change(&ids[1], &json!({ "status": "closed" })), (400, 1003), &ids[1]),
        ("the same twice", &world.ada, acknowledge(&ids[0]), (400, 2001), &format!("{} is there twice", ids[0])),
        ("no type", &world.ada, json!({ "id": ids[1], "status": "resolved" }), (400, 2001), &ids[1]),
        ("no id", &world.ada, json!({ "type": "incident_reference" }), (400, 2001), "each incident must have an id"),
        ("whoever may not act", &stakeholder, acknowledge(&ids[1]), (403, 2010), &ids[0]),
    ] {
        let got = world.change_all(user, [acknowledge(&ids[0]), bad]).await;
        assert_eq!((got.error(), got.text("/error/errors/0").as_str()), (expected, says), "{what}");
    }
    for body in [json!({}), json!({ "incidents": {} }), json!({ "incidents": [] }), json!({ "incidents": ["QX"] })] {
        assert_eq!(world.call_as(&world.ada, "PUT", "/incidents", body).await.error(), (400, 2003));
    }
    let from = [("authorization", &*format!("Token token={}", world.pagerduty.account_key()))];
    let body = json!({ "incidents": [acknowledge(&ids[0])] });
    assert_eq!(world.call_with("PUT", "/incidents", body, &from).await.error(), (400, 2016));
    assert_eq!(world.pagerduty.incidents(), before, "nothing has changed");
    world.deliver().await;
    assert_eq!(world.take("a").len(), 0);
    world.finish();
}

#[tokio::test]
async fn at_most_250_at_once_and_the_answer_has_a_page_of_them() {
    let world = World::new().await;
    let ids = world.trigger(251);
    let got = world.change_all(&world.ada, ids.iter().map(|id| acknowledge(id))).await;
    assert_eq!(got.error(), (413, 2001));
    assert_eq!(world.incident(&ids[0])["status"], "triggered");
    let all_but_one: Vec<Value> = ids[1..].iter().map(|id| acknowledge(id)).collect();
    let body = json!({ "incidents": all_but_one });
    let got = world.call_as(&world.ada, "PUT", "/incidents?limit=100&total=true", body).await;
    assert_eq!((got.status, got.body["incidents"].as_array().unwrap().len()), (200, 100));
    assert_eq!((&got.body["more"], &got.body["total"]), (&json!(true), &json!(250)));
    assert!(ids[1..].iter().all(|id| world.incident(id)["status"] == "acknowledged"));
    let got = world.change_all(&world.ada, ids[1..].iter().map(|id| change(id, &json!({ "urgency": "low" })))).await;
    assert_eq!(got.body["incidents"].as_array().unwrap().len(), 25);
    world.finish();
}

#[tokio::test]
async fn unknown_keys_are_remembered() {
    let world = World::new().await;
    let ids = world.trigger(1);
    let body = change(&ids[0], &json!({ "status": "acknowledged", "service": null, "note": "x" }));
    assert_eq!(world.change_all(&world.ada, [body]).await.status, 200);
    let unknown = ["note", "service"].map(|key| format!("PUT /incidents: body key incidents.{key}"));
    world.finish_with(&[&unknown[0], &unknown[1]]);
}
