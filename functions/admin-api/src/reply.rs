//! What every answer of the API has in common, and how its bodies are read.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};

use setup::SESSION_COOKIE;

use crate::error::Refusal;

pub(crate) fn ok(body: impl serde::Serialize) -> Response {
    answer(StatusCode::OK, body)
}

pub(crate) fn answer(status: StatusCode, body: impl serde::Serialize) -> Response {
    (status, Json(body)).into_response()
}

/// The browser forgets the session.
pub(crate) fn forget_cookie() -> [(HeaderName, String); 1] {
    [(SET_COOKIE, runtime::set_cookie(SESSION_COOKIE, "", 0))]
}

/// A body that is not what it should be gets a sentence that says so, not the parser's page.
pub(crate) fn body<T>(given: Result<Json<T>, JsonRejection>) -> Result<T, Refusal> {
    given
        .map(|Json(body)| body)
        .map_err(|error| Refusal::Invalid(format!("The request is not understood: {}.", error.body_text())))
}
