//! Setting up: authorizing teams, connecting services to channels, and undoing both.
//!
//! The bot's commands, the configuration page and the log-in pages all do these things, and must do them alike: a service
//! has one webhook subscription however many channels show it, and what fails half-way is undone.
//!
//! Every function fails with a [`SetupError`]: PagerDuty, Teams, the table or the queue does not answer.

mod audit;
mod authorize;
mod channels;
mod connect;
mod disconnect;
mod error;
mod freeze;
mod lock;
mod people;
mod services;
mod session;
mod subscription;

pub use audit::{Actor, note};
pub use authorize::{Authorized, authorize, key_from_text, new_key, send_authorization};
pub use channels::{refresh_channels, restore_connections, suspend_connections};
pub use connect::{Connected, Wish, change_manner, connect, connect_quietly, send_test};
pub use disconnect::{Disconnected, Removed, disconnect_team, finish_leaving, remove};
pub use error::SetupError;
pub use lock::ServiceLock;
pub use people::{admin, rank_of};
pub use services::{find_services, service};
pub use session::{SESSION_COOKIE, SESSION_IDLE, SESSION_LIFETIME};
pub use subscription::{
    OwnSubscriptions, Seen, SubscriptionEnd, end_unused, mend_subscription, own_subscriptions, remove_orphan,
    reseal_subscription, subscription_state,
};
