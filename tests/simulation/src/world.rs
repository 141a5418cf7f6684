//! Everything that a run needs, composed.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use jiff::Timestamp;
use local::inside::{Delays, Inside};

use crate::chronicle::{Chronicle, Event};
use crate::dice::Dice;
use crate::platform::{Platform, Settings};
use crate::town::Town;
use crate::ways::Shared;

/// 23 November 2026, 09:00 UTC.
pub const START: Timestamp = Timestamp::constant(1_795_424_400, 0);

/// The composed stack and its town.
#[derive(Debug, Clone)]
pub struct World {
    pub inside: Inside,
    pub platform: Arc<Platform>,
    /// What people's browsers reach of ours: the doors of oauth-callback and admin-api.
    pub web: Router,
    pub town: Town,
    pub chronicle: Chronicle,
}

impl World {
    /// Composes everything in tokio's paused time.
    ///
    /// # Errors
    /// A stand-in does not start.
    pub async fn compose(dice: &mut Dice) -> anyhow::Result<Self> {
        let random = runtime::Random::seeded(dice.seed());
        let inside = Box::pin(Inside::compose_as(START, Delays::default(), BTreeMap::new(), None, random)).await?;
        let town = Town::found(&inside, &mut dice.fork()).await?;
        let chronicle = Chronicle::default();
        let shared = Shared::new(inside.app.clock.clone(), chronicle.clone(), inside.teams.clone(), dice.fork());
        let platform = Arc::new(Platform::new(inside.clone(), shared, Settings::read()?)?);
        inside.pagerduty.deliver_to(platform.door());
        inside.teams.deliver_to(platform.door());
        let (noted, clock) = (chronicle.clone(), inside.app.clock.clone());
        inside.teams.watch(true, move |message| {
            noted.note(clock.now(), Event::Shown(Box::new(message.clone())));
        });
        Ok(Self { inside, web: platform.door(), platform, town, chronicle })
    }

    /// The same stack without what AWS does by itself: whoever tests moves everything along, and nothing goes wrong.
    #[cfg(test)]
    pub(crate) fn by_hand(inside: Inside, town: Town) -> Self {
        let (clock, teams) = (inside.app.clock.clone(), inside.teams.clone());
        let shared = Shared::new(clock, Chronicle::default(), teams, Dice::new(0));
        let platform = Arc::new(Platform::new(inside.clone(), shared, Settings::read().unwrap()).unwrap());
        Self { inside, web: platform.door(), platform, town, chronicle: Chronicle::default() }
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inside.app.clock.now()
    }
}
