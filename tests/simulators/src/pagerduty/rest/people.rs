//! Users.

use serde_json::{Value, json};

use super::{Answer, Call, INCLUDE, invalid, not_found, ok};
use crate::pagerduty::model::{Holder, State, User};
use crate::pagerduty::references::with;

const INCLUDES: &[&str] = &["contact_methods", "notification_rules", "teams", "subdomains", "calendar_urls"];

pub(super) const PARAMETERS: &[&str] = &["query", "team_ids[]", INCLUDE];

/// Nobody belongs to a team here. The query matches names and addresses.
pub(super) fn list(state: &mut State, call: &Call<'_>) -> Answer {
    call.many_of(INCLUDE, INCLUDES)?;
    let query = call.one("query").unwrap_or_default().to_lowercase();
    let matches = |user: &&User| {
        (user.name.to_lowercase().contains(&query) || user.email.to_lowercase().contains(&query))
            && call.many("team_ids[]").is_empty()
    };
    let found: Vec<Value> = state.users.iter().filter(matches).map(|user| state.rest_user(user)).collect();
    call.page("users", &found)
}

pub(super) fn me(state: &mut State, call: &Call<'_>) -> Answer {
    call.many_of(INCLUDE, INCLUDES)?;
    let Holder::Person(id) = &call.caller.credential.holder else {
        return Err(invalid("an account key or an app token belongs to no user"));
    };
    let user = state.user(id).or_else(|| state.foreigner(id)).ok_or_else(not_found)?;
    ok(json!({ "user": state.rest_user(user) }))
}

pub(super) fn user(state: &mut State, call: &Call<'_>) -> Answer {
    call.many_of(INCLUDE, INCLUDES)?;
    ok(json!({ "user": state.rest_user(state.user(call.id).ok_or_else(not_found)?) }))
}

impl State {
    pub(in crate::pagerduty) fn rest_user(&self, user: &User) -> Value {
        with(
            self.user_reference(&user.id),
            json!({
                "type": "user",
                "name": user.name,
                "email": user.email,
                "role": user.role,
                "time_zone": "America/Lima",
                "color": "green",
                "avatar_url": format!("{}/avatars/blank.png", self.passing.links.web),
                "description": null,
                "job_title": null,
                "invitation_sent": false,
                "created_via_sso": false,
                "contact_methods": [],
                "notification_rules": [],
                "teams": [],
            }),
        )
    }
}
