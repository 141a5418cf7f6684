//! The session of the configuration page: the log-in opens it, the page's API reads it.

use jiff::SignedDuration;

/// The cookie with the session's secret.
pub const SESSION_COOKIE: &str = "__Host-pagerbridge-session";

/// A working day; nobody stays logged in overnight.
pub const SESSION_LIFETIME: SignedDuration = SignedDuration::from_hours(8);
