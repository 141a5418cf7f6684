//! The pages: a log-in with one button per person, since the simulator has no passwords, and an incident to look at.

use serde_json::Value;

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:28rem;margin:10vh auto;padding:0 1rem;color:#1b1f24;background:#fff}\
a{display:block;margin:.75rem 0;padding:.75rem 1rem;border:1px solid #06752f;border-radius:.5rem;color:#06752f;text-decoration:none}\
a:focus-visible,a:hover{outline:3px solid #06752f}a.deny{border-color:#767676;color:#333}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn document(content: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>PagerDuty (simulated)</title><style>{STYLE}</style></head>\
         <body><main>{content}</main></body></html>"
    )
}

/// `uri` is the request that led here; each button repeats it with a `login`.
pub(super) fn page(uri: &str, users: &[Value]) -> String {
    let buttons: String = users
        .iter()
        .map(|user| {
            let part = |key: &str| escape(user[key].as_str().unwrap_or_default());
            format!(
                "<a href=\"{}&amp;login={}\">{} &lt;{}&gt;</a>",
                escape(uri),
                part("id"),
                part("name"),
                part("email")
            )
        })
        .collect();
    document(&format!(
        "<h1>Log in to PagerDuty (simulated)</h1><p>PagerBridge asks to act for you. Who are you?</p>{buttons}\
         <a class=\"deny\" href=\"{}&amp;login=deny\">Cancel</a>",
        escape(uri)
    ))
}

/// PagerDuty's plain error page.
pub(super) fn error(why: &str) -> String {
    document(&format!("<h1>HTTP 400</h1><p role=\"alert\">{}</p>", escape(why)))
}

/// What a card's link leads to.
pub(super) fn incident(incident: &Value) -> String {
    let part = |pointer: &str| escape(incident.pointer(pointer).and_then(Value::as_str).unwrap_or("none"));
    document(&format!(
        "<p>PagerDuty (simulated)</p><h1>{}</h1><p>Status: <b>{}</b></p><p>Service: {}</p><p>Urgency: {}</p><p>Priority: {}</p>",
        part("/summary"),
        part("/status"),
        part("/service/summary"),
        part("/urgency"),
        part("/priority/summary"),
    ))
}
