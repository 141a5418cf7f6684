//! Everything that a run needs, composed.

use axum::Router;
use local::inside::Inside;

use crate::chronicle::Chronicle;
use crate::town::Town;

/// The composed stack and its town.
#[derive(Debug, Clone)]
pub struct World {
    pub inside: Inside,
    /// What people's browsers reach of ours: the doors of oauth-callback and admin-api.
    pub web: Router,
    pub town: Town,
    pub chronicle: Chronicle,
}
