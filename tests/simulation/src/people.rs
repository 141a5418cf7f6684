//! Does what a script says, at the simulators, as people and monitoring tools would.

use crate::script::Act;
use crate::world::World;

/// Does it, and gives what the one who did it saw: the answer to a click or a command, as text for people; empty where there is none.
pub async fn act(world: &World, act: &Act) -> String {
    let services = &world.town.services;
    match act {
        Act::Trigger { service } => {
            let Some(service) = services.get(service % services.len().max(1)) else { return String::new() };
            world.inside.pagerduty.trigger(service, "Disk is full", "high");
        }
        Act::Resolve { incident } => {
            let all = world.inside.pagerduty.incidents();
            let Some(incident) = all.get(incident % all.len().max(1)) else { return String::new() };
            let Some(id) = incident.get("id").and_then(serde_json::Value::as_str) else { return String::new() };
            world.inside.pagerduty.resolve_by_integration(id);
        }
    }
    String::new()
}
