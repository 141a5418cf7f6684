//! Connecting a team to a PagerDuty account.

use domain::behind::Subject;
use domain::connection::{Account, Installation};
use domain::ids::{ConversationId, EntraUserId, ServiceUrl, TeamId};
use domain::linking::{AuthorizationKey, Purpose, Ticket};
use jiff::Timestamp;
use runtime::App;

use crate::audit::{Actor, note, tell_team};
use crate::channels::refresh_channels;
use crate::disconnect::finish_leaving;
use crate::error::SetupError;

/// The letters of a key: Crockford's alphabet, without those that look alike.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Letters in a key: 120 random bits.
const KEY_LETTERS: usize = 24;

/// Whom a personal authorization link is for, and where it is sent.
#[derive(Debug, Clone)]
pub struct Authorized {
    pub user: EntraUserId,
    /// As Teams shows them.
    pub name: String,
    pub conversation: ConversationId,
    pub service_url: ServiceUrl,
}

/// Sends a person a personal authorization link for a team. `first`: with the words that belong to an installation.
pub async fn send_authorization(
    app: &App,
    installation: &Installation,
    person: &Authorized,
    first: bool,
) -> Result<(), SetupError> {
    let ticket = Ticket {
        tenant: installation.tenant.clone(),
        user: person.user.clone(),
        teams_name: person.name.clone(),
        upn: None,
        purpose: Purpose::Authorize { team: installation.team.clone(), installed_at: installation.installed_at },
        conversation: person.conversation.clone(),
        service_url: person.service_url.clone(),
        created_at: app.clock.now(),
    };
    let secret = app.random.token()?;
    app.store.put_ticket(&secret, &ticket).await?;
    app.store.put_renewal(&secret, &ticket).await?;
    let url = app.config.public(&format!("/oauth/start?ticket={secret}"));
    let build = if first { cards::setup::installed } else { cards::setup::authorization_link };
    let card = build(&installation.team, installation.shown_name(), &url, ticket.expires_at());
    app.bot().send(&person.service_url, &person.conversation, &card).await?;
    Ok(())
}

/// Makes a key with which a PagerDuty admin can get a personal authorization link for this installation.
pub async fn new_key(app: &App, installation: &Installation) -> Result<(String, Timestamp), SetupError> {
    let letters: [u8; KEY_LETTERS] = app.random.bytes()?;
    let letters = letters.map(|byte| LETTERS.get(usize::from(byte) % LETTERS.len()).copied().unwrap_or(b'0'));
    let plain: String = letters.iter().map(|letter| char::from(*letter)).collect();
    let key = AuthorizationKey {
        team: installation.team.clone(),
        tenant: installation.tenant.clone(),
        installed_at: installation.installed_at,
        created_at: app.clock.now(),
    };
    app.store.put_authorization_key(&plain, &key).await?;
    let groups: Vec<String> = letters.chunks(6).map(|part| part.iter().map(|l| char::from(*l)).collect()).collect();
    Ok((groups.join("-"), key.expires_at()))
}

/// The key in what a person typed: case, dashes and white space do not matter, and letters that look alike are taken for
/// the digits that they resemble. `None`: it cannot be a key.
#[must_use]
pub fn key_from_text(text: &str) -> Option<String> {
    let plain: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '–' | '[' | ']' | '`'))
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    let fits = plain.len() == KEY_LETTERS && plain.bytes().all(|letter| LETTERS.contains(&letter));
    fits.then_some(plain)
}

/// Connects a team to an account, for the installation that was shown to the admin and no later one. The team is told.
///
/// # Errors
/// [`SetupError::Outdated`] if that installation is over, [`SetupError::OtherAccount`] if the team belongs to another
/// account.
pub async fn authorize(
    app: &App,
    team: &TeamId,
    installed_at: Timestamp,
    account: &Account,
    actor: &Actor,
) -> Result<Installation, SetupError> {
    let now = app.clock.now();
    // What is left of an earlier account must not come to life again with the team.
    if let Some(known) = app.store.installation(team).await?
        && known.account.is_none()
    {
        finish_leaving(app, &known).await?;
    }
    app.store.put_account(account).await?;
    app.store.put_team_of_account(&account.id, team).await?;
    let (before, after) = app
        .store
        .change_installation(team, |known| {
            let known = known.filter(|known| known.installed_at == installed_at && known.removed_at.is_none())?;
            known.account.is_none().then(|| Installation {
                account: Some(account.id.clone()),
                connected_at: Some(now),
                // Of another account something may still be left; what this one gets from now on must stay.
                leaving: known.leaving.clone().filter(|leaving| leaving != &account.id),
                ..known
            })
        })
        .await?;
    let installation = after.ok_or(SetupError::Outdated)?;
    if installation.installed_at != installed_at || installation.removed_at.is_some() {
        return Err(SetupError::Outdated);
    }
    if !installation.belongs_to(&account.id) {
        return Err(SetupError::OtherAccount);
    }
    if before.is_some_and(|before| before.account.is_none()) {
        note(app, &account.id, actor, format!("connected the team {} to PagerDuty", installation.shown_name())).await;
        tell_team(app, &account.id, team, Subject::TeamConnected, None).await;
        if let Err(error) = refresh_channels(app, &installation).await {
            tracing::warn!(team.id = %team, error = runtime::chain(&error), "channels not listed");
        }
    }
    Ok(installation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_recognised_however_it_is_typed() {
        let key = "0123456789ABCDEFGHJKMNPQ";
        for typed in [
            "0123456789ABCDEFGHJKMNPQ",
            "012345-6789AB-CDEFGH-JKMNPQ",
            " 012345 6789ab cdefgh jkmnpq ",
            "[o12345-6789AB-CDEFGH-JKMNPQ]",
            "0l2345-6789AB-CDEFGH-JKMNPQ",
        ] {
            assert_eq!(key_from_text(typed).as_deref(), Some(key), "{typed}");
        }
        for typed in
            ["", "KEY", "012345-6789AB-CDEFGH-JKMNP", "012345-6789AB-CDEFGH-JKMNPU", "012345-6789AB-CDEFGH-JKMNPQ7"]
        {
            assert_eq!(key_from_text(typed), None, "{typed}");
        }
    }
}
