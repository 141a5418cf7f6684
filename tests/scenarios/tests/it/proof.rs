//! A log-in links nobody before Teams has named the user whose link was followed.

use futures_util::future::join_all;
use jiff::SignedDuration;

use crate::world::{Browser, Fault, Page, World};

const EXPIRED: &str = "We can't connect Microsoft Teams to PagerDuty. The authorization link has expired or is not valid. \
                       Return to Teams to generate a new one. You may close this window.";

/// Ada's own link is opened by whoever is `logged_in`, up to the page that waits.
async fn waiting_page(world: &World, browser: &Browser, logged_in: &str) -> Page {
    world.say("Ada Wong", "linkUser").await;
    let question = world.log_in(browser, "Ada Wong", logged_in).await;
    let page = world.answer_question(browser, &question, "link").await;
    assert_eq!(page.status, 200, "{}", page.text);
    page
}

/// The same in Teams' sign-in window.
async fn in_the_window(world: &World, browser: &Browser) -> Page {
    window_of(world, browser, "Ada Wong").await
}

/// The same by somebody else.
async fn window_of(world: &World, browser: &Browser, logged_in: &str) -> Page {
    world.say("Ada Wong", "linkUser").await;
    let login = world.pagerduty_user(logged_in);
    let callback = world.follow_link(browser, &world.sign_in_window("Ada Wong"), &login).await;
    let question = browser.follow(&callback).await;
    world.answer_question(browser, &question, "link").await
}

/// Six other digits.
fn another(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).map(|digit| if digit == '0' { '1' } else { '0' }).collect()
}

fn last(world: &World, who: &str) -> String {
    world.private_cards(who).last().unwrap().text()
}

#[tokio::test]
async fn the_sign_in_window_links_without_another_step() {
    let world = World::new().await;
    let browser = Browser::new();
    let page = in_the_window(&world, &browser).await;
    assert!(page.code.len() >= 43 && !world.is_linked("Ada Wong").await);
    assert_eq!(world.sign_in("Ada Wong", &page.code).await, 200);
    assert!(world.is_linked("Ada Wong").await);
    assert!(world.reload(&browser).await.text.contains("You've successfully linked your user accounts."));
    let told = world.private_cards("Ada Wong").len();
    assert_eq!(world.sign_in("Ada Wong", &page.code).await, 200, "Teams asks again when it hears nothing");
    assert_eq!(world.private_cards("Ada Wong").len(), told, "and nobody is told twice");
    world.finish();
}

#[tokio::test]
async fn what_teams_sends_of_a_window_that_was_closed_is_no_code() {
    let world = World::new().await;
    let page = in_the_window(&world, &Browser::new()).await;
    let told = world.private_cards("Ada Wong").len();
    let (ada, message) = (world.person("Ada Wong").teams, world.message_with_link("Ada Wong").message.id);
    assert_eq!(world.teams().close_sign_in(&ada, &message).await.unwrap().status, 200);
    assert_eq!(world.private_cards("Ada Wong").len(), told);
    assert_eq!(world.sign_in("Ada Wong", &page.code).await, 200);
    assert!(world.is_linked("Ada Wong").await);
    world.finish();
}

#[tokio::test]
async fn a_link_that_was_passed_on_binds_nobody() {
    let world = World::new().await;
    world.say("Ben Okafor", "hello").await;
    // Ada passes her link on to Ben, who believes her, logs in and says yes on the page.
    let browser = Browser::new();
    let page = window_of(&world, &browser, "Ben Okafor").await;
    // Ben's own Teams is what his browser and he can speak to.
    let told = world.private_cards("Ben Okafor").len();
    world.say("Ben Okafor", &page.number).await;
    assert!(last(&world, "Ben Okafor").contains("I am not waiting for a number"), "{}", last(&world, "Ben Okafor"));
    world.say("Ben Okafor", "linkUser").await;
    assert_eq!(world.sign_in("Ben Okafor", &page.code).await, 200);
    assert!(last(&world, "Ben Okafor").contains("somebody else's link was opened"), "{}", last(&world, "Ben Okafor"));
    assert_eq!(world.private_cards("Ben Okafor").len(), told + 3);
    assert!(!world.is_linked("Ada Wong").await && !world.is_linked("Ben Okafor").await);
    // All that is left to Ada is guessing, of the code as well as of the number.
    assert_eq!(world.sign_in("Ada Wong", &"x".repeat(page.code.len())).await, 200);
    assert!(!world.is_linked("Ada Wong").await, "a code of her own");
    let guess = another(&page.number);
    for left in ["2 more tries", "1 more try.", "None of the numbers"] {
        world.say("Ada Wong", &guess).await;
        assert!(last(&world, "Ada Wong").contains(left), "{}", last(&world, "Ada Wong"));
    }
    world.say("Ada Wong", &page.number).await;
    assert!(last(&world, "Ada Wong").contains("I am not waiting for a number"));
    assert!(!world.is_linked("Ada Wong").await);
    let over = world.reload(&browser).await;
    assert_eq!((over.status, over.text.contains(EXPIRED)), (400, true));
    assert_eq!(
        browser.get(&world.message_with_link("Ada Wong").link()).await.status,
        400,
        "three tries, then a new link"
    );
    world.finish();
}

