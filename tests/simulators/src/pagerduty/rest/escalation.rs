//! Escalation policies, and who is on call.

use serde_json::{Value, json};

use super::listing::sort_by_name;
use super::{Answer, Call, INCLUDE};
use crate::pagerduty::model::{Policy, State};
use crate::pagerduty::references::with;
use crate::pagerduty::timers::ESCALATION_MINUTES;

pub(super) const PARAMETERS: &[&str] = &["query", "user_ids[]", "team_ids[]", "sort_by", INCLUDE];
pub(super) const ONCALL_PARAMETERS: &[&str] =
    &["user_ids[]", "escalation_policy_ids[]", "schedule_ids[]", "since", "until", "earliest", "time_zone", INCLUDE];

const INCLUDES: &[&str] = &["services", "teams", "targets", "escalation_rule_assignment_strategies"];
const ONCALL_INCLUDES: &[&str] = &["escalation_policies", "users", "schedules"];

pub(super) fn list(state: &mut State, call: &Call<'_>) -> Answer {
    call.many_of(INCLUDE, INCLUDES)?;
    let query = call.one("query").unwrap_or_default().to_lowercase();
    let users = call.many("user_ids[]");
    let targets = |policy: &Policy| {
        policy.levels.iter().flat_map(|level| &level.users).any(|user| users.contains(&user.as_str()))
    };
    // No policy belongs to a team here.
    let matches = |policy: &&Policy| {
        policy.name.to_lowercase().contains(&query)
            && (users.is_empty() || targets(policy))
            && call.many("team_ids[]").is_empty()
    };
    let mut found: Vec<&Policy> = state.policies.iter().filter(matches).collect();
    sort_by_name(call, &mut found, |policy| policy.name.clone())?;
    let found: Vec<Value> = found.into_iter().map(|policy| state.rest_policy(policy)).collect();
    call.page("escalation_policies", &found)
}

/// Everybody here is on call for ever, without a schedule: `schedule`, `start` and `end` are null then (REST docs).
pub(super) fn oncalls(state: &mut State, call: &Call<'_>) -> Answer {
    let includes = call.many_of(INCLUDE, ONCALL_INCLUDES)?;
    call.flag("earliest")?;
    call.time("since")?;
    call.time("until")?;
    let (users, policies) = (call.many("user_ids[]"), call.many("escalation_policy_ids[]"));
    let schedules = call.many("schedule_ids[]");
    let mut found = Vec::new();
    for policy in &state.policies {
        for (index, level) in policy.levels.iter().enumerate() {
            for user in &level.users {
                let matches = (users.is_empty() || users.contains(&user.as_str()))
                    && (policies.is_empty() || policies.contains(&policy.id.as_str()))
                    && (schedules.is_empty() || schedules.contains(&"null"));
                if !matches {
                    continue;
                }
                let whole_user = state.user(user).filter(|_| includes.contains(&"users"));
                let whole_policy = includes.contains(&"escalation_policies").then(|| state.rest_policy(policy));
                found.push(json!({
                    "user": whole_user.map_or_else(|| state.user_reference(user), |user| state.rest_user(user)),
                    "schedule": null,
                    "escalation_policy": whole_policy.unwrap_or_else(|| state.policy_reference(&policy.id)),
                    "escalation_level": index + 1,
                    "start": null,
                    "end": null,
                }));
            }
        }
    }
    call.page("oncalls", &found)
}

impl State {
    pub(super) fn rest_policy(&self, policy: &Policy) -> Value {
        let services = self.services.iter().filter(|service| service.policy == policy.id && !service.deleted);
        let rules: Vec<Value> = policy
            .levels
            .iter()
            .map(|level| {
                let targets: Vec<Value> = level.users.iter().map(|user| self.user_reference(user)).collect();
                json!({ "id": level.id, "escalation_delay_in_minutes": ESCALATION_MINUTES, "targets": targets })
            })
            .collect();
        let services: Vec<Value> = services.map(|service| self.service_reference_in_rest(&service.id)).collect();
        with(
            self.policy_reference(&policy.id),
            json!({
                "type": "escalation_policy",
                "name": policy.name,
                "on_call_handoff_notifications": "if_has_services",
                "escalation_rules": rules,
                "services": services,
                "num_loops": 0,
                "teams": [],
            }),
        )
    }
}
