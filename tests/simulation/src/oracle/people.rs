//! What the chronicle tells of people: where they have connected what, who is linked, and what they have asked for.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::acts::{Change, Click, Deed, Says, Told};
use super::places::{Period, Places};
use crate::chronicle::Event;
use crate::people::{Answer, Did, Outcome, Press};
use crate::town::Town;

/// All that people have done.
#[derive(Debug, Clone, Default)]
pub struct Doings {
    pub places: Places,
    pub clicks: Vec<Click>,
    /// What the audit is to tell of.
    pub changes: Vec<Change>,
}

/// How sure somebody can be that something is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sure {
    Yes,
    Maybe,
    No,
}

impl Sure {
    /// Whether what was wanted is so now. A refusal for now may come after half of the work.
    fn of(how: &Outcome) -> Self {
        const FOR_NOW: [&str; 5] = ["try again", "Try again", "did not work", "moment", "not certain"];
        match how {
            Outcome::Done => Self::Yes,
            Outcome::Refused(why) if FOR_NOW.iter().any(|words| why.contains(words)) => Self::Maybe,
            Outcome::Refused(_) => Self::No,
            Outcome::Unclear(_) => Self::Maybe,
        }
    }
}

/// A time in which something was so: surely, if `is_sure`.
#[derive(Debug, Clone, Copy)]
struct Spell {
    from: Timestamp,
    until: Option<Timestamp>,
    is_sure: bool,
}

impl Spell {
    fn touches(&self, from: Timestamp, to: Timestamp) -> bool {
        self.from <= to && self.until.is_none_or(|until| until >= from)
    }
}

/// Reads the chronicle of a town.
struct Reader<'a> {
    town: &'a Town,
    doings: Doings,
    /// When each person may have been linked.
    linked: BTreeMap<usize, Vec<Spell>>,
    /// When each team surely was disconnected from PagerDuty.
    left: BTreeMap<&'a str, Vec<Spell>>,
}

impl Doings {
    /// What people have done in this town.
    #[must_use]
    pub fn read(town: &Town, events: &[(Timestamp, Event)]) -> Self {
        let start = Timestamp::UNIX_EPOCH;
        let periods = town.connected.iter().filter_map(|wanted @ (service, channel)| {
            let (service, channel) = (town.services.get(*service)?, town.channels.get(*channel)?);
            let only_high = town.only_high.contains(wanted);
            Some(Period { only_high, ..Period::since(service, &channel.id, start) })
        });
        let places = Places { periods: periods.collect(), ..Places::default() };
        let linked = town.people.iter().enumerate().filter(|(_, person)| person.is_linked);
        let mut reader = Reader {
            town,
            doings: Self { places, ..Self::default() },
            linked: linked
                .map(|(person, _)| (person, vec![Spell { from: start, until: None, is_sure: true }]))
                .collect(),
            left: BTreeMap::new(),
        };
        let mut begun: BTreeMap<usize, Timestamp> = BTreeMap::new();
        let mut pressed = Vec::new();
        for (at, event) in events {
            match event {
                Event::Begun(step, _) => {
                    begun.insert(*step, *at);
                }
                Event::Done(step, Did::Pressed { conversation, presses, .. }) => {
                    pressed.push((begun.get(step).copied().unwrap_or(*at), *at, conversation, presses));
                }
                Event::Done(step, did) => reader.take(begun.get(step).copied().unwrap_or(*at), *at, did),
                _ => {}
            }
        }
        for (begun, ended, conversation, presses) in pressed {
            reader.press(begun, ended, conversation, presses);
        }
        reader.doings
    }
}

