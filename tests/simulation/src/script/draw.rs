//! Draws scripts: mostly the lives of incidents, now and then a storm, a command, or a change of who is linked and what is connected.

use std::time::Duration;

use super::{Act, Button, Card, Change, ChannelFate, Manner, Script, Source, Step, TeamFate, Way, Words};
use crate::dice::Dice;
use crate::town::{GUEST_CHANNEL, GUEST_TEAM};

/// More than any town has of anything.
const MANY: usize = 60;
/// A person needs so long before they react to anything.
const REACTION: Duration = Duration::from_secs(1);
/// However long a script is, an incident that is looked after is looked after within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(20 * 60);

/// A story of some steps.
#[derive(Debug, Clone, Copy)]
enum Story {
    Life,
    Storm,
    Command,
    Form,
    AnyButton,
    Linking,
    Connecting,
    ChannelGone,
    ChannelRenamed,
    AppGone,
    Archived,
    TeamRenamed,
    Disconnected,
}

/// How often each is told, of a thousand.
const STORIES: [(u32, Story); 13] = [
    (640, Story::Life),
    (12, Story::Storm),
    (90, Story::Command),
    (30, Story::Form),
    (48, Story::AnyButton),
    (50, Story::Linking),
    (50, Story::Connecting),
    (25, Story::ChannelGone),
    (15, Story::ChannelRenamed),
    (15, Story::AppGone),
    (10, Story::Archived),
    (5, Story::TeamRenamed),
    (10, Story::Disconnected),
];

/// What happens to an incident between its beginning and its end.
#[derive(Debug, Clone, Copy)]
enum Event {
    NoteOnCard,
    NoteThere,
    Details,
    Look,
    AnyButton,
    Alert,
    Reassign,
    Escalate,
    Priority,
    Urgency,
    Title,
    StatusUpdate,
    AskResponder,
    AnswerRequest,
    Conference,
    Unacknowledge,
    Move,
    Merge,
}

const EVENTS: [(u32, Event); 18] = [
    (20, Event::NoteOnCard),
    (8, Event::NoteThere),
    (8, Event::Details),
    (6, Event::Look),
    (6, Event::AnyButton),
    (8, Event::Alert),
    (6, Event::Reassign),
    (4, Event::Escalate),
    (6, Event::Priority),
    (4, Event::Urgency),
    (3, Event::Title),
    (4, Event::StatusUpdate),
    (4, Event::AskResponder),
    (2, Event::AnswerRequest),
    (2, Event::Conference),
    (3, Event::Unacknowledge),
    (4, Event::Move),
    (3, Event::Merge),
];

impl Script {
    /// So many steps within this time.
    #[must_use]
    pub fn draw(dice: &mut Dice, steps: usize, span: Duration) -> Self {
        let mut drawing = Drawing { dice, steps: Vec::new(), wanted: steps, span, cases: 0, words: 0 };
        while drawing.steps.len() < steps {
            let story = drawing.dice.weighted(&STORIES).unwrap_or(Story::Life);
            drawing.tell(story);
        }
        let mut drawn = drawing.steps;
        drawn.sort_by_key(|step| step.at);
        Self(drawn)
    }
}

struct Drawing<'d> {
    dice: &'d mut Dice,
    steps: Vec<Step>,
    wanted: usize,
    span: Duration,
    /// So many incidents have a number.
    cases: usize,
    /// So many times somebody types something.
    words: usize,
}

