//! Teams' faults, and those of what we have there.

use jiff::SignedDuration;
use runtime::Metric;
use simulators::teams::Fault;

use super::{SHORT, Trial, USUAL};
use crate::platform::Function;
use crate::stack::Stack;

/// More than any test asks for.
const ALWAYS: usize = 1_000_000;

/// How late a card has to be.
const LATE: SignedDuration = SignedDuration::from_mins(5);

fn is_back(stack: &Stack) {
    stack.inside().teams.clear_faults();
}

#[tokio::test(start_paused = true)]
async fn entra_gives_the_bot_no_token() {
    let trial = Box::pin(Trial::new()).await;
    let teams = &trial.stack.inside().teams;
    teams.revoke_tokens();
    teams.fail_next_token(ALWAYS, &Fault::status(401, "invalid_client"));
    let effect = trial.first(Function::Sender, Metric::AppTokenFailures).await;
    trial.rings("AppTokenAlarm", effect, SHORT, async |stack| is_back(stack)).await;
}

#[tokio::test(start_paused = true)]
async fn a_card_is_refused_for_good() {
    let trial = Box::pin(Trial::new()).await;
    trial.stack.inside().teams.never_take("Poison", &Fault::status(400, "BadSyntax"));
    let effect = trial.stack.now();
    let incident = trial.stack.inside().pagerduty.trigger(&trial.place.service, "Poison", "high");
    let person = trial.stack.add_person("Ada", "user");
    trial
        .rings("ParkedAlarm", effect, USUAL, async |stack| {
            is_back(stack);
            stack.inside().pagerduty.resolve(&incident, &person.pagerduty);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_deleted() {
    let trial = Box::pin(Trial::new()).await;
    let channel = trial.place.channel.clone();
    let person = trial.stack.add_person("Ada", "user");
    trial.stack.inside().teams.add_member(&trial.stack.team, &person.teams).await.unwrap();
    trial.stack.inside().teams.drop_channel(&channel);
    let effect = trial.stack.now();
    trial
        .rings("ChannelsLostAlarm", effect, USUAL, async |stack| {
            stack.inside().teams.restore_channel(&channel).await.unwrap();
        })
        .await;
}

async fn late(fault: impl AsyncFnOnce(&Stack, &str), end: impl AsyncFnOnce(&Stack, &str)) {
    let trial = Box::pin(Trial::new()).await;
    let (channel, began) = (trial.place.channel.clone(), trial.stack.now());
    fault(&trial.stack, &channel).await;
    let effect = began.checked_add(LATE).unwrap();
    trial.rings("OldestUnfinishedAlarm", effect, 2 * USUAL, async |stack| end(stack, &channel).await).await;
}

#[tokio::test(start_paused = true)]
async fn teams_never_answers_in_a_channel() {
    late(
        async |stack, channel| stack.inside().teams.hang_in(channel, true),
        async |stack, channel| stack.inside().teams.hang_in(channel, false),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn teams_answers_with_errors() {
    late(
        async |stack, _| stack.inside().teams.fail_next(ALWAYS, &Fault::status(502, "BadGateway")),
        async |stack, _| is_back(stack),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn teams_throttles_a_channel() {
    late(
        async |stack, channel| stack.inside().teams.fail_next_in(channel, ALWAYS, &Fault::throttled(10)),
        async |stack, _| is_back(stack),
    )
    .await;
}
