//! What people must hear although nobody edits a card for it: who is asked for help and answers, where to talk, where the
//! incident went.

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
