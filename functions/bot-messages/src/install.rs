//! Remembers where a team and a personal chat are reached.

use domain::connection::Installation;
use runtime::App;
use store::PersonalChat;
use teams::activity::{Activity, ConversationKind};

/// Stores the team that the bot was added to; an installation that is known keeps its account.
pub(crate) async fn remember(app: &App, activity: &Activity) {
    let Some(team) = &activity.team else { return };
    let known = app.store.installation(&team.id).await;
    let installation = match known {
        Ok(Some(known)) => Installation {
            service_url: activity.service_url.clone(),
            team_name: team.name.clone().or(known.team_name),
            ..known
        },
        Ok(None) => Installation {
            team: team.id.clone(),
            tenant: activity.tenant.clone(),
            team_name: team.name.clone(),
            service_url: activity.service_url.clone(),
            account: None,
            installed_at: app.clock.now(),
        },
        Err(error) => {
            tracing::error!(error = runtime::chain(&error), team.id = %team.id, "installation not read");
            return;
        }
    };
    if installation.tenant != activity.tenant {
        tracing::error!(team.id = %team.id, "a team cannot change its tenant");
        return;
    }
    if let Err(error) = app.store.put_installation(&installation).await {
        tracing::error!(error = runtime::chain(&error), team.id = %team.id, "installation not stored");
    }
}

/// Keeps the stored addresses fresh: Teams documents that they can change, and only a verified activity may change them.
pub(crate) async fn refresh_service_url(app: &App, activity: &Activity) {
    if let Some(team) = &activity.team
        && let Err(error) = app.store.refresh_service_url(&team.id, &activity.tenant, &activity.service_url).await
    {
        tracing::warn!(error = runtime::chain(&error), team.id = %team.id, "service URL not refreshed");
    }
    if activity.conversation.kind == ConversationKind::Personal
        && let Some(from) = &activity.from
        && let Some(user) = &from.entra
    {
        let chat = PersonalChat {
            conversation: activity.conversation.id.clone(),
            service_url: activity.service_url.clone(),
            teams_user: Some(from.id.clone()),
        };
        if let Err(error) = app.store.put_personal_chat(&activity.tenant, user, &chat).await {
            tracing::warn!(error = runtime::chain(&error), "personal chat not stored");
        }
    }
}
