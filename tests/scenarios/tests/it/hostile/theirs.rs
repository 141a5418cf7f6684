//! What belongs to others: of another tenant, of another PagerDuty account, or of a colleague.

use std::collections::BTreeSet;

use domain::connection::{Account, Channel, ChannelKind, Installation};
use domain::deed::Deed;
use domain::ids::{
    AccountId, ChannelId, ConversationId, EntraUserId, IncidentId, ServiceUrl, TeamId, TeamsUserId, TenantId,
};
use domain::linking::{AuthorizationKey, Wanted, WantedAction};
use jiff::{SignedDuration, Timestamp};
use local::aws::Call;
use store::PersonalChat;

use crate::world::World;

/// The ids of a team with a connected channel, an incident with its card there, a storm, and a person.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) account: String,
    pub(super) team: String,
    pub(super) channel: String,
    pub(super) service: String,
    pub(super) incident: String,
    /// The message of the incident's card.
    pub(super) card: String,
    pub(super) storm: String,
    pub(super) subscription: String,
    /// In Entra.
    pub(super) person: String,
    pub(super) pagerduty_user: String,
    /// What the person wanted to do before they were linked.
    pub(super) wanted: String,
    pub(super) key: String,
}

/// A place that is somebody else's.
pub(super) struct Theirs {
    pub(super) place: Place,
    /// The partitions of the table that are theirs alone.
    pub(super) partitions: BTreeSet<String>,
}

/// In every text of theirs: nothing that is shown may have it.
pub(super) const MARK: &str = "top-secret-of-theirs";

/// As many as begin a storm.
const INCIDENTS: usize = 14;

pub(super) fn partitions(calls: &[Call]) -> BTreeSet<String> {
    let touched = calls.iter().flat_map(|call| &call.touched);
    touched.filter_map(|key| key.split(' ').next()).map(str::to_owned).collect()
}

fn far(world: &World) -> Timestamp {
    world.stack.app.clock.now().checked_add(SignedDuration::from_hours(72)).unwrap()
}

/// Makes a whole place in a tenant and an account. `mark` stands in everything that people could read of it.
pub(super) async fn plant(world: &World, name: &'static str, tenant: &str, account: &str, mark: &str) -> Place {
    let (app, teams, pagerduty) = (&world.stack.app, world.teams(), world.pagerduty());
    let team = teams.add_team_in(tenant, &format!("{mark} team {name}"));
    teams.admit_bot(&team);
    let channel = teams.add_channel(&team, &format!("{mark} channel {name}"));
    let person = teams.user(&teams.add_user_in(tenant, &format!("{mark} person {name}"))).unwrap();
    let ids = (TeamId::new(team.as_str()).unwrap(), ChannelId::new(channel.as_str()).unwrap());
    let (tenant_id, account_id) = (TenantId::new(tenant).unwrap(), AccountId::new(account).unwrap());
    let now = app.clock.now();
    let installation = Installation {
        team: ids.0.clone(),
        tenant: tenant_id.clone(),
        team_name: Some(format!("{mark} team {name}")),
        service_url: ServiceUrl::new(teams.service_url()).unwrap(),
        account: Some(account_id.clone()),
        installed_at: now,
        installer: None,
        removed_at: None,
        connected_at: Some(now),
        added_at: None,
        leaving: None,
    };
    app.store.change_installation(&ids.0, |_| Some(installation.clone())).await.unwrap();
    if app.store.account(&account_id).await.unwrap().is_none() {
        let web = format!("https://{}.pagerduty.example.com", account.to_lowercase());
        app.store.put_account(&Account { id: account_id.clone(), subdomain: mark.to_owned(), web }).await.unwrap();
    }
    app.store.put_team_of_account(&account_id, &ids.0).await.unwrap();
    let known = Channel {
        id: ids.1.clone(),
        team: ids.0.clone(),
        name: Some(format!("{mark} channel {name}")),
        kind: ChannelKind::Standard,
        deleted: false,
    };
    app.store.put_channel(&known).await.unwrap();
    let service = pagerduty.add_service(&format!("{mark} service {name}"));
    local::connect(app, &team, &channel, &service, &format!("{mark} service {name}")).await.unwrap();
    let mut incidents = Vec::new();
    for number in 0..INCIDENTS {
        incidents.push(world.trigger_in(&service, &format!("{mark} incident {number} of {name}")).await);
        if number == 0 {
            world.settle_all().await;
        }
    }
    world.deliver_webhooks().await;
    world.settle().await;
    let incident = incidents.swap_remove(0);
    let cards = world.cards_in_channel(&channel);
    let card = cards.iter().find(|card| card.json().contains(&incident)).unwrap().message.id.clone();
    let state = app.store.channel_state(&account_id, &ids.1).await.unwrap();
    let storm = state.storms.first().expect("a storm").id.to_string();
    let what = Wanted::Click {
        account: account_id.clone(),
        incident: IncidentId::new(incident.as_str()).unwrap(),
        channel: ids.1.clone(),
        deed: Deed::Resolve,
    };
    let (wanted, key) = (format!("wanted-{name}"), app.random.token().unwrap());
    let user = EntraUserId::new(person.entra.as_str()).unwrap();
    keep_for(world, (&tenant_id, &user), &wanted, what).await;
    let authorization =
        AuthorizationKey { team: ids.0.clone(), tenant: tenant_id.clone(), installed_at: now, created_at: now };
    app.store.put_authorization_key(&key, &authorization).await.unwrap();
    let subscription = pagerduty.subscriptions_of(&service).remove(0);
    let pagerduty_user = pagerduty.add_user(&format!("{mark} {name}"), &format!("{name}@example.com"), "user");
    Place {
        name,
        account: account.to_owned(),
        team,
        channel,
        service,
        incident,
        card,
        storm,
        subscription,
        person: person.entra,
        pagerduty_user,
        wanted,
        key,
    }
}

/// What is kept for a person: their chat, and what they wanted.
pub(super) async fn keep_for(world: &World, person: (&TenantId, &EntraUserId), id: &str, what: Wanted) {
    let app = &world.stack.app;
    let wanted = WantedAction { title: MARK.to_owned(), what };
    app.store.put_wanted(person, id, &wanted, far(world)).await.unwrap();
    let chat = PersonalChat {
        conversation: ConversationId::new(format!("a:1chat-of-{id}")).unwrap(),
        service_url: ServiceUrl::new(world.teams().service_url()).unwrap(),
        teams_user: Some(TeamsUserId::new(format!("29:{id}")).unwrap()),
    };
    app.store.put_personal_chat(person.0, person.1, &chat).await.unwrap();
}
