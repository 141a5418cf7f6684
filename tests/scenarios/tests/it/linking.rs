//! Linking a Teams user to a PagerDuty user, and what must not work.

use jiff::SignedDuration;

use crate::world::{Browser, World};

const EXPIRED: &str = "We can't connect Microsoft Teams to PagerDuty. The authorization link has expired or is not valid. \
                       Return to Teams to generate a new one. You may close this window.";

#[tokio::test]
async fn link_user_leads_to_the_success_page_and_a_private_message() {
    let world = World::new().await;
    world.say("Ada Wong", "linkUser").await;
    let browser = Browser::new();
    let question = world.log_in(&browser, "Ada Wong", "Ada Wong").await;
    assert!(question.text.contains("Ada Wong (ada@example.com)"), "{}", question.text);
    assert!(!question.url.contains("code=") && !question.url.contains("state="), "{}", question.url);
    let waiting = world.answer_question(&browser, &question, "link").await;
    assert!(!waiting.text.contains("successfully"), "{}", waiting.text);
    assert!(!world.is_linked("Ada Wong").await, "Teams has not named anybody yet");
    world.say("Ada Wong", &waiting.number).await;
    let done = world.reload(&browser).await;
    let sentence = "You've successfully linked your user accounts. All PagerDuty actions you perform as Ada Wong in \
                    Microsoft Teams will be associated with Ada Wong (ada@example.com) in PagerDuty. If this is not correct, \
                    please enter the @PagerDuty unlinkUser command in Microsoft Teams to unlink your account.";
    assert!(done.text.contains(sentence), "{}", done.text);
    let cards = world.private_cards("Ada Wong");
    assert_eq!(cards.len(), 2, "the link, and the news that it was used");
    assert!(cards[1].shows(sentence), "{}", cards[1].text());
    world.finish();
}

#[tokio::test]
async fn opening_the_link_uses_nothing_up() {
    let world = World::new().await;
    world.say("Ada Wong", "  LINKUSER ").await;
    let url = world.private_cards("Ada Wong")[0].link();
    for _ in 0..3 {
        assert_eq!(Browser::new().get(&url).await.status, 303, "a scanner opens the link");
    }
    world.complete_link(&Browser::new(), "Ada Wong", "Ada Wong").await;
    world.finish();
}

#[tokio::test]
async fn a_link_works_once_and_for_ten_minutes() {
    let world = World::new().await;
    world.say("Ada Wong", "linkUser").await;
    let url = world.private_cards("Ada Wong")[0].link();
    world.complete_link(&Browser::new(), "Ada Wong", "Ada Wong").await;
    let again = Browser::new().get(&url).await;
    assert_eq!(again.status, 400);
    assert!(again.text.contains(EXPIRED), "{}", again.text);

    world.say("Ben Okafor", "linkUser").await;
    let url = world.private_cards("Ben Okafor")[0].link();
    world.advance(SignedDuration::from_mins(11)).await;
    let late = Browser::new().get(&url).await;
    assert_eq!((late.status, late.text.contains(EXPIRED)), (400, true));
    world.finish();
}

#[tokio::test]
async fn another_browser_cannot_finish_the_log_in() {
    let world = World::new().await;
    world.say("Ada Wong", "linkUser").await;
    let (ada, mallory) = (Browser::new(), Browser::new());
    let callback = world.log_in_at_pagerduty(&ada, "Ada Wong", "Ada Wong").await;
    let stolen = mallory.get(&callback).await;
    assert_eq!((stolen.status, stolen.text.contains(EXPIRED)), (400, true));
    let replayed = ada.get(&callback).await;
    assert_eq!(replayed.status, 400, "a state is taken once, whoever took it");
    assert!(!world.is_linked("Ada Wong").await);
    world.finish();
}

