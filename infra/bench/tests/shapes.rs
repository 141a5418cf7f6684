//! A tenth of each storm, in virtual time: what `infra/docs/reliability.md` promises of the whole ones.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::time::Duration;

use bench::shapes::{Row, Shape};

const SECOND: Duration = Duration::from_secs(1);

async fn tenth_of(name: &str) -> Row {
    part_of(name, 0.1).await
}

async fn part_of(name: &str, scale: f64) -> Row {
    let row = Shape::named(name).unwrap().run(scale).await.unwrap();
    assert_eq!((row.refused, row.wrong), (0, 0), "{}", row.measured);
    row
}

async fn within(name: &str, most: Duration) -> Row {
    let row = tenth_of(name).await;
    assert!(row.p99.is_some_and(|p99| p99 <= most), "{}", row.measured);
    row
}

#[tokio::test(start_paused = true)]
async fn a_hundred_incidents_in_one_channel_are_shown_within_ten_seconds() {
    within("a-1000", SECOND * 10).await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_in_one_channel_take_few_calls() {
    let row = within("b-10000", SECOND * 60).await;
    assert!(row.calls <= 30, "{}", row.measured);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_over_fifty_channels_are_shown_within_fifteen_seconds() {
    within("c-50-channels", SECOND * 15).await;
}

#[tokio::test(start_paused = true)]
async fn minutes_of_a_storm_are_all_accounted_for() {
    // One minute: a tenth of it, six, takes an unoptimised build as long as all others together.
    let row = part_of("d-hour", 1.0 / 60.0).await;
    assert!(
        row.calls <= 30 + 60,
        "a sixtieth, and what the five minutes until the last is resolved add: {}",
        row.measured
    );
}

#[tokio::test(start_paused = true)]
async fn a_quiet_channel_is_on_time_beside_fifty_storms() {
    within("e-quiet", SECOND * 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_quiet_channel_is_on_time_beside_twenty_that_hang() {
    within("f-hanging", SECOND * 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_top_priority_has_its_card_within_five_seconds() {
    within("g-p1", SECOND * 5).await;
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_nothing_that_is_over_is_posted() {
    within("h-outage", SECOND * 10).await;
}

#[tokio::test(start_paused = true)]
async fn a_card_that_is_refused_for_ever_delays_nobody() {
    tenth_of("i-refused").await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_trigger_and_a_disabled_subscription_take_less_than_90_seconds() {
    for name in ["lost-trigger", "disabled"] {
        within(name, SECOND * 90).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_rests_asks_twice_a_minute() {
    tenth_of("idle").await;
}

#[tokio::test(start_paused = true)]
async fn missed_resolves_are_true_within_fifteen_minutes() {
    for name in ["missed-resolves", "missed-in-one"] {
        within(name, SECOND * 900).await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_day_of_disabled_subscriptions_every_card_is_true_within_two_minutes() {
    within("a-day", SECOND * 120).await;
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_open_incidents_of_many_services_are_all_known() {
    part_of("many-open", 0.02).await;
}