impl<'a> Reader<'a> {
    fn take(&mut self, begun: Timestamp, ended: Timestamp, did: &'a Did) {
        match did {
            Did::Connected { service, channel, how, .. } => self.connect(begun, ended, service, channel, how),
            Did::Removed { service, channel, how, .. } => {
                let is_it = |period: &Period| period.service == *service && period.channel == *channel;
                if self.end(begun, ended, how, is_it) {
                    self.is_to_be_told(begun, ended, "disconnected the service", "a service that was removed");
                }
            }
            Did::Disconnected { team, how, .. } => {
                let channels: Vec<&str> = self.channels(team).collect();
                self.end(begun, ended, how, |period| channels.contains(&period.channel.as_str()));
                if Sure::of(how) == Sure::Yes {
                    if !self.has_left(team, begun, begun) {
                        self.is_to_be_told(begun, ended, "disconnected the team", "a team that was disconnected");
                    }
                    self.left.entry(team).or_default().push(Spell { from: ended, until: None, is_sure: true });
                }
                self.forget_links(ended);
            }
            Did::Authorized { team, how, .. } if Sure::of(how) != Sure::No => {
                let known = self.left.get_mut(team.as_str()).and_then(|spells| spells.last_mut());
                let has_left = known.filter(|spell| spell.until.is_none() && spell.from < begun);
                if let Some(spell) = has_left {
                    spell.until = Some(begun);
                    if Sure::of(how) == Sure::Yes {
                        self.is_to_be_told(begun, ended, "connected the team", "a team that was connected");
                    }
                }
            }
            Did::Linked { person, how, .. } => {
                let is_sure = Sure::of(how) == Sure::Yes;
                if is_sure {
                    self.is_to_be_told(begun, ended, "linked the Teams user", "a link");
                }
                if is_sure || Sure::of(how) == Sure::Maybe {
                    self.linked.entry(*person).or_default().push(Spell { from: begun, until: None, is_sure });
                }
            }
            Did::Unlinked { person, how } => {
                let spells = self.linked.entry(*person).or_default();
                let is_told = spells.iter().any(|spell| spell.is_sure && spell.until.is_none() && spell.from < begun);
                let is_over = Sure::of(how) == Sure::Yes;
                for spell in spells.iter_mut().filter(|spell| spell.until.is_none() && spell.from < begun) {
                    spell.is_sure = false;
                    spell.until = is_over.then_some(ended);
                }
                if is_told && is_over {
                    self.is_to_be_told(begun, ended, "unlinked the Teams user", "a link that was ended");
                }
            }
            _ => {}
        }
    }

    fn connect(&mut self, begun: Timestamp, ended: Timestamp, service: &str, channel: &str, how: &Outcome) {
        let sure = Sure::of(how);
        let periods = &mut self.doings.places.periods;
        let mut here = periods.iter_mut().filter(|period| period.service == service && period.channel == channel);
        let known = here.by_ref().find(|period| period.until.is_none());
        match known {
            Some(period) if sure == Sure::Yes => {
                period.from = period.from.or(Some(ended));
                // It may have been made anew since.
                if period.ending.take().is_some() {
                    period.from = Some(ended);
                }
            }
            None if sure != Sure::No => {
                let from = (sure == Sure::Yes).then_some(ended);
                periods.push(Period { begun, from, ..Period::since(service, channel, begun) });
                if sure == Sure::Yes {
                    self.is_to_be_told(begun, ended, "connected the service", "a service that was connected");
                }
            }
            Some(_) | None => {}
        }
    }

    /// Ends what lasts. Whether something surely has been ended by it.
    fn end(&mut self, begun: Timestamp, ended: Timestamp, how: &Outcome, is_meant: impl Fn(&Period) -> bool) -> bool {
        let sure = Sure::of(how);
        let mut has_ended = false;
        if sure == Sure::No {
            return has_ended;
        }
        let periods = self.doings.places.periods.iter_mut();
        for period in periods.filter(|period| period.until.is_none() && period.begun < ended && is_meant(period)) {
            has_ended |= sure == Sure::Yes && period.lasts_since().is_some_and(|since| since < begun);
            period.ending = period.ending.or(Some(begun));
            period.until = (sure == Sure::Yes).then_some(ended);
        }
        has_ended
    }