#[tokio::test]
async fn nothing_is_linked_before_the_question_is_answered() {
    let world = World::new().await;
    world.say("Ada Wong", "linkUser").await;
    let browser = Browser::new();
    // Ada's link was passed on to Ben, who is logged in to PagerDuty: the page tells him whose it is.
    let question = world.log_in(&browser, "Ada Wong", "Ben Okafor").await;
    assert!(question.text.contains("Ada Wong") && question.text.contains("Ben Okafor (ben@example.com)"));
    assert!(!world.is_linked("Ada Wong").await);
    let cancelled = world.answer_question(&browser, &question, "cancel").await;
    assert_eq!(cancelled.status, 200);
    assert!(!world.is_linked("Ada Wong").await);
    let too_late = world.answer_question(&browser, &question, "link").await;
    assert_eq!(too_late.status, 400);
    assert!(!world.is_linked("Ada Wong").await);
    world.finish();
}

#[tokio::test]
async fn a_confirmation_from_another_site_is_refused() {
    let world = World::new().await;
    world.say("Ada Wong", "linkUser").await;
    let browser = Browser::new();
    let mut question = world.log_in(&browser, "Ada Wong", "Ada Wong").await;
    question.csrf = "0".repeat(64);
    assert_eq!(world.answer_question(&browser, &question, "link").await.status, 400);
    assert!(!world.is_linked("Ada Wong").await);
    world.finish();
}

#[tokio::test]
async fn a_second_log_in_cannot_slip_under_the_button_of_the_first() {
    let world = World::new().await;
    world.say("Ada Wong", "linkUser").await;
    world.say("Ben Okafor", "linkUser").await;
    let browser = Browser::new();
    let shown = world.log_in(&browser, "Ada Wong", "Ada Wong").await;
    // Another page makes the same browser open Ben's link; PagerDuty still knows Ada.
    world.log_in(&browser, "Ben Okafor", "Ada Wong").await;
    assert_eq!(world.answer_question(&browser, &shown, "link").await.status, 400);
    assert!(!world.is_linked("Ada Wong").await && !world.is_linked("Ben Okafor").await);
    world.finish();
}

#[tokio::test]
async fn saying_no_at_pagerduty_is_explained() {
    let world = World::new().await;
    world.say("Ada Wong", "linkUser").await;
    let page = world.deny_at_pagerduty(&Browser::new(), "Ada Wong").await;
    assert_eq!(page.status, 403);
    assert!(page.text.contains("Authorization cannot be completed at this time."), "{}", page.text);
    world.finish();
}

#[tokio::test]
async fn unlink_user_deletes_the_link_and_says_so() {
    let world = World::new().await;
    let incident = world.trigger("Payments", "DB down").await;
    world.settle().await;
    world.link("Ada Wong").await;
    world.say("Ada Wong", "unlinkUser").await;
    assert!(!world.is_linked("Ada Wong").await);
    assert!(world.private_cards("Ada Wong").last().unwrap().text().to_lowercase().contains("unlinked"));
    world.click("Ada Wong", &world.only_card("Payments"), "Acknowledge").await;
    assert_eq!(world.status_in_pagerduty(&incident), "triggered");
    world.say("Ada Wong", "unlinkUser").await;
    assert!(world.private_cards("Ada Wong").last().unwrap().text().contains("No PagerDuty account is linked to you"));
    world.finish();
}

#[tokio::test]
async fn a_resent_command_sends_one_link() {
    let world = World::new().await;
    world.say("Ada Wong", "linkUser").await;
    world.redeliver().await;
    assert_eq!(world.private_cards("Ada Wong").len(), 1);
    world.finish();
}

#[tokio::test]
async fn an_unknown_command_gets_help() {
    let world = World::new().await;
    world.say("Ada Wong", "make coffee").await;
    let cards = world.private_cards("Ada Wong");
    assert!(cards[0].shows("linkUser") && cards[0].shows("unlinkUser"), "{}", cards[0].text());
    world.finish();
}
