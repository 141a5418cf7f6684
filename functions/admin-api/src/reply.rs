//! What every answer of the API has in common, and how its bodies are read.

use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::{JsonRejection, QueryRejection};
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

/// The same for a query.
pub(crate) fn query<T>(given: Result<Query<T>, QueryRejection>) -> Result<T, Refusal> {
    given
        .map(|Query(query)| query)
        .map_err(|error| Refusal::Invalid(format!("The request is not understood: {}.", error.body_text())))
}

#[cfg(test)]
mod tests {
    use axum::http::Uri;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Page {
        offset: u32,
    }

    #[test]
    fn a_query_is_read_or_refused_as_everything_else_is() {
        let read = |query: &str| {
            let uri: Uri = format!("/services?{query}").parse().unwrap();
            super::query(Query::<Page>::try_from_uri(&uri)).map(|page| page.offset)
        };
        assert_eq!(read("offset=25"), Ok(25));
        for bad in ["offset=many", "offset=1&offset=2", "", "offset=%ff"] {
            assert!(matches!(read(bad), Err(Refusal::Invalid(_))), "{bad}");
        }
    }
}
