//! Linking a Teams user to a PagerDuty user.
//!
//! A ticket is bound to one Teams user and lives ten minutes. Opening its link does not consume it (mail and chat scanners
//! open links), nor does the confirmation by the person in the browser: only the proof from Teams does (`crate::proof`).

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::deed::Deed;
use crate::forward;
use crate::ids::{
    AccountId, ChannelId, ConversationId, EntraUserId, IncidentId, PdUserId, ServiceUrl, TeamId, TenantId,
};

/// How long a personal link to link accounts can be used.
pub const TICKET_LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// How long a personal link to authorize a team can be used. Longer, since it comes unasked, with the installation, and is
/// worth nothing without an admin's log-in.
pub const AUTHORIZATION_LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// How long what a person wanted to do is kept for them.
pub const WANTED_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// How long a key can be used that somebody else passes on to an admin.
pub const KEY_LIFETIME: SignedDuration = SignedDuration::from_hours(72);

/// Who acts in Teams as whom in PagerDuty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLink {
    /// The Teams user's tenant.
    pub tenant: TenantId,
    /// The Teams user.
    pub user: EntraUserId,
    /// As Teams shows the user.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub teams_name: String,
    pub account: AccountId,
    pub pd_user: PdUserId,
    #[serde(default, deserialize_with = "forward::or_default")]
    pub pd_name: String,
    /// The PagerDuty user's address; sent as `From` with every write.
    #[serde(default, deserialize_with = "forward::or_default")]
    pub pd_email: String,
    pub linked_at: Timestamp,
}

/// What a personal link is for: which Teams user asked, and what to say when it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The Teams user's tenant.
    pub tenant: TenantId,
    /// The Teams user.
    pub user: EntraUserId,
    /// As Teams shows the user.
    pub teams_name: String,
    /// The user's sign-in name, which nobody else can take; `None`: Teams did not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upn: Option<String>,
    pub purpose: Purpose,
    /// The private chat in which the outcome is told.
    pub conversation: ConversationId,
    pub service_url: ServiceUrl,
    pub created_at: Timestamp,
}

/// What a ticket is good for. A ticket for something that this version does not know is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Purpose {
    /// Linking the Teams user to a PagerDuty user.
    Link {
        /// The account that the link must lead to; `None` if any account will do.
        account: Option<AccountId>,
        /// What the person wanted to do when the link was asked for.
        #[serde(default, deserialize_with = "forward::or_none")]
        wanted: Option<WantedAction>,
    },
    /// Connecting a team to a PagerDuty account.
    Authorize {
        team: TeamId,
        /// When the bot was added to it: a ticket of an earlier installation is worth nothing.
        installed_at: Timestamp,
    },
}

/// What a key is good for that a non-admin passes on to an admin: authorizing one team of one tenant, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationKey {
    pub team: TeamId,
    pub tenant: TenantId,
    /// When the bot was added to the team: a key of an earlier installation is worth nothing.
    pub installed_at: Timestamp,
    pub created_at: Timestamp,
}

impl AuthorizationKey {
    /// When the key stops working.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.created_at.checked_add(KEY_LIFETIME).unwrap_or(Timestamp::MAX)
    }
}

/// What a person wanted to do before it turned out that they were not linked; kept so that it takes one click afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedAction {
    /// What it was about, as in "#12 Disk full" or "connect https://…", for the sentence that reminds of it.
    pub title: String,
    pub what: Wanted,
}

/// The kinds of things that only a linked person can do. What this version does not know is forgotten: the person clicks again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Wanted {
    /// A button of an incident's card in a channel.
    Click {
        account: AccountId,
        incident: IncidentId,
        channel: ChannelId,
        /// What they wanted to do.
        #[serde(rename = "action")]
        deed: Deed,
    },
    /// A command, to be answered where it was written.
    Command {
        text: String,
        conversation: ConversationId,
        /// The team, if it was written in one.
        team: Option<TeamId>,
    },
    /// The form for a new incident.
    Trigger {
        /// What they have said already.
        #[serde(default, deserialize_with = "forward::or_none", skip_serializing_if = "Option::is_none")]
        title: Option<String>,
    },
}

impl Ticket {
    /// When the ticket stops working.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        let lifetime = match self.purpose {
            Purpose::Link { .. } => TICKET_LIFETIME,
            Purpose::Authorize { .. } => AUTHORIZATION_LIFETIME,
        };
        self.created_at.checked_add(lifetime).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wish_for_an_incident_is_read_by_either_version() {
        for (stored, title) in [
            (r#"{"kind":"trigger"}"#, None),
            (r#"{"kind":"trigger","title":"DB is on fire"}"#, Some("DB is on fire")),
            (r#"{"kind":"trigger","title":{"of":"a newer version"}}"#, None),
        ] {
            let wanted = Wanted::Trigger { title: title.map(str::to_owned) };
            assert_eq!(serde_json::from_str::<Wanted>(stored).unwrap(), wanted, "{stored}");
        }
        let written = serde_json::to_string(&Wanted::Trigger { title: None }).unwrap();
        assert_eq!(written, r#"{"kind":"trigger"}"#, "as the version before wrote it");
    }
}