#[tokio::test]
async fn many_numbers_at_once_are_three_tries() {
    let world = World::new().await;
    let page = waiting_page(&world, &Browser::new(), "Ben Okafor").await;
    let ada = world.person("Ada Wong").teams;
    let chat = world.teams().personal_chat(&ada).unwrap();
    let guess = another(&page.number);
    let guesses: Vec<_> = (0..8).map(|_| world.teams().message_activity(&ada, &chat, &guess).unwrap()).collect();
    let answers = join_all(guesses.iter().map(|guess| world.teams().send(guess.clone()))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status == 200));
    world.say("Ada Wong", &page.number).await;
    assert!(!world.is_linked("Ada Wong").await, "the three tries were used up");
    world.teams().take_complaints();
    world.finish();
}

#[tokio::test]
async fn a_number_is_taken_as_people_write_it_and_only_in_the_private_chat() {
    let world = World::new().await;
    let browser = Browser::new();
    let page = waiting_page(&world, &browser, "Ada Wong").await;
    let ada = world.person("Ada Wong").teams;
    world.teams().say(&ada, &world.demo().team, &page.number).await.unwrap();
    assert!(last(&world, "Ada Wong").contains("belongs here, in our private chat"), "{}", last(&world, "Ada Wong"));
    assert!(!world.is_linked("Ada Wong").await);
    world.say("Ada Wong", &format!("  {} ", page.number.replace(' ', ""))).await;
    assert!(world.is_linked("Ada Wong").await);
    world.finish();
}

#[tokio::test]
async fn a_log_in_that_waits_too_long_is_over_and_its_tokens_are_gone() {
    let world = World::new().await;
    let browser = Browser::new();
    let page = waiting_page(&world, &browser, "Ada Wong").await;
    world.advance(SignedDuration::from_mins(10)).await;
    world.say("Ada Wong", &page.number).await;
    assert_eq!(world.sign_in("Ada Wong", &page.code).await, 200);
    assert!(!world.is_linked("Ada Wong").await);
    let late = world.reload(&browser).await;
    assert_eq!((late.status, late.text.contains(EXPIRED)), (400, true));
    world.finish();
}

#[tokio::test]
async fn a_log_in_may_be_finished_after_its_link_has_ended() {
    let world = World::new().await;
    world.say("Ada Wong", "linkUser").await;
    let browser = Browser::new();
    let question = world.log_in(&browser, "Ada Wong", "Ada Wong").await;
    world.advance(SignedDuration::from_mins(9)).await;
    let page = world.answer_question(&browser, &question, "link").await;
    world.advance(SignedDuration::from_mins(9)).await;
    world.say("Ada Wong", &page.number).await;
    assert!(world.is_linked("Ada Wong").await, "{}", last(&world, "Ada Wong"));
    world.finish();
}

#[tokio::test]
async fn with_the_number_switched_off_only_the_window_links() {
    let world = World::with("PAGERBRIDGE_LINK_NUMBER", "false").await;
    world.say("Ada Wong", "linkUser").await;
    assert_eq!(world.private_cards("Ada Wong")[0].any_link(), None, "no button for a browser");
    let ada = world.person("Ada Wong").teams;
    let message = world.private_cards("Ada Wong")[0].message.id.clone();
    let window = world.teams().sign_in_window(&ada, &message, "Link Accounts").unwrap();
    let elsewhere = Browser::new().get(&window.replace("&in=teams", "")).await;
    assert_eq!((elsewhere.status, elsewhere.text.contains("works in Teams only")), (403, true), "{}", elsewhere.text);
    let browser = Browser::new();
    let callback = world.follow_link(&browser, &window, &world.pagerduty_user("Ada Wong")).await;
    let question = browser.follow(&callback).await;
    let page = world.answer_question(&browser, &question, "link").await;
    assert_eq!(page.number, "", "{}", page.text);
    assert!(page.text.contains("Teams has not taken over"));
    world.say("Ada Wong", "123 456").await;
    assert!(last(&world, "Ada Wong").contains("I do not know"), "a number is no answer: {}", last(&world, "Ada Wong"));
    assert_eq!(world.teams().sign_in(&ada, &message, &page.code).await.unwrap().status, 200);
    assert!(world.is_linked("Ada Wong").await);
    world.finish();
}

