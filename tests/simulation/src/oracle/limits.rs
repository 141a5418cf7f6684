//! Limits that were broken, and webhooks that were refused.

use std::collections::BTreeMap;

use jiff::Timestamp;
use simulators::teams::Teams;

use super::{Breach, Broken};
use crate::chronicle::{Became, Event, Function};

/// Webhooks of known subscriptions that were answered 4xx: PagerDuty gives such a subscription up.
#[must_use]
pub fn refused(events: &[(Timestamp, Event)]) -> Vec<Breach> {
    let refused = events.iter().filter_map(|(at, event)| match event {
        Event::Webhook { event, status: Some(status @ 400..=499) } => {
            Some(Breach { what: Broken::Refused, how: format!("{event} at {at} was answered {status}") })
        }
        _ => None,
    });
    refused.collect()
}

/// What Teams holds against the bot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    /// Requests that were refused because there were too many.
    pub refused: u64,
    pub complaints: Vec<String>,
    pub unknown: Vec<String>,
    pub dead_on_phones: Vec<String>,
}

impl Held {
    /// Without what a client saw of a bot that had died, for which AWS answers, or that could not know whose words it heard.
    #[must_use]
    pub fn by(teams: &Teams, events: &[(Timestamp, Event)]) -> Self {
        let rotations = events.iter().filter(|(_, event)| is_rotation(event)).count();
        let mut excused = deaths(events) + strangers(events);
        let mut is_ours = |complaint: &String| {
            // Whoever changes the secret on both sides leaves one try with the old one.
            let is_old_secret = rotations > 0 && complaint.contains("Invalid client secret");
            let is_excused = is_old_secret || excused > 0 && complaint.contains("cannot be read: HTTP 50");
            excused -= usize::from(is_excused && !is_old_secret);
            !is_excused
        };
        Self {
            refused: teams.refused_by_limits(),
            complaints: teams.complaints().into_iter().filter(&mut is_ours).collect(),
            unknown: teams.unknown_requests(),
            dead_on_phones: teams.dead_on_phones(),
        }
    }
}

fn is_rotation(event: &Event) -> bool {
    matches!(event, Event::Fault(what) if what.contains("TeamsClientSecret"))
}

/// How often bot-messages was killed, or ran out of time.
fn deaths(events: &[(Timestamp, Event)]) -> usize {
    let begun = |id: u64| events.iter().any(|(_, event)| *event == Event::Invoked(id, Function::BotMessages));
    events.iter().filter(|(_, event)| matches!(event, Event::Ended(id, false) if begun(*id))).count()
}

/// How many invocations of bot-messages asked twice for the keys that tokens are signed with, and got them neither time.
fn strangers(events: &[(Timestamp, Event)]) -> usize {
    let mut refused = BTreeMap::<u64, usize>::new();
    for (_, event) in events {
        if let Event::Called(id, call, became) = event
            && call.function == Function::BotMessages
            && call.what.contains("/.well-known/")
            && !matches!(became, Became::Answered(200))
        {
            *refused.entry(*id).or_default() += 1;
        }
    }
    // One that hangs takes the time of the second.
    let hangs = |id: &u64| {
        let is_it = |event: &Event| matches!(event, Event::Called(of, call, Became::Refused(None) | Became::AnswerLost(None)) if of == id && call.what.contains("/.well-known/"));
        events.iter().any(|(_, event)| is_it(event))
    };
    refused.iter().filter(|(id, times)| **times > 1 || hangs(id)).count()
}

/// Limits of Teams that were broken.
#[must_use]
pub fn limits(held: &Held) -> Vec<Breach> {
    let Held { refused, complaints, unknown, dead_on_phones } = held;
    let too_many = (*refused > 0).then(|| format!("{refused} requests were more than Teams takes"));
    let others = [("complains", complaints), ("knows no", unknown), ("shows on no phone", dead_on_phones)];
    let others = others.into_iter().flat_map(|(what, all)| all.iter().map(move |one| format!("Teams {what}: {one}")));
    too_many.into_iter().chain(others).map(|how| Breach { what: Broken::Limit, how }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::by_hand::at;
    use super::*;
    use crate::chronicle::{Call, Neighbour};

    #[test]
    fn no_webhook_is_refused() {
        for (status, expected) in [(Some(202), 0), (Some(500), 0), (None, 0), (Some(404), 1), (Some(429), 1)] {
            let event = Event::Webhook { event: "incident.triggered".to_owned(), status };
            assert_eq!(refused(&[(at(0), event)]).len(), expected, "{status:?}");
        }
    }

    #[test]
    fn only_bot_messages_dies_under_a_click() {
        let run = |id, function, well| [(at(0), Event::Invoked(id, function)), (at(1), Event::Ended(id, well))];
        for (what, events, expected) in [
            ("it ended well", run(1, Function::BotMessages, true), 0),
            ("it died", run(1, Function::BotMessages, false), 1),
            ("another one died", run(1, Function::Reconciler, false), 0),
        ] {
            assert_eq!(deaths(&events), expected, "{what}");
        }
    }

    #[test]
    fn whose_words_it_hears_is_asked_twice() {
        let ask = |became| {
            let what = "GET /v1/.well-known/keys".to_owned();
            let call = Call { function: Function::BotMessages, to: Neighbour::Teams, what };
            (at(0), Event::Called(1, call, became))
        };
        let refused = || ask(Became::Refused(Some(500)));
        for (what, events, expected) in [
            ("once is not enough", vec![refused(), ask(Became::Answered(200))], 0),
            ("never told", vec![refused(), refused()], 1),
            ("no answer in time", vec![ask(Became::Refused(None))], 1),
        ] {
            assert_eq!(strangers(&events), expected, "{what}");
        }
    }

    #[test]
    fn teams_holds_nothing_against_the_bot() {
        let said = || vec!["what it was".to_owned()];
        for (held, expected) in [
            (Held::default(), 0),
            (Held { refused: 3, ..Held::default() }, 1),
            (Held { complaints: said(), ..Held::default() }, 1),
            (Held { unknown: said(), ..Held::default() }, 1),
            (Held { dead_on_phones: said(), ..Held::default() }, 1),
        ] {
            assert_eq!(limits(&held).len(), expected, "{held:?}");
        }
    }
}
