//! The session of the configuration page: the log-in opens it, the page's API reads it.

use jiff::SignedDuration;

/// The cookie with the session's secret.
pub const SESSION_COOKIE: &str = "__Host-pagerbridge-session";

/// Without a request for so long it ends: an unattended browser is not logged in for the rest of the day.
pub const SESSION_IDLE: SignedDuration = SignedDuration::from_mins(30);

/// A working day; nobody stays logged in overnight.
pub const SESSION_LIFETIME: SignedDuration = SignedDuration::from_hours(8);