    /// The links of a tenant end with its last team.
    fn forget_links(&mut self, ended: Timestamp) {
        let all_left = self.town.teams.iter().all(|team| self.has_left(&team.id, ended, ended));
        for spell in self.linked.values_mut().flatten().filter(|spell| spell.until.is_none()) {
            spell.is_sure = false;
            spell.until = all_left.then_some(ended);
        }
    }

    fn channels(&self, team: &str) -> impl Iterator<Item = &'a str> {
        let number = self.town.teams.iter().position(|known| known.id == team);
        let channels = self.town.channels.iter().filter(move |channel| Some(channel.team) == number);
        channels.map(|channel| channel.id.as_str())
    }

    /// Whether the team surely was disconnected all this time.
    fn has_left(&self, team: &str, from: Timestamp, to: Timestamp) -> bool {
        let mut spells = self.left.get(team).into_iter().flatten();
        spells.any(|spell| spell.from <= from && spell.until.is_none_or(|until| until > to))
    }

    fn is_to_be_told(&mut self, begun: Timestamp, ended: Timestamp, words: &'static str, what: &str) {
        self.doings.changes.push(Change { begun, ended, words, what: what.to_owned() });
    }

    fn press(&mut self, begun: Timestamp, ended: Timestamp, conversation: &str, presses: &[Press]) {
        let mut groups: Vec<(&Press, Vec<&Answer>)> = Vec::new();
        for press in presses.iter().filter(|press| press.answer.was_sent()) {
            let is_same = |known: &Press| {
                (known.person, &known.verb, &known.incident, &known.typed)
                    == (press.person, &press.verb, &press.incident, &press.typed)
            };
            match groups.iter_mut().find(|(known, _)| is_same(known)) {
                Some((_, answers)) => answers.push(&press.answer),
                None => groups.push((press, vec![&press.answer])),
            }
        }
        let team = self.town.channels.iter().find(|channel| channel.id == conversation);
        let team = team.and_then(|channel| self.town.teams.get(channel.team));
        let has_left = team.is_some_and(|team| self.has_left(&team.id, begun, ended));
        for (press, answers) in groups {
            let Some(person) = self.town.people.get(press.person) else { continue };
            let mut spells = self.linked.get(&press.person).into_iter().flatten();
            let is_linked = spells.any(|spell| spell.touches(begun, ended));
            let (deeds, says) = meant(press);
            self.doings.clicks.push(Click {
                begun,
                ended,
                who: person.name.clone(),
                user: person.pagerduty.clone().filter(|_| is_linked && !has_left),
                told: told(&deeds, &answers),
                deeds,
                incident: press.incident.clone(),
                says,
            });
        }
    }
}

/// What a press asks for.
fn meant(press: &Press) -> (Vec<Deed>, Says) {
    let note = || press.typed.clone().map_or(Says::Nothing, Says::This);
    match press.verb.as_str() {
        "acknowledge" => (vec![Deed::Acknowledge], Says::Nothing),
        "resolve" => (vec![Deed::Resolve], Says::Nothing),
        "addNote" => (vec![Deed::Note], note()),
        "trigger" => (vec![Deed::Open], Says::Anything),
        // What they have wanted before.
        "resume" => (vec![Deed::Acknowledge, Deed::Resolve, Deed::Note, Deed::Open], Says::Anything),
        _ => (Vec::new(), Says::Nothing),
    }
}

/// What somebody was told, all in all.
fn told(deeds: &[Deed], answers: &[&Answer]) -> Told {
    let said: Vec<Told> = answers.iter().map(|answer| said(deeds, answer)).collect();
    if said.contains(&Told::Done) {
        Told::Done
    } else if !said.is_empty() && said.iter().all(|one| *one == Told::Nothing) {
        Told::Nothing
    } else {
        Told::Unclear
    }
}

