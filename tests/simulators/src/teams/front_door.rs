//! Makes Microsoft's Agents Playground usable with a bot that checks tokens: its activities are signed on their way in, and the
//! bot's calls are checked on their way to the Playground's connector. The bot's own checks stay as they are.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, post};
use serde_json::{Value, json};
use url::Url;

use super::delivery::http_client;
use super::keys::Flaw;
use super::{Mistake, Teams};

const PREFIX: &str = "/playground/connector";
const MOST_BODY_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug, Clone)]
struct Door {
    teams: Teams,
    playground: Url,
}

pub(super) fn router(teams: Teams, playground: Url) -> Router {
    Router::new()
        .route("/api/messages", post(sign_and_pass_on))
        .route(&format!("{PREFIX}/{{*path}}"), any(check_and_pass_on))
        .layer(DefaultBodyLimit::max(MOST_BODY_BYTES))
        .with_state(Door { teams, playground })
}

/// The bot must answer to us, not past us: the activity's `serviceUrl` becomes our own proxy.
async fn sign_and_pass_on(Shared(door): Shared<Door>, body: Bytes) -> Response {
    let Ok(mut activity) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(content) = activity.as_object_mut() else { return StatusCode::BAD_REQUEST.into_response() };
    content.insert("serviceUrl".to_owned(), json!(format!("{}{PREFIX}/", door.teams.base())));
    match door.teams.sign_and_send(&activity).await {
        Ok(answer) => answer,
        Err(mistake) => (StatusCode::BAD_GATEWAY, mistake.to_string()).into_response(),
    }
}

async fn check_and_pass_on(Shared(door): Shared<Door>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let now = door.teams.now();
    if door.teams.lock().passing.tokens.check(authorization, now).is_err() {
        let body = json!({ "message": "Authorization has been denied for this request." });
        return (StatusCode::UNAUTHORIZED, axum::Json(body)).into_response();
    }
    // The raw path: ids stay percent-encoded as the bot wrote them.
    let rest = parts.uri.path_and_query().map_or("", |all| all.as_str()).strip_prefix(PREFIX).unwrap_or_default();
    let target = format!("{}{rest}", door.playground.as_str().trim_end_matches('/'));
    let Ok(body) = axum::body::to_bytes(body, MOST_BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let passed_on = async {
        let mut request = http_client()?.request(parts.method, target).body(body);
        if let Some(content_type) = parts.headers.get(header::CONTENT_TYPE) {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        pass_back(request).await
    };
    passed_on.await.unwrap_or_else(|mistake: Mistake| (StatusCode::BAD_GATEWAY, mistake.to_string()).into_response())
}

impl Teams {
    async fn sign_and_send(&self, activity: &Value) -> Result<Response, Mistake> {
        let service_url = activity.get("serviceUrl").and_then(Value::as_str).unwrap_or_default();
        let authorization = self.keys().authorization(&self.options().app_id, service_url, self.now(), Flaw::None)?;
        let bot = self.places().bot.clone();
        let request = http_client()?
            .post(bot)
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .header(header::AUTHORIZATION, authorization.unwrap_or_default())
            .body(activity.to_string());
        pass_back(request).await
    }
}

async fn pass_back(request: reqwest::RequestBuilder) -> Result<Response, Mistake> {
    let failed = |error: reqwest::Error| Mistake::NoAnswer(error.without_url().to_string());
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    let mut headers = HeaderMap::new();
    for name in [header::CONTENT_TYPE, header::RETRY_AFTER] {
        if let Some(value) = answer.headers().get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let body = answer.bytes().await.map_err(failed)?;
    Ok((status, headers, Body::from(body)).into_response())
}