#[tokio::test]
async fn the_page_names_what_nobody_can_take_and_warns_where_it_differs() {
    let world = World::new().await;
    let tenant = world.stack.app.config.teams_tenant.to_string();
    for (upn, warns) in [("ada@example.com", false), ("Ada@Example.com", false), ("ada.wong@contoso.example", true)] {
        world.teams().set_email(&world.person("Ada Wong").teams, upn);
        world.say("Ada Wong", "linkUser").await;
        let question = world.log_in(&Browser::new(), "Ada Wong", "Ada Wong").await;
        assert!(question.text.contains(upn) && question.text.contains(&tenant), "{}", question.text);
        assert_eq!(question.text.contains("differ"), warns, "{upn}: {}", question.text);
    }
    let ada = world.person("Ada Wong").teams;
    let chat = world.teams().personal_chat(&ada).unwrap();
    let refused = Fault::status(403, "Forbidden");
    world.teams().fail_next_in(&chat, 1, &refused);
    world.say("Ada Wong", "linkUser").await;
    let question = world.log_in(&Browser::new(), "Ada Wong", "Ada Wong").await;
    assert!(question.text.contains("Teams did not say the sign-in name"), "{}", question.text);
    world.finish();
}

#[tokio::test]
async fn whoever_was_linked_before_is_told_of_a_second_link() {
    let world = World::new().await;
    world.link("Ben Okafor").await;
    let before = world.private_cards("Ben Okafor").len();
    // Somebody has got at Ben's log-in at PagerDuty.
    let browser = Browser::new();
    world.say("Ada Wong", "linkUser").await;
    let question = world.log_in(&browser, "Ada Wong", "Ben Okafor").await;
    assert!(question.text.contains("linked to another Teams user already: Ben Okafor"), "{}", question.text);
    let page = world.answer_question(&browser, &question, "link").await;
    assert_eq!(world.private_cards("Ben Okafor").len(), before, "nothing has happened yet");
    world.say("Ada Wong", &page.number).await;
    let told = world.private_cards("Ben Okafor");
    assert_eq!(told.len(), before + 1);
    assert!(told.last().unwrap().shows("Ada Wong (ada@example.com)"), "{}", told.last().unwrap().text());
    assert!(world.is_linked("Ben Okafor").await, "his own link is as before");
    // Linking anew as oneself is no news.
    world.link("Ben Okafor").await;
    assert!(!last(&world, "Ben Okafor").contains("Another Teams user"), "{}", last(&world, "Ben Okafor"));
    world.finish();
}

#[tokio::test]
async fn a_button_that_is_pressed_twice_shows_the_same_page() {
    let world = World::new().await;
    world.say("Ada Wong", "linkUser").await;
    let browser = Browser::new();
    let question = world.log_in(&browser, "Ada Wong", "Ada Wong").await;
    let first = world.answer_question(&browser, &question, "link").await;
    let second = world.answer_question(&browser, &question, "link").await;
    let reloaded = world.reload(&browser).await;
    assert_eq!((second.status, &second.number, &second.code), (200, &first.number, &first.code));
    assert_eq!((reloaded.status, &reloaded.number), (200, &first.number));
    world.finish();
}

#[tokio::test]
async fn two_log_ins_with_one_link_give_one_link() {
    let world = World::new().await;
    world.say("Ada Wong", "linkUser").await;
    let (one, two) = (Browser::new(), Browser::new());
    let question = world.log_in(&one, "Ada Wong", "Ada Wong").await;
    let first = world.answer_question(&one, &question, "link").await;
    let question = world.log_in(&two, "Ada Wong", "Chloe Martin").await;
    let second = world.answer_question(&two, &question, "link").await;
    world.say("Ada Wong", &first.number).await;
    assert!(world.is_linked("Ada Wong").await);
    world.say("Ada Wong", &second.number).await;
    let link = last(&world, "Ada Wong");
    assert!(link.contains("I am not waiting for a number"), "{link}");
    assert_eq!(world.reload(&two).await.status, 400, "the other page has nothing to wait for");
    world.finish();
}

