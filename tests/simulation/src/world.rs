//! Everything that a run needs, composed.

use local::inside::Inside;

use crate::chronicle::Chronicle;
use crate::town::Town;

/// The composed stack and its town.
#[derive(Debug, Clone)]
pub struct World {
    pub inside: Inside,
    pub town: Town,
    pub chronicle: Chronicle,
}
