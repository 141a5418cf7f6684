//! The configuration page, its JSON API, and `/health`.
//!
//! The page is static and gets everything from the API. Who may do what is decided in the API alone: the page only shows it.

mod api;
mod deliveries;
mod error;
mod health;
mod model;
mod page;
mod reply;
mod session;

use axum::routing::get;
use axum::{Extension, Router};
use runtime::App;

pub use api::open_api;

/// Where the API is.
pub const API: &str = "/admin/api/v1";

/// The function's HTTP surface.
pub fn router(app: App) -> Router {
    let pages = Router::new()
        .route("/admin", get(page::index))
        .route("/admin/", get(page::to_index))
        .route("/admin/assets/{file}", get(page::asset))
        .nest(API, api::router());
    // `/health` answers 503 whatever is wrong, and has a figure of its own.
    let router = runtime::with_failures_counted(pages, &app)
        .route("/health", get(health::health))
        .layer(Extension(health::Checks::default()))
        .with_state(app);
    runtime::with_headers(router, page::POLICY)
}
