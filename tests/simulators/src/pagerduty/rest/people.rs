//! Users.

use serde_json::{Value, json};

use super::{Answer, Call, INCLUDE, invalid, not_found, ok};
use crate::pagerduty::model::{Holder, State, User};
use crate::pagerduty::references::with;

const INCLUDES: &[&str] = &["contact_methods", "notification_rules", "teams", "subdomains", "calendar_urls"];

pub(super) fn me(state: &mut State, call: &Call<'_>) -> Answer {
    call.many_of(INCLUDE, INCLUDES)?;
    let Holder::Person(id) = &call.caller.credential.holder else {
        return Err(invalid("an account key or an app token belongs to no user"));
    };
    ok(json!({ "user": state.rest_user(state.user(id).ok_or_else(not_found)?) }))
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