impl Drawing<'_> {
    fn tell(&mut self, story: Story) {
        let at = self.dice.time(Duration::ZERO, self.span);
        match story {
            Story::Life => self.life(at),
            Story::Storm => self.storm(at),
            Story::Command => {
                let words = self.command();
                self.say(at, words);
            }
            Story::Form => self.form(at),
            Story::AnyButton => {
                let (person, card) = (self.person(), Card::Any(self.dice.below(MANY)));
                let (button, dialog) = (self.nth(), self.buttons());
                self.press_with(at, person, card, button, dialog);
            }
            Story::Linking => self.linking(at),
            Story::Connecting => self.connecting(at),
            Story::ChannelGone => {
                let channel = self.dice.below(MANY);
                self.put(at, Act::Channel { channel, fate: ChannelFate::Deleted });
                let later = self.later(at);
                self.put(later, Act::Channel { channel, fate: ChannelFate::Restored });
            }
            Story::ChannelRenamed => {
                let channel = self.dice.below(MANY);
                self.put(at, Act::Channel { channel, fate: ChannelFate::Renamed });
            }
            Story::AppGone => self.app_gone(at),
            Story::Archived => {
                let team = self.dice.below(MANY);
                self.put(at, Act::Team { team, fate: TeamFate::Archived });
                let later = self.later(at);
                self.put(later, Act::Team { team, fate: TeamFate::Unarchived });
            }
            Story::TeamRenamed => {
                let team = self.dice.below(MANY);
                self.put(at, Act::Team { team, fate: TeamFate::Renamed });
            }
            Story::Disconnected => self.disconnected(at),
        }
    }

    fn put(&mut self, at: Duration, act: Act) {
        if self.steps.len() < self.wanted {
            self.steps.push(Step { at, act });
        }
    }

    /// Some time after that, but before the end.
    fn later(&mut self, at: Duration) -> Duration {
        let longest = (self.span / 6).clamp(2 * REACTION, LONGEST_PAUSE);
        // Most react at once, some after a while.
        let longest = if self.dice.per_mille(500) { longest / 8 } else { longest };
        let then = at + self.dice.time(REACTION, longest);
        if then <= self.span { then } else { self.dice.time(at.min(self.span), self.span) }
    }

    /// At the very same time, or within the seconds in which one does not know of the other.
    fn about(&mut self, at: Duration) -> Duration {
        let shift =
            if self.dice.per_mille(300) { Duration::ZERO } else { self.dice.time(Duration::ZERO, 3 * REACTION) };
        (at + shift).min(self.span)
    }

    fn life(&mut self, at: Duration) {
        let case = self.new_cases(1);
        let service = self.service();
        let (low, source) = (self.dice.per_mille(300), self.source());
        self.put(at, Act::Trigger { case, service, low, source });
        let mut now = self.later(at);
        if self.dice.per_mille(800) {
            self.acknowledged(now, case);
        }
        for _ in 0..self.dice.below(6) {
            now = self.later(now);
            let event = self.dice.weighted(&EVENTS).unwrap_or(Event::NoteOnCard);
            self.happens(now, case, event);
        }
        if self.dice.per_mille(100) {
            return;
        }
        now = self.later(now);
        self.resolved(now, case);
        if self.dice.per_mille(150) {
            now = self.later(now);
            let person = self.person();
            self.put(now, Act::InPagerDuty { person, case, change: Change::Reopen });
            now = self.later(now);
            self.resolved(now, case);
        }
    }

    fn acknowledged(&mut self, at: Duration, case: usize) {
        let in_teams = self.dice.per_mille(650);
        if in_teams {
            self.press(at, case, Button::Acknowledge, Vec::new());
        }
        if !in_teams || self.dice.per_mille(100) {
            let (at, person) = (self.about(at), self.person());
            self.put(at, Act::InPagerDuty { person, case, change: Change::Acknowledge });
        }
    }

    fn resolved(&mut self, at: Duration, case: usize) {
        let person = self.person();
        match self.dice.below(10) {
            0..4 => self.press(at, case, Button::Resolve, Vec::new()),
            4..7 => self.put(at, Act::Recover { case }),
            7 | 8 => self.put(at, Act::InPagerDuty { person, case, change: Change::Resolve }),
            _ => self.put(at, Act::InPagerDuty { person, case, change: Change::ResolveWithNote }),
        }
    }

    fn happens(&mut self, at: Duration, case: usize, event: Event) {
        let person = self.person();
        let there = |change| Act::InPagerDuty { person, case, change };
        let act = match event {
            Event::NoteOnCard => {
                let dialog = if self.dice.per_mille(900) { vec![0] } else { Vec::new() };
                return self.press(at, case, Button::Note, dialog);
            }
            Event::Details => {
                let dialog = self.buttons();
                return self.press(at, case, Button::Details, dialog);
            }
            Event::AnyButton => {
                let (button, dialog) = (self.nth(), self.buttons());
                return self.press(at, case, button, dialog);
            }
            Event::NoteThere => there(Change::Note),
            Event::Look => Act::Look { person, card: Card::Of { case, nth: self.dice.below(MANY) } },
            Event::Alert => Act::Alert { case },
            Event::Reassign => there(Change::Reassign { to: self.dice.below(MANY) }),
            Event::Escalate => Act::Escalate { case, to: self.dice.below(MANY) },
            Event::Priority => {
                let priority = self.dice.per_mille(800).then(|| self.dice.below(MANY));
                there(Change::Priority(priority))
            }
            Event::Urgency => there(Change::Urgency { low: self.dice.per_mille(500) }),
            Event::Title => there(Change::Title),
            Event::StatusUpdate => there(Change::StatusUpdate),
            Event::AskResponder => there(Change::AskResponder { whom: self.dice.below(MANY) }),
            Event::AnswerRequest => there(Change::AnswerRequest { accepts: self.dice.per_mille(700) }),
            Event::Conference => there(Change::Conference),
            Event::Unacknowledge => Act::Unacknowledge { case },
            Event::Move => there(Change::Move { service: self.service() }),
            Event::Merge => there(Change::Merge { into: self.dice.below(self.cases) }),
        };
        self.put(at, act);
    }

    fn storm(&mut self, at: Duration) {
        let count = 12 + self.dice.below(19);
        let case = self.new_cases(count);
        let service = self.service();
        self.put(at, Act::Burst { case, count, service });
        let mut now = at;
        for _ in 0..2 + self.dice.below(4) {
            now = self.later(now);
            let (person, card) = (self.person(), Card::Storm { channel: self.dice.below(MANY) });
            let (button, dialog) = (self.nth(), self.buttons());
            self.press_with(now, person, card, button, dialog);
        }
        for case in case..case + count {
            if self.dice.per_mille(600) {
                let end = self.later(now);
                self.resolved(end, case);
            }
        }
    }

    fn command(&mut self) -> Words {
        let commands = [
            (3, Words::Help),
            (1, Words::Open),
            (5, Words::Incidents),
            (3, Words::MyIncidents),
            (4, Words::OnCall),
            (3, Words::Connections),
            (2, Words::Configure),
            (1, Words::WrongKey),
            (1, Words::Nonsense),
        ];
        self.dice.weighted(&commands).unwrap_or(Words::Help)
    }

    fn say(&mut self, at: Duration, words: Words) {
        let (person, channel) = (self.person(), self.dice.per_mille(700).then(|| self.dice.below(MANY)));
        self.put(at, Act::Say { person, channel, words });
    }

    /// Somebody asks for the form for a new incident and fills it in.
    fn form(&mut self, at: Duration) {
        let case = self.new_cases(1);
        let person = self.person();
        self.put(at, Act::Say { person, channel: None, words: Words::Trigger { case } });
        let then = (at + self.dice.time(3 * REACTION, 10 * REACTION)).min(self.span);
        let words = self.words();
        // The newest card in their chat is the offer of the form.
        let (card, button, manner) = (Card::Mine(0), Button::Nth(0), self.manner());
        self.put(then, Act::Press { person, card, button, manner, dialog: vec![0], words });
        let now = self.later(then);
        self.resolved(now, case);
    }

    fn linking(&mut self, at: Duration) {
        let (person, window) = (self.dice.below(MANY), self.dice.per_mille(500));
        let (first, second) = if self.dice.per_mille(600) {
            (Act::Link { person, window }, Act::Unlink { person })
        } else {
            (Act::Unlink { person }, Act::Link { person, window })
        };
        self.put(at, first);
        if self.dice.per_mille(500) {
            let then = self.later(at);
            self.put(then, second);
        }
    }

    fn connecting(&mut self, at: Duration) {
        let (service, channel) = (self.service(), self.dice.below(MANY));
        let manager = |dice: &mut Dice| if dice.per_mille(850) { dice.below(2) } else { dice.below(MANY) };
        let (connector, remover) = (manager(self.dice), manager(self.dice));
        let connect = Act::Connect { person: connector, service, channel, way: self.way() };
        let remove = Act::Remove { person: remover, service, channel, way: self.way() };
        let (first, second) = if self.dice.per_mille(600) { (connect, remove) } else { (remove, connect) };
        self.put(at, first);
        if self.dice.per_mille(800) {
            let then = self.later(at);
            self.put(then, second);
        }
    }

    /// The app is removed from a team and comes back, which then has to be connected again.
    fn app_gone(&mut self, at: Duration) {
        let (team, person) = (GUEST_TEAM, self.dice.below(2));
        self.put(at, Act::Team { team, fate: TeamFate::AppRemoved });
        let mut now = self.later(at);
        self.put(now, Act::Team { team, fate: TeamFate::AppAdded(person) });
        now = self.later(now);
        self.put(now, Act::Authorize { person, team });
        now = self.later(now);
        let (service, way) = (self.service(), self.way());
        self.put(now, Act::Connect { person: 0, service, channel: GUEST_CHANNEL, way });
    }

    fn disconnected(&mut self, at: Duration) {
        let team = self.dice.below(MANY);
        self.put(at, Act::Disconnect { person: 0, team });
        let mut now = self.later(at);
        self.put(now, Act::Authorize { person: 0, team });
        for _ in 0..2 {
            now = self.later(now);
            let (person, window) = (self.dice.below(2), self.dice.per_mille(500));
            self.put(now, Act::Link { person, window });
        }
        for _ in 0..2 {
            now = self.later(now);
            let (service, channel, way) = (self.service(), self.dice.below(MANY), self.way());
            self.put(now, Act::Connect { person: 0, service, channel, way });
        }
    }

    fn press(&mut self, at: Duration, case: usize, button: Button, dialog: Vec<usize>) {
        let (person, card) = (self.person(), Card::Of { case, nth: self.dice.below(MANY) });
        self.press_with(at, person, card, button, dialog);
    }

    fn press_with(&mut self, at: Duration, person: usize, card: Card, button: Button, dialog: Vec<usize>) {
        let (manner, words) = (self.manner(), self.words());
        self.put(at, Act::Press { person, card, button, manner, dialog, words });
    }

    fn manner(&mut self) -> Manner {
        let other = self.person();
        let manners = [(80, Manner::Once), (6, Manner::Twice), (6, Manner::Resent), (8, Manner::With(other))];
        self.dice.weighted(&manners).unwrap_or(Manner::Once)
    }

    fn source(&mut self) -> Source {
        match self.dice.below(20) {
            0..9 => Source::Tool,
            9..11 => Source::ToolWithPage,
            11..15 => Source::ToolWithDetails,
            15..17 => Source::ToolWithPriority(self.dice.below(MANY)),
            17 => Source::Orchestration,
            _ => Source::Person(self.person()),
        }
    }

    /// Mostly the two who are linked and may do everything.
    fn person(&mut self) -> usize {
        self.dice.weighted(&[(8, 0), (8, 1), (3, 2), (2, 3), (1, 4)]).unwrap_or(0)
    }

    fn service(&mut self) -> usize {
        self.dice.below(MANY)
    }

    fn nth(&mut self) -> Button {
        Button::Nth(self.dice.below(MANY))
    }

    /// What is pressed in a dialog: up to three buttons.
    fn buttons(&mut self) -> Vec<usize> {
        (0..self.dice.below(4)).map(|_| self.dice.below(MANY)).collect()
    }

    fn way(&mut self) -> Way {
        if self.dice.per_mille(600) { Way::Command } else { Way::Page }
    }

    fn new_cases(&mut self, count: usize) -> usize {
        let first = self.cases;
        self.cases += count;
        first
    }

    fn words(&mut self) -> usize {
        self.words += 1;
        self.words
    }
}
