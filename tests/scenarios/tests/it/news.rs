//! What people must hear although nobody edits a card for it: who is asked for help and answers, where to talk, where the
//! incident went.

use serde_json::json;
use simulators::pagerduty::Fault;

use crate::platform::Platform;
use crate::world::World;

#[tokio::test]
async fn who_is_asked_to_help_and_what_they_answer_is_told_in_the_thread() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    let (ada, ben, chloe) =
        (world.pagerduty_user("Ada Wong"), world.pagerduty_user("Ben Okafor"), world.pagerduty_user("Chloe Martin"));
    for (does, told) in [
        (
            Box::new(|| world.pagerduty().ask_responder(&incident, &ada, &ben, "The replica lags"))
                as Box<dyn Fn() + Send>,
            "Ben Okafor was asked to help by Ada Wong: The replica lags",
        ),
        (
            Box::new(|| world.pagerduty().answer_request(&incident, &ben, true, "On my way\n")),
            "Ben Okafor accepted the request to help: On my way",
        ),
        (
            Box::new(|| world.pagerduty().answer_request(&incident, &chloe, false, "")),
            "Chloe Martin declined the request to help",
        ),
    ] {
        does();
        world.settle_all().await;
        assert_eq!(world.only_card("Payments").replies().last().unwrap(), told);
    }
    assert_eq!(world.only_card("Payments").replies().len(), 3, "each is told once");
    world.finish();
}

#[tokio::test]
async fn where_to_talk_and_where_the_incident_went_is_told_in_the_thread() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    let (pagerduty, ada) = (world.pagerduty(), world.pagerduty_user("Ada Wong"));
    let last = || world.only_card("Payments").replies().last().cloned().unwrap();

    pagerduty.set_conference(&incident, &ada, Some("+49 30 5550100,,12#"), Some("https://meet.example.com/db"));
    world.settle_all().await;
    assert_eq!(last(), "Conference bridge set by Ada Wong: https://meet.example.com/db or +49 30 5550100,,12#");
    pagerduty.set_conference(&incident, &ada, None, None);
    world.settle_all().await;
    assert_eq!(last(), "Conference bridge removed by Ada Wong");
    pagerduty.move_to_service(&incident, &ada, &world.service("Search"));
    world.settle_all().await;
    assert_eq!(last(), "Moved to service Search by Ada Wong");
    world.finish();
}

#[tokio::test]
async fn a_resolution_note_is_called_a_note_once() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.pagerduty().resolve_with_note(&incident, &world.pagerduty_user("Ada Wong"), "fixed the disk");
    world.settle_all().await;
    let told = world.only_card("Payments").replies().join("\n");
    assert!(told.contains("Resolution note by Ada Wong: fixed the disk"), "{told}");
    assert!(!told.contains("Resolution Note:"), "{told}");
    world.finish();
}

#[tokio::test]
async fn who_starts_a_workflow_and_that_it_ends_is_told_in_the_thread() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    let data = json!({
        "id": "PRUN001", "type": "incident_workflow_instance", "summary": "",
        "incident_workflow": { "id": "PFLOW01", "type": "incident_workflow_reference", "summary": "Page all" },
        "incident": { "id": incident, "type": "incident_reference", "summary": "DB down" },
    });
    let ada = world.pagerduty_user("Ada Wong");
    world.pagerduty().emit_with("incident.workflow.started", &incident, Some(&ada), data.clone());
    world.settle_all().await;
    world.pagerduty().emit_with("incident.workflow.completed", &incident, None, data);
    world.settle_all().await;
    let told = world.only_card("Payments").replies().join("\n");
    assert_eq!(told, "Workflow Page all started by Ada Wong\nWorkflow Page all completed");
    world.finish();
}

#[tokio::test]
async fn an_app_that_may_not_read_workflows_is_told_of_everything_else() {
    let world = World::new().await;
    let platform = Platform::authorized(&world).await;
    world.link("Ada Wong").await;
    world.pagerduty().fail_next_at("POST /webhook_subscriptions", 1, &Fault::Status(403));
    let service = platform.connect("Checkout").await;
    assert_eq!(world.pagerduty().subscriptions_of(&service).len(), 1);
    let incident = world.trigger_in(&service, "Carts are empty").await;
    world.settle().await;
    world.pagerduty().emit("incident.workflow.started", &incident);
    world.pagerduty().acknowledge(&incident, &world.pagerduty_user("Ada Wong"));
    world.settle_all().await;
    let card = platform.posts().into_iter().find(|card| card.summary().contains("Carts are empty")).unwrap();
    assert_eq!(card.replies(), ["Acknowledged by Ada Wong"]);

    world.pagerduty().fail_next_at("POST /webhook_subscriptions", 2, &Fault::Status(403));
    let refused = world.pagerduty().add_service("Billing");
    platform.say("Ada Wong", &format!("connect {}", platform.service_url(&refused))).await;
    assert!(platform.last_reply().shows("That did not work"), "{}", platform.last_reply().text());
    assert_eq!(world.pagerduty().subscriptions_of(&refused), Vec::<String>::new(), "it is not asked for ever");
    world.finish();
}

#[tokio::test]
async fn an_app_without_the_scope_for_workflows_gets_its_token() {
    let world = World::new().await;
    // Whether PagerDuty refuses a request with a scope that the app does not have is not documented.
    world.pagerduty().fail_next_token(1, &Fault::Status(400));
    let token = world.stack.app.as_app().new_token().await.unwrap();
    assert_eq!(token.missing, Vec::<String>::new());
    assert_eq!(world.pagerduty().pending_faults(), 0);
    world.pagerduty().fail_next_token(1, &Fault::Status(401));
    assert!(world.stack.app.as_app().new_token().await.is_err(), "a wrong secret is no question of scopes");
    world.finish();
}
