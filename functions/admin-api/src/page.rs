//! The static files of the configuration page.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// Name, type, content.
const ASSETS: &[(&str, &str, &str)] = &[
    ("api.js", SCRIPT, include_str!("../page/api.js")),
    ("audit.js", SCRIPT, include_str!("../page/audit.js")),
    ("combobox.js", SCRIPT, include_str!("../page/combobox.js")),
    ("connect.js", SCRIPT, include_str!("../page/connect.js")),
    ("connections.js", SCRIPT, include_str!("../page/connections.js")),
    ("deliveries.js", SCRIPT, include_str!("../page/deliveries.js")),
    ("dialog.js", SCRIPT, include_str!("../page/dialog.js")),
    ("dom.js", SCRIPT, include_str!("../page/dom.js")),
    ("health.js", SCRIPT, include_str!("../page/health.js")),
    ("icon.svg", IMAGE, include_str!("../page/icon.svg")),
    ("page.css", STYLE, include_str!("../page/page.css")),
    ("page.js", SCRIPT, include_str!("../page/page.js")),
    ("settings.js", SCRIPT, include_str!("../page/settings.js")),
    ("states.js", SCRIPT, include_str!("../page/states.js")),
    ("teams.js", SCRIPT, include_str!("../page/teams.js")),
    ("time.js", SCRIPT, include_str!("../page/time.js")),
];

const INDEX: &str = include_str!("../page/index.html");

/// Nothing from elsewhere, nothing inline, in nobody's frame.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(crate) async fn index() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], INDEX)
}

pub(crate) async fn to_index() -> Redirect {
    Redirect::permanent("/admin")
}

pub(crate) async fn asset(Path(file): Path<String>) -> Response {
    match ASSETS.iter().find(|(name, ..)| *name == file) {
        Some((_, kind, content)) => ([(header::CONTENT_TYPE, *kind)], *content).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that is forgotten in the table would be missing in the deployed function only.
    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "index.html")
            .collect();
        files.sort();
        assert_eq!(files, ASSETS.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
    }
}