fn said(deeds: &[Deed], answer: &Answer) -> Told {
    const NOTHING: [&str; 8] = [
        "did not take this",
        "nothing was done",
        "nothing was added",
        "was not added",
        "does not allow you to do this",
        "Not acknowledged: ",
        "is not linked yet",
        "did not accept this",
    ];
    let done = match deeds {
        [Deed::Acknowledge] => "Acknowledged",
        [Deed::Resolve] => "Resolved",
        [Deed::Note] => "The note was added",
        _ => return Told::Unclear,
    };
    let (text, begins) = match answer {
        Answer::Card { text } => (text, text.lines().any(|line| line.starts_with(done))),
        Answer::Told(text) | Answer::Refused(text) => (text, text.starts_with(done)),
        _ => return Told::Unclear,
    };
    let is_nothing = !matches!(answer, Answer::Card { .. }) && NOTHING.iter().any(|words| text.contains(words));
    match (begins, is_nothing) {
        (true, _) => Told::Done,
        (false, true) => Told::Nothing,
        (false, false) => Told::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::super::by_hand::at;
    use super::*;
    use crate::script::{Act, Words};
    use crate::town::{Channel, Person, Team};

    fn town() -> Town {
        let person = |name: &str, is_linked| Person {
            name: name.to_owned(),
            teams: format!("29:{name}"),
            pagerduty: Some(name.to_uppercase()),
            is_linked,
            may_act: true,
        };
        Town {
            teams: vec![Team { id: "T".to_owned() }],
            channels: vec![Channel { id: "C".to_owned(), team: 0 }],
            services: vec!["S".to_owned(), "S2".to_owned()],
            people: vec![person("ada", true), person("chloe", false)],
            connected: vec![(0, 0)],
            ..Town::default()
        }
    }

    /// Each lasts for a second.
    fn read(steps: &[(i64, Did)]) -> Doings {
        let act = || Act::Say { person: 0, channel: None, words: Words::Help };
        let events = steps.iter().zip(0..).flat_map(|((second, did), step)| {
            [(at(*second), Event::Begun(step, act())), (at(second + 1), Event::Done(step, did.clone()))]
        });
        Doings::read(&town(), &events.collect::<Vec<_>>())
    }

    fn lasting(doings: &Doings) -> Vec<(&str, Option<Timestamp>)> {
        let lasts = |period: &Period| period.ending.is_none();
        let lasting = doings.places.periods.iter().filter(|period| lasts(period));
        lasting.map(|period| (period.service.as_str(), period.from)).collect()
    }

    fn unclear() -> Outcome {
        Outcome::Unclear("no answer came".to_owned())
    }

    #[test]
    fn connections_come_and_go_as_people_saw_it() {
        let connect = |service: &str, how| Did::Connected {
            person: 0,
            service: service.to_owned(),
            channel: "C".to_owned(),
            how,
            was_connected: false,
        };
        let remove = |how| Did::Removed { person: 0, service: "S".to_owned(), channel: "C".to_owned(), how };
        let leave = |how| Did::Disconnected { person: 0, team: "T".to_owned(), how };
        let refused = || Outcome::Refused("You may not.".to_owned());
        let busy = || Outcome::Refused("That did not work.".to_owned());
        let start = Some(Timestamp::UNIX_EPOCH);
        for (what, steps, expected, told) in [
            ("nothing", vec![], vec![("S", start)], 0),
            ("one more", vec![(1, connect("S2", Outcome::Done))], vec![("S", start), ("S2", Some(at(2)))], 1),
            ("the same again", vec![(1, connect("S", Outcome::Done))], vec![("S", start)], 0),
            ("one more, perhaps", vec![(1, connect("S2", unclear()))], vec![("S", start), ("S2", None)], 0),
            ("none more", vec![(1, connect("S2", refused()))], vec![("S", start)], 0),
            ("removed", vec![(1, remove(Outcome::Done))], vec![], 1),
            ("removed, perhaps", vec![(1, remove(unclear()))], vec![], 0),
            ("half removed", vec![(1, remove(busy()))], vec![], 0),
            ("not removed", vec![(1, remove(refused()))], vec![("S", start)], 0),
            ("removed, and again", vec![(1, remove(Outcome::Done)), (5, remove(Outcome::Done))], vec![], 1),
            (
                "and back",
                vec![(1, remove(Outcome::Done)), (5, connect("S", Outcome::Done))],
                vec![("S", Some(at(6)))],
                2,
            ),
            (
                "perhaps, and back",
                vec![(1, remove(unclear())), (5, connect("S", Outcome::Done))],
                vec![("S", Some(at(6)))],
                0,
            ),
            ("the team", vec![(1, leave(Outcome::Done))], vec![], 1),
        ] {
            let doings = read(&steps);
            assert_eq!((lasting(&doings), doings.changes.len()), (expected, told), "{what}");
        }
    }

    fn press(person: usize, verb: &str, typed: Option<&str>, again: bool, answer: Answer) -> Press {
        Press {
            person,
            on_card: true,
            title: String::new(),
            verb: verb.to_owned(),
            incident: Some("Q1".to_owned()),
            typed: typed.map(str::to_owned),
            again,
            answer,
        }
    }

    fn pressed(presses: Vec<Press>) -> Did {
        Did::Pressed { conversation: "C".to_owned(), message: "1".to_owned(), presses }
    }

    #[test]
    fn whoever_clicks_is_who_they_are_linked_to() {
        let click = |person| pressed(vec![press(person, "resolve", None, false, Answer::Silence)]);
        let link = |how| Did::Linked { person: 1, pagerduty: Some("CHLOE".to_owned()), how };
        let unlink = |how| Did::Unlinked { person: 0, how };
        let leave = || Did::Disconnected { person: 0, team: "T".to_owned(), how: Outcome::Done };
        for (what, steps, expected) in [
            ("linked", vec![(9, click(0))], Some("ADA")),
            ("not linked", vec![(9, click(1))], None),
            ("linked since", vec![(1, link(Outcome::Done)), (9, click(1))], Some("CHLOE")),
            ("linked, perhaps", vec![(1, link(unclear())), (9, click(1))], Some("CHLOE")),
            ("linked later", vec![(9, click(1)), (20, link(Outcome::Done))], None),
            ("unlinked", vec![(1, unlink(Outcome::Done)), (9, click(0))], None),
            ("unlinked, perhaps", vec![(1, unlink(unclear())), (9, click(0))], Some("ADA")),
            ("the team has left", vec![(1, leave()), (9, click(0))], None),
        ] {
            let clicks = read(&steps).clicks;
            assert_eq!(clicks.iter().map(|click| click.user.as_deref()).collect::<Vec<_>>(), [expected], "{what}");
        }
    }

    #[test]
    fn a_click_is_one_however_often_it_is_sent() {
        let said = |text: &str| Answer::Told(text.to_owned());
        let note = |text, answer| press(0, "addNote", Some(text), false, answer);
        let ack = |again, answer| press(0, "acknowledge", None, again, answer);
        let card = |text: &str| Answer::Card { text: text.to_owned() };
        for (what, presses, expected) in [
            ("sent twice", vec![ack(false, Answer::Silence), ack(true, said("Acknowledged #1."))], vec![Told::Done]),
            ("shown", vec![ack(false, card("Acknowledged · High · A → Ada"))], vec![Told::Done]),
            ("shown otherwise", vec![ack(false, card("Triggered · High · A → Ada"))], vec![Told::Unclear]),
            (
                "refused",
                vec![ack(false, said("PagerDuty is busy and did not take this. Please try again."))],
                vec![Told::Nothing],
            ),
            (
                "refused once",
                vec![ack(false, said("nothing was done")), ack(true, Answer::Silence)],
                vec![Told::Unclear],
            ),
            (
                "two notes",
                vec![note("a", said("The note was added.")), note("b", said("…"))],
                vec![Told::Done, Told::Unclear],
            ),
            ("never sent", vec![ack(false, Answer::NotSent("gone".to_owned()))], vec![]),
            ("nothing to do", vec![press(0, "details", None, false, said("Resolved"))], vec![Told::Unclear]),
        ] {
            let clicks = read(&[(1, pressed(presses))]).clicks;
            assert_eq!(clicks.iter().map(|click| click.told).collect::<Vec<_>>(), expected, "{what}");
        }
    }
}
