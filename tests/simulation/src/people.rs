//! Does what a script says, at the simulators, as people and monitoring tools would, and tells what has become of it.
//!
//! Whoever does something needs time for it, in tokio's time: a form is read before it is sent. So an act may last for seconds, and
//! others go on meanwhile.

mod browser;
mod cards;
mod did;
mod pagerduty;
mod pages;
mod places;
mod pressing;
mod talking;

use std::time::Duration;

use simulators::pagerduty::PagerDuty;
use simulators::teams::Teams;

pub use self::browser::Browser;
pub use self::did::{Answer, Changed, Did, Outcome, Press, Replies};

use crate::script::Act;
use crate::town::{Channel, Person, Team, Town};
use crate::world::World;

/// How long somebody reads before they press the next button.
const READING: Duration = Duration::from_secs(2);

/// Does it.
pub async fn act(world: &World, act: &Act) -> Did {
    try_to(world, act).await.unwrap_or_else(Did::Nothing)
}

async fn try_to(world: &World, act: &Act) -> Done {
    let people = People { teams: &world.inside.teams, pagerduty: &world.inside.pagerduty, town: &world.town };
    match act {
        Act::Trigger { case, service, low, source } => people.trigger(*case, *service, *low, source),
        Act::Burst { case, count, service } => people.burst(*case, *count, *service).await,
        Act::Alert { case } => people.alert(*case),
        Act::Recover { case } => people.recover(*case),
        Act::Unacknowledge { case } => people.unacknowledge(*case),
        Act::Escalate { case, to } => people.escalate(*case, *to),
        Act::InPagerDuty { person, case, change } => people.change(*person, *case, change),
        Act::Press { person, card, button, manner, dialog, words } => {
            let wish = pressing::Wish { button: *button, dialog, words: *words };
            Box::pin(people.press(*person, *card, &wish, *manner)).await
        }
        Act::Look { person, card } => Box::pin(people.look(*person, *card)).await,
        Act::Say { person, channel, words } => Box::pin(people.say(*person, *channel, *words)).await,
        Act::Link { person, window } => Box::pin(people.link(browser(world)?, *person, *window)).await,
        Act::Unlink { person } => Box::pin(people.unlink(*person)).await,
        Act::Connect { person, service, channel, way } => {
            let wish = pages::Connection { service: *service, channel: *channel };
            Box::pin(people.connect(browser(world)?, *person, wish, *way)).await
        }
        Act::Remove { person, service, channel, way } => {
            let wish = pages::Connection { service: *service, channel: *channel };
            Box::pin(people.remove(browser(world)?, *person, wish, *way)).await
        }
        Act::Disconnect { person, team } => Box::pin(people.disconnect(browser(world)?, *person, *team)).await,
        Act::Authorize { person, team } => Box::pin(people.authorize(browser(world)?, *person, *team)).await,
        Act::Channel { channel, fate } => Box::pin(people.befall_channel(*channel, *fate)).await,
        Act::Team { team, fate } => Box::pin(people.befall_team(*team, *fate)).await,
    }
}

/// What cannot be done now, and why.
type Done<T = Did> = Result<T, &'static str>;

fn browser(world: &World) -> Done<Browser> {
    Browser::new(&world.inside, world.web.clone()).ok_or("there are no addresses")
}

/// Everybody, and where they do things.
#[derive(Debug, Clone, Copy)]
pub(crate) struct People<'w> {
    pub(crate) teams: &'w Teams,
    pub(crate) pagerduty: &'w PagerDuty,
    pub(crate) town: &'w Town,
}

impl People<'_> {
    fn person(&self, number: usize) -> Done<(usize, &Person)> {
        chosen(&self.town.people, number).ok_or("nobody lives here")
    }

    /// Their account in PagerDuty.
    fn account(&self, number: usize) -> Done<&str> {
        self.person(number)?.1.pagerduty.as_deref().ok_or("they have no account")
    }

    fn channel(&self, number: usize) -> Done<(usize, &Channel)> {
        chosen(&self.town.channels, number).ok_or("there is no channel")
    }

    fn team(&self, number: usize) -> Done<(usize, &Team)> {
        chosen(&self.town.teams, number).ok_or("there is no team")
    }

    fn service(&self, number: usize) -> Done<&String> {
        chosen(&self.town.services, number).map(|(_, service)| service).ok_or("there is no service")
    }
}

/// One of them, modulo how many there are, with its place.
fn chosen<T>(of: &[T], number: usize) -> Option<(usize, &T)> {
    let place = number.checked_rem(of.len())?;
    of.get(place).map(|one| (place, one))
}

#[cfg(test)]
mod tests;