#[tokio::test]
async fn the_tries_of_one_log_in_end_the_link_and_so_the_other_log_in_with_it() {
    let world = World::new().await;
    world.say("Ada Wong", "linkUser").await;
    let (one, two) = (Browser::new(), Browser::new());
    let question = world.log_in(&one, "Ada Wong", "Ada Wong").await;
    let first = world.answer_question(&one, &question, "link").await;
    for _ in 0..2 {
        world.say("Ada Wong", &another(&first.number)).await;
    }
    let question = world.log_in(&two, "Ada Wong", "Ada Wong").await;
    let second = world.answer_question(&two, &question, "link").await;
    let wrong = (0..)
        .map(|number| format!("{number:06}"))
        .find(|wrong| [&first, &second].iter().all(|page| page.number.replace(' ', "") != *wrong));
    world.say("Ada Wong", &wrong.unwrap()).await;
    assert!(last(&world, "Ada Wong").contains("None of the numbers"), "{}", last(&world, "Ada Wong"));
    assert_eq!(world.reload(&two).await.status, 400);
    world.finish();
}

#[tokio::test]
async fn window_and_number_at_the_same_moment_link_once_and_say_so_once() {
    let world = World::new().await;
    let page = in_the_window(&world, &Browser::new()).await;
    let told = world.private_cards("Ada Wong").len();
    let number = page.number.replace(' ', "");
    let (answers, (), third) = tokio::join!(
        join_all((0..2).map(|_| world.sign_in("Ada Wong", &page.code))),
        world.say("Ada Wong", &number),
        world.sign_in("Ada Wong", &page.code),
    );
    assert_eq!((answers, third), (vec![200, 200], 200));
    assert!(world.is_linked("Ada Wong").await);
    let cards = world.private_cards("Ada Wong").split_off(told);
    assert!(cards.iter().all(|card| card.shows("You've successfully linked")), "nobody hears that nothing was linked");
    world.finish();
}

#[tokio::test]
async fn a_code_is_on_no_page_outside_of_teams() {
    let world = World::new().await;
    let page = waiting_page(&world, &Browser::new(), "Ada Wong").await;
    assert_eq!((page.code.as_str(), page.number.is_empty()), ("", false));
    world.finish();
}

#[tokio::test]
async fn a_chat_that_is_closed_keeps_the_news_from_nobody_else() {
    let world = World::new().await;
    world.link("Ben Okafor").await;
    let page = window_of(&world, &Browser::new(), "Ben Okafor").await;
    let before = world.private_cards("Ben Okafor").len();
    let ada = world.person("Ada Wong").teams;
    let chat = world.teams().personal_chat(&ada).unwrap();
    world.teams().fail_next_in(&chat, 1, &Fault::status(403, "Forbidden"));
    assert_eq!(world.sign_in("Ada Wong", &page.code).await, 200);
    assert!(world.is_linked("Ada Wong").await);
    assert_eq!(world.private_cards("Ben Okafor").len(), before + 1, "he is told, whether Ada can be or not");
    world.finish();
}

#[tokio::test]
async fn the_page_that_waits_asks_how_it_stands() {
    let world = World::new().await;
    let browser = Browser::new();
    let page = waiting_page(&world, &browser, "Ada Wong").await;
    let asked = world.stack.app.config.public("/oauth/callback?wait");
    let standing = async || browser.api("GET", &asked, None, None).await.1["link"].as_str().unwrap().to_owned();
    assert_eq!(standing().await, "waiting");
    world.say("Ada Wong", &page.number).await;
    assert_eq!(standing().await, "linked");
    let (status, stranger) = Browser::new().api("GET", &asked, None, None).await;
    assert_eq!((status, stranger["link"].as_str()), (400, Some("over")));
    world.finish();
}

#[tokio::test]
async fn microsofts_script_is_allowed_on_the_page_in_the_window_alone() {
    let world = World::new().await;
    let policy = |page: &Page| page.headers["content-security-policy"].to_str().unwrap().to_owned();
    let opener = |page: &Page| page.headers["cross-origin-opener-policy"].to_str().unwrap().to_owned();
    let page = in_the_window(&world, &Browser::new()).await;
    let script = "https://res.cdn.office.net/teams-js/2.58.0/js/MicrosoftTeams.min.js";
    assert!(policy(&page).contains("script-src 'sha256-") && policy(&page).contains(script), "{}", policy(&page));
    assert!(page.text.contains("integrity=\"sha384-") && page.text.contains("crossorigin=\"anonymous\""));
    assert_eq!(opener(&page), "unsafe-none", "the tie to Teams' window must not be cut");
    let browser = Browser::new();
    let page = waiting_page(&world, &browser, "Ada Wong").await;
    assert!(!policy(&page).contains("https://") && policy(&page).contains("script-src 'sha256-"), "{}", policy(&page));
    assert_eq!(opener(&page), "same-origin");
    world.say("Ada Wong", &page.number).await;
    let done = world.reload(&browser).await;
    assert!(!policy(&done).contains("script-src"), "{}", policy(&done));
    world.finish();
}
