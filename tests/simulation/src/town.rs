//! Who and what there is before a script begins.

use local::inside::Inside;

use crate::dice::Dice;

/// A team in Teams that has the bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    pub id: String,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    pub id: String,
    /// Which of the town's teams it is in.
    pub team: usize,
}

/// Somebody in Teams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The Teams simulator's id of the user.
    pub teams: String,
    /// The user in PagerDuty who they are, linked or not; `None`: they have no account there.
    pub pagerduty: Option<String>,
    /// Whether they are linked when the script begins.
    pub is_linked: bool,
}

/// All of it. A script names things by their number here, modulo how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Town {
    pub teams: Vec<Team>,
    pub channels: Vec<Channel>,
    /// PagerDuty's ids of the services.
    pub services: Vec<String>,
    pub people: Vec<Person>,
    /// Which services are connected to which channels when the script begins: (service, channel).
    pub connected: Vec<(usize, usize)>,
}

impl Town {
    /// Builds a town.
    ///
    /// # Errors
    /// A stand-in refuses.
    pub async fn found(inside: &Inside, _dice: &mut Dice) -> anyhow::Result<Self> {
        let mut town = Self::default();
        let team = inside.add_team("Site Reliability").await?;
        for name in ["Payments", "Search", "Checkout"] {
            let (channel, service) = inside.add_channel(&team, name).await?;
            town.connected.push((town.services.len(), town.channels.len()));
            town.channels.push(Channel { id: channel, team: 0 });
            town.services.push(service);
        }
        town.teams.push(Team { id: team });
        Ok(town)
    }
}
