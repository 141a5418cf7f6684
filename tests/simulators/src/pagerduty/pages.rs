//! The few web pages: log-in with one button for each person, since the simulator has no passwords, and a page behind every
//! link, so that following one from a card leads somewhere.

use axum::http::Uri;

use super::model::{State, User};

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:8vh auto;padding:0 1rem;color:#1b1f24;background:#fff}\
main a{display:block;margin:.75rem 0;padding:.75rem 1rem;border:1px solid #06752f;border-radius:.5rem;color:#06752f;text-decoration:none}\
main a:focus-visible,main a:hover{outline:3px solid #06752f}main a.deny{border-color:#595959;color:#333}\
dt{font-weight:600}dd{margin:0 0 .5rem}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

fn document(title: &str, content: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{title} · PagerDuty (simulated)</title>\
         <style>{STYLE}</style></head><body><main><h1>{title}</h1>{content}</main></body></html>",
        title = escape(title)
    )
}

/// One button for each person. `request` is the address that led here; each button repeats it and adds who was chosen.
pub(super) fn log_in<'a>(request: &Uri, users: impl Iterator<Item = &'a User>) -> String {
    let button = |class: &str, login: &str, label: &str| {
        let address = format!("{request}&login={login}");
        format!("<a class=\"{class}\" href=\"{}\">{}</a>", escape(&address), escape(label))
    };
    let people: String =
        users.map(|user| button("person", &user.id, &format!("{} <{}>", user.name, user.email))).collect();
    let content =
        format!("<p>An app asks to act for you. Who are you?</p>{people}{}", button("deny", "deny", "Cancel"));
    document("Log in to PagerDuty", &content)
}

/// PagerDuty's plain error page.
pub(super) fn refusal(why: &str) -> String {
    document("HTTP 400", &format!("<p role=\"alert\">{}</p>", escape(why)))
}

/// The page behind a link; `None` if there is no such thing.
pub(super) fn thing(state: &State, kind: &str, id: &str) -> Option<String> {
    match kind {
        "incidents" => incident(state, id),
        "services" | "service-directory" => state.service(id).map(|service| document(&service.name, "<p>Service</p>")),
        "users" => state.user(id).map(|user| document(&user.name, &format!("<p>{}</p>", escape(&user.email)))),
        "escalation_policies" => state.policy(id).map(|policy| document(&policy.name, "<p>Escalation policy</p>")),
        _ => None,
    }
}

fn incident(state: &State, id: &str) -> Option<String> {
    let incident = state.incident(id)?;
    let name = |user: &str| state.user(user).map_or_else(|| user.to_owned(), |user| user.name.clone());
    let assignees: Vec<String> = incident.assignments.iter().map(|one| name(&one.user)).collect();
    let service = state.services.iter().find(|service| service.id == incident.service);
    let facts = [
        ("Status", format!("{:?}", incident.status).to_lowercase()),
        ("Service", service.map(|service| service.name.clone()).unwrap_or_default()),
        ("Urgency", incident.urgency.clone()),
        ("Assigned to", if assignees.is_empty() { "nobody".to_owned() } else { assignees.join(", ") }),
    ];
    let facts: String =
        facts.iter().map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>", escape(value))).collect();
    let notes: String = incident.notes.iter().map(|note| format!("<li>{}</li>", escape(&note.content))).collect();
    let notes = if notes.is_empty() { notes } else { format!("<h2>Notes</h2><ul>{notes}</ul>") };
    Some(document(&format!("#{} {}", incident.number, incident.title), &format!("<dl>{facts}</dl>{notes}")))
}
