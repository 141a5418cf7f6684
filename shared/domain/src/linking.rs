//! Linking a Teams user to a PagerDuty user.
//!
//! A ticket is bound to one Teams user and lives ten minutes. Opening its link does not consume it (mail and chat scanners
//! open links); only the confirmation by the person in the browser does.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, ConversationId, EntraUserId, IncidentId, PdUserId, TenantId};

/// How long a personal link can be used.
pub const TICKET_LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// Who acts in Teams as whom in PagerDuty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLink {
    /// The Teams user's tenant.
    pub tenant: TenantId,
    /// The Teams user.
    pub user: EntraUserId,
    /// As Teams shows the user.
    pub teams_name: String,
    /// The PagerDuty account.
    pub account: AccountId,
    /// The PagerDuty user.
    pub pd_user: PdUserId,
    /// As PagerDuty shows the user.
    pub pd_name: String,
    /// The PagerDuty user's address; sent as `From` with every write.
    pub pd_email: String,
    /// When the person confirmed it.
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
    /// The account that the link must lead to; `None` if any account will do.
    pub account: Option<AccountId>,
    /// The private chat in which the outcome is told.
    pub conversation: ConversationId,
    /// Where that chat is reached.
    pub service_url: String,
    /// The incident that the person wanted to act on when the link was asked for.
    pub wanted: Option<WantedAction>,
    /// When the ticket was made.
    pub created_at: Timestamp,
}

/// What a person wanted to do before it turned out that they were not linked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedAction {
    /// The incident.
    pub incident: IncidentId,
    /// Its number and title, for the sentence that reminds of it.
    pub title: String,
}

impl Ticket {
    /// When the ticket stops working.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.created_at.checked_add(TICKET_LIFETIME).unwrap_or(Timestamp::MAX)
    }

    /// Whether it can still be used.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        now < self.expires_at()
    }
}
