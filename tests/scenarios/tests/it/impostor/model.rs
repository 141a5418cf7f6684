//! What linking is meant to do, as a small machine of its own: it shares no code with the program.

use Side::{Attacker, Victim};

/// Two people: each has a Teams user, a PagerDuty user, and a browser in which they are logged in at PagerDuty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Side {
    Victim,
    Attacker,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Victim, Attacker];

    pub(super) fn index(self) -> usize {
        match self {
            Victim => 0,
            Attacker => 1,
        }
    }
}

/// A personal link of somebody, counted for each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Ticket {
    pub(super) owner: Side,
    pub(super) number: u8,
}

/// A way to PagerDuty that a browser has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Attempt {
    pub(super) browser: Side,
    pub(super) ticket: Ticket,
    /// Who has logged in at PagerDuty on it.
    pub(super) login: Option<Side>,
}

/// What a browser shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Page {
    Nothing,
    Question { ticket: Ticket, login: Side },
    Waits { ticket: Ticket, login: Side },
    Linked,
}

/// A log-in that waits for Teams. One browser has one for each ticket: a newer one is another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Waiting {
    ticket: Ticket,
    login: Side,
    browser: Side,
    spent: u8,
    /// The page that shows its number and code; a later one of the same browser shows another.
    shown: bool,
}

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Act {
    /// Writes `linkUser`.
    Ask(Side),
    /// Opens somebody's newest link in their own browser.
    Open(Side, Side),
    /// Opens PagerDuty's log-in of an attempt.
    LogIn(Side, usize),
    /// Opens the address to which PagerDuty leads back.
    Return(Side, usize),
    /// Presses "Link accounts".
    Confirm(Side),
    /// Writes the number of their own page to the bot.
    Write(Side),
    /// Their Teams hands over the code of their own page.
    HandOver(Side),
    /// Writes any other number.
    Guess,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct State {
    /// The newest link of each, while it is good for something.
    pub(super) tickets: [Option<Ticket>; 2],
    pub(super) asked: [u8; 2],
    pub(super) attempts: Vec<Attempt>,
    pub(super) pages: [Page; 2],
    /// The oldest first.
    pub(super) waiting: Vec<Waiting>,
    /// As whom each of them acts in PagerDuty.
    pub(super) links: [Option<Side>; 2],
    pub(super) number: bool,
}

impl State {
    pub(super) fn new(number: bool) -> Self {
        Self {
            tickets: [None; 2],
            asked: [0; 2],
            attempts: Vec::new(),
            pages: [Page::Nothing; 2],
            waiting: Vec::new(),
            links: [None; 2],
            number,
        }
    }

    /// Everything that the two could do now with what they know. The attacker sees what is theirs, and the victim's personal
    /// link, which may have been passed on; they can pass on to the victim whatever they have. Nobody tells another the number.
    pub(super) fn acts(&self) -> Vec<Act> {
        let mut acts = vec![];
        for side in Side::BOTH {
            if self.tickets[side.index()].is_none() {
                acts.push(Act::Ask(side));
            }
            // Two ways at the same time show everything that they can do to each other.
            let idle = self.attempts.len() < 2;
            acts.extend(
                Side::BOTH
                    .iter()
                    .filter(|of| idle && self.tickets[of.index()].is_some())
                    .map(|of| Act::Open(side, *of)),
            );
            for (index, attempt) in self.attempts.iter().enumerate() {
                let known = match (side, attempt.login) {
                    (Victim, _) => true,
                    (Attacker, None) => attempt.browser == Attacker,
                    (Attacker, Some(login)) => login == Attacker,
                };
                let act = if attempt.login.is_none() { Act::LogIn(side, index) } else { Act::Return(side, index) };
                acts.extend(known.then_some(act));
            }
            match self.pages[side.index()] {
                Page::Question { .. } => acts.push(Act::Confirm(side)),
                Page::Waits { .. } => {
                    acts.extend(self.number.then_some(Act::Write(side)));
                    acts.push(Act::HandOver(side));
                }
                Page::Nothing | Page::Linked => {}
            }
        }
        if self.number && self.waiting.iter().any(|waiting| waiting.ticket.owner == Attacker) {
            acts.push(Act::Guess);
        }
        acts
    }

    /// What is to come of it.
    pub(super) fn after(&self, act: Act) -> Self {
        let mut next = self.clone();
        match act {
            Act::Ask(side) => {
                next.asked[side.index()] += 1;
                next.tickets[side.index()] = Some(Ticket { owner: side, number: next.asked[side.index()] });
            }
            Act::Open(browser, of) => {
                next.attempts.extend(self.tickets[of.index()].map(|ticket| Attempt { browser, ticket, login: None }));
            }
            Act::LogIn(side, index) => next.attempts[index].login = Some(side),
            Act::Return(side, index) => {
                let attempt = next.attempts.remove(index);
                // The attempt is used up, but only the browser that began it gets anywhere, while the link is good.
                if let (true, Some(login), true) =
                    (attempt.browser == side, attempt.login, self.is_alive(attempt.ticket))
                {
                    next.pages[side.index()] = Page::Question { ticket: attempt.ticket, login };
                }
            }
            Act::Confirm(side) => next.confirm(side),
            Act::Write(side) => next.write(side, next.shown_to(side)),
            Act::HandOver(side) => {
                if let Some(index) = next.shown_to(side).filter(|index| next.waiting[*index].ticket.owner == side) {
                    next.link(index);
                }
            }
            Act::Guess => next.write(Attacker, None),
        }
        next
    }

    fn is_alive(&self, ticket: Ticket) -> bool {
        self.tickets[ticket.owner.index()] == Some(ticket)
    }

    fn confirm(&mut self, side: Side) {
        let Page::Question { ticket, login } = self.pages[side.index()] else { return };
        if !self.is_alive(ticket) {
            return;
        }
        self.waiting.iter_mut().filter(|known| known.browser == side).for_each(|known| known.shown = false);
        self.waiting.push(Waiting { ticket, login, browser: side, spent: 0, shown: true });
        self.pages[side.index()] = Page::Waits { ticket, login };
    }

    fn shown_to(&self, side: Side) -> Option<usize> {
        self.waiting.iter().position(|known| known.browser == side && known.shown)
    }

    /// A number that fits `right`, or none. It is looked for among the three newest of the writer's own.
    fn write(&mut self, side: Side, right: Option<usize>) {
        let own: Vec<usize> =
            (0..self.waiting.len()).rev().filter(|index| self.waiting[*index].ticket.owner == side).collect();
        let mut over = Vec::new();
        for index in own.into_iter().take(3) {
            if self.waiting[index].spent < 3 {
                self.waiting[index].spent += 1;
                if Some(index) == right {
                    return self.link(index);
                }
            }
            if self.waiting[index].spent >= 3 {
                over.push(self.waiting[index].ticket);
            }
        }
        over.into_iter().for_each(|ticket| self.end(ticket));
    }

    /// The link is good for nothing any more, and all log-ins with it wait for nothing.
    fn end(&mut self, ticket: Ticket) {
        self.waiting.retain(|known| known.ticket != ticket);
        if self.is_alive(ticket) {
            self.tickets[ticket.owner.index()] = None;
        }
    }

    fn link(&mut self, index: usize) {
        let known = self.waiting[index].clone();
        self.links[known.ticket.owner.index()] = Some(known.login);
        self.end(known.ticket);
        if known.shown && matches!(self.pages[known.browser.index()], Page::Waits { .. }) {
            self.pages[known.browser.index()] = Page::Linked;
        }
    }
}
