//! Who and what there is before a script begins.

use anyhow::Context as _;
use domain::connection::{Filter, Installation, Mentions};
use domain::ids::{ChannelId, EntraUserId, ServiceId, TeamId};
use domain::incident::ServiceRef;
use domain::zone::Zone;
use local::inside::Inside;
use setup::{Actor, Wish};
use store::Via;

use crate::dice::Dice;
use crate::people::{Browser, Did, Outcome, People};

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
    pub name: String,
    /// The Teams simulator's id of the user.
    pub teams: String,
    /// The user in PagerDuty who they are, linked or not; `None`: they have no account there.
    pub pagerduty: Option<String>,
    /// Whether they are linked when the script begins.
    pub is_linked: bool,
    /// Whether their role lets them act on incidents.
    pub may_act: bool,
}

/// All of it. A script names things by their number here, modulo how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Town {
    /// The last one is the one whose app is removed and added.
    pub teams: Vec<Team>,
    pub channels: Vec<Channel>,
    /// PagerDuty's ids of the services.
    pub services: Vec<String>,
    pub people: Vec<Person>,
    /// PagerDuty's ids of the priorities, the most severe first.
    pub priorities: Vec<String>,
    /// Which services are connected to which channels when the script begins: (service, channel).
    pub connected: Vec<(usize, usize)>,
    /// Those of them that show incidents of high urgency only.
    pub only_high: Vec<(usize, usize)>,
}

/// Name, mailbox, role in PagerDuty (`None`: no account), linked, may act.
const PEOPLE: [(&str, &str, Option<&str>, bool, bool); 5] = [
    ("Ada Wong", "ada", Some("admin"), true, true),
    ("Ben Okafor", "ben", Some("user"), true, true),
    ("Chloe Martin", "chloe", Some("limited_user"), false, true),
    ("Dan Novak", "dan", Some("read_only_user"), true, false),
    ("Eve Adams", "eve", None, false, false),
];
const TEAMS: [&str; 3] = ["Site Reliability", "Shop", "Search"];
const SERVICES: [&str; 6] = ["Payments", "Checkout", "Search", "Mail", "Billing", "Login"];

/// The team whose app is removed and added, and its channel.
pub(crate) const GUEST_TEAM: usize = 2;
pub(crate) const GUEST_CHANNEL: usize = 3;
/// An admin who is linked.
pub(crate) const ADMIN: usize = 0;

impl Town {
    /// Founds a town of three teams, with people, services, channels and connections, of which the dice decide how many.
    ///
    /// # Errors
    /// PagerDuty, Teams or the table refuses.
    pub async fn found(inside: &Inside, dice: &mut Dice) -> anyhow::Result<Self> {
        let priorities = ["P1", "P2", "P3"].map(|name| inside.pagerduty.add_priority(name)).to_vec();
        let mut town = Self { priorities, ..Self::default() };
        town.add_people(inside);
        for name in TEAMS {
            let id = Box::pin(inside.add_team(name)).await?;
            // Who has added the app may ask for a link that connects the team again.
            let installer = town.people.get(ADMIN).and_then(|admin| inside.teams.user(&admin.teams));
            let installer = EntraUserId::new(installer.context("no admin")?.entra)?;
            let by = |known: Option<Installation>| Some(Installation { installer: Some(installer.clone()), ..known? });
            inside.app.store.change_installation(&TeamId::new(id.as_str())?, by).await?;
            town.teams.push(Team { id });
        }
        for number in 0..4 + dice.below(3) {
            let team = if number == GUEST_CHANNEL { GUEST_TEAM } else { number % GUEST_TEAM };
            let of = town.teams.get(team).context("no team")?;
            let id = inside.teams.add_channel(&of.id, &format!("incidents-{number}"));
            town.channels.push(Channel { id, team });
        }
        let services = SERVICES.iter().take(4 + dice.below(3));
        town.services = services.map(|name| inside.pagerduty.add_service(name)).collect();
        town.connect(inside, dice).await?;
        let people = People { teams: &inside.teams, pagerduty: &inside.pagerduty, town: &town };
        for (number, _) in town.people.iter().enumerate().filter(|(_, person)| person.is_linked) {
            let browser = Browser::new(inside, oauth_callback::router(inside.app.clone())).context("no addresses")?;
            let did = Box::pin(people.link(browser, number, false)).await;
            let is_linked = matches!(did, Ok(Did::Linked { how: Outcome::Done, .. }));
            anyhow::ensure!(is_linked, "{did:?}");
        }
        Ok(town)
    }

    fn add_people(&mut self, inside: &Inside) {
        for (name, mailbox, role, is_linked, may_act) in PEOPLE {
            let (teams, email) = (inside.teams.add_user(name), format!("{mailbox}@example.com"));
            inside.teams.set_email(&teams, &email);
            let pagerduty = role.map(|role| inside.pagerduty.add_user(name, &email, role));
            self.people.push(Person { name: name.to_owned(), teams, pagerduty, is_linked, may_act });
        }
    }

    /// Every channel shows a service, and the first service is shown by two channels, once with those of high urgency only.
    async fn connect(&mut self, inside: &Inside, dice: &mut Dice) -> anyhow::Result<()> {
        let (services, channels) = (self.services.len(), self.channels.len());
        self.connected = (0..channels).map(|channel| (channel % services, channel)).collect();
        for wanted in [(0, 1), (dice.below(services), dice.below(channels))] {
            if !self.connected.contains(&wanted) {
                self.connected.push(wanted);
            }
        }
        self.only_high = vec![(0, 1)];
        for wanted in &self.connected {
            let filter = if self.only_high.contains(wanted) { Filter::HighUrgency } else { Filter::All };
            let mentions = if dice.per_mille(300) { Mentions::Assignees } else { Mentions::Nobody };
            self.connect_one(inside, *wanted, filter, mentions).await?;
        }
        Ok(())
    }

    async fn connect_one(
        &self,
        inside: &Inside,
        (service, channel): (usize, usize),
        filter: Filter,
        mentions: Mentions,
    ) -> anyhow::Result<()> {
        let id = self.services.get(service).context("no service")?;
        let place = self.channels.get(channel).context("no channel")?;
        let team = TeamId::new(self.teams.get(place.team).context("no team")?.id.as_str())?;
        let installation = inside.app.store.installation(&team).await?.context("no bot")?;
        let name = SERVICES.get(service).copied().unwrap_or_default().to_owned();
        let wish = Wish {
            installation: &installation,
            service: &ServiceRef { id: ServiceId::new(id.as_str())?, name },
            channel: &ChannelId::new(place.id.as_str())?,
            filter,
            zone: &Zone::UTC,
            mentions,
            actor: &Actor { name: "The founder".to_owned(), via: Via::System },
        };
        Box::pin(setup::connect_quietly(&inside.app, &wish)).await?;
        Ok(())
    }
}
